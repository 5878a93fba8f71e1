import EbeeProtocol
import Testing

@testable import EbeeClient

@Suite struct EscapeTests {
    private func shown(_ name: FileName, _ style: Escape.Style = .name) -> String {
        var cell = CellText()
        cell.append(name, style)
        return cell.text
    }

    @Test(arguments: [
        ("plain é 日本 👩‍👩‍👧", "plain é 日本 👩‍👩‍👧"), ("a\nb\r\t", #"a\nb\r\t"#), ("\u{1b}[31m", #"\x1b[31m"#),
        ("\0\u{7f}", #"\x00\x7f"#), ("\u{9b}31m", #"\u{9b}31m"#), ("\u{202e}txt", #"\u{202e}txt"#),
        ("\u{2066}\u{2069}\u{200e}\u{200f}", #"\u{2066}\u{2069}\u{200e}\u{200f}"#),
        ("\u{2028}\u{2029}", #"\u{2028}\u{2029}"#), ("a\\nb", #"a\\nb"#),
        ("\u{200b}\u{feff}\u{ad}", #"\u{200b}\u{feff}\u{ad}"#),
        ("\u{3164}\u{e0041}", #"\u{3164}\u{e0041}"#), ("می‌خواهم", "می‌خواهم"),
        ("e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}", "e\u{301}\u{301}\u{301}\u{301}" + #"\u{301}\u{301}"#),
    ])
    func text(_ name: String, _ expected: String) {
        #expect(shown(FileName(name)) == expected)
    }

    @Test func bytes() {
        #expect(shown(FileName(bytes: [0x61, 0xff, 0x0a, 0xc3, 0xa9, 0xc3])) == #"a\xff\né\xc3"#)
        #expect(shown(FileName(bytes: Array("dev-sda\\x2d1".utf8)), .unit) == "dev-sda\\x2d1")
    }

    /// Whatever the bytes: nothing that moves a cursor comes out, and what comes out tells which bytes they were.
    @Test func anyBytes() throws {
        var generator = SeededGenerator(state: 5)
        for _ in 0..<2000 {
            let bytes = hostileBytes(count: Int.random(in: 0...60, using: &generator), using: &generator)
            let shown = shown(FileName(bytes: bytes))
            for scalar in shown.unicodeScalars { #expect(!Escape.isNeeded(for: scalar)) }
            #expect(try unescaped(shown) == bytes)
        }
    }

    /// No scalar below U+00A0 but printable ASCII may pass, nor any that Unicode calls a control or a format.
    @Test func everyScalar() {
        for value in UInt32(0)...0x10ffff {
            guard let scalar = Unicode.Scalar(value), !Escape.isNeeded(for: scalar) else { continue }
            #expect(value >= 0xa0 || 0x20..<0x7f ~= value)
            #expect(!(0x202a...0x202e ~= value) && !(0x2066...0x2069 ~= value))
            #expect(0...2 ~= cellWidth(of: scalar))
        }
    }

    @Test func json() throws {
        let line = #"{"a":"x\#u{9b}\#u{202e}é\#u{7f}日\#u{e0041}"}"#
        let safe = Escape.json(EbeeClientTests.bytes(line))
        #expect(EbeeClientTests.text(safe) == #"{"a":"x\u009b\u202eé\u007f日\udb40\udc41"}"#)
        #expect(try JSON(parsing: Array(safe)) == JSON(parsing: Array(line.utf8)))
    }

    @Test func base64() {
        #expect(decodeBase64("") == [])
        #expect(decodeBase64("/w==") == [0xff])
        #expect(decodeBase64("/w") == [0xff])
        #expect(decodeBase64("YWJj") == Array("abc".utf8))
        #expect(decodeBase64("YWJjZA==") == Array("abcd".utf8))
        #expect(decodeBase64("a") == nil)
        #expect(decodeBase64("a b=") == nil)
    }

    private func unescaped(_ text: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Substring(text).unicodeScalars
        while let scalar = rest.popFirst() {
            guard scalar == "\\" else {
                bytes += Array(String(scalar).utf8)
                continue
            }
            switch rest.popFirst() {
            case "\\": bytes.append(0x5c)
            case "n": bytes.append(0x0a)
            case "r": bytes.append(0x0d)
            case "t": bytes.append(0x09)
            case "x":
                bytes.append(try #require(UInt8(String(rest.prefix(2)), radix: 16)))
                rest.removeFirst(2)
            case "u":
                let digits = rest.dropFirst().prefix { $0 != "}" }
                let value = try #require(UInt32(String(digits), radix: 16))
                bytes += Array(String(try #require(Unicode.Scalar(value))).utf8)
                rest.removeFirst(digits.count + 2)
            default: Issue.record("no such escape in \(text)")
            }
        }
        return bytes
    }
}
