import EbeeProtocol
import EbeeTestSupport
import Foundation
import Testing

@testable import EbeeRecord

/// What our writer writes, as Foundation's decoder reads it.
@Suite struct JSONWriterTests {
    private func object(_ write: (inout JSONWriter) -> Void) throws -> [String: Any] {
        var writer = JSONWriter()
        writer.beginObject()
        write(&writer)
        writer.endObject()
        let json = try JSONSerialization.jsonObject(with: Data(writer.bytes))
        return try #require(json as? [String: Any])
    }

    private static func randomBytes(_ generator: inout SeededGenerator) -> [UInt8] {
        let count = Int.random(in: 0...24, using: &generator)
        switch Int.random(in: 0...3, using: &generator) {
        case 0: return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
        case 1: return (0..<count).map { _ in UInt8.random(in: 0...127, using: &generator) }
        case 2:
            var text = ""
            while text.utf8.count < count {
                if let scalar = Unicode.Scalar(UInt32.random(in: 0...0x10ffff, using: &generator)) {
                    text.unicodeScalars.append(scalar)
                }
            }
            return Array(text.utf8)
        default:
            let traps: [[UInt8]] = [
                [0x22], [0x5c], [0x7f], [0], [0x1f], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff],
                Array("\u{2028}\u{feff}\u{fffd}e\u{301}".utf8), [0xe2, 0x82], Array("\r\n".utf8),
            ]
            return (0..<4).flatMap { _ in traps.randomElement(using: &generator) ?? [] }
        }
    }

    /// A million byte strings: text is exact, and what is no text is exact in base64. In lines of 1000, as the decoder
    /// costs more than what it decodes. EBEE_SEED repeats a run.
    @Test func bytesRoundTrip() throws {
        let given = ProcessInfo.processInfo.environment["EBEE_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: 0 ... .max)
        print("a million byte strings of EBEE_SEED=\(seed)")
        var generator = SeededGenerator(seed)
        var invalid = 0
        for _ in 0..<1000 {
            let given = (0..<1000).map { _ in Self.randomBytes(&generator) }
            var writer = JSONWriter()
            writer.beginArray()
            for bytes in given {
                writer.beginObject()
                writer.text("text", bytes, raw: "text_raw")
                writer.endObject()
            }
            writer.endArray()
            let controls = writer.bytes.filter { $0 < 0x20 || $0 == 0x7f }
            #expect(controls.isEmpty, "a control character in the output")
            let read = try JSONDecoder().decode([[String: String]].self, from: Data(writer.bytes))
            try #require(read.count == given.count)
            for (bytes, object) in zip(given, read) {
                let shown = try #require(object["text"])
                if let text = String(validating: bytes, as: UTF8.self) {
                    guard Array(shown.utf8) == Array(text.utf8), object["text_raw"] == nil else {
                        Issue.record("\(bytes) reads as \(object)")
                        continue
                    }
                } else {
                    invalid += 1
                    let raw = object["text_raw"].flatMap { Data(base64Encoded: $0) }.map { Array($0) }
                    guard raw == bytes, shown.unicodeScalars.contains("\u{fffd}") else {
                        Issue.record("\(bytes) reads as \(object)")
                        continue
                    }
                }
            }
        }
        #expect(invalid > 200_000 && invalid < 800_000, "\(invalid) of a million were not UTF-8")
    }

    @Test func everyControlCharacter() throws {
        let bytes = Array(0...0x7f as ClosedRange<UInt8>)
        let read = try object { $0.text("t", bytes, raw: "t_raw") }
        #expect((read["t"] as? String).map { Array($0.utf8) } == bytes)
        #expect(read["t_raw"] == nil)
    }

    @Test func arraysOfBytes() throws {
        let values: [[UInt8]] = [[], [0xff], Array("a b".utf8), [0, 1, 2, 3]]
        let read = try object { writer in
            writer.beginArray("args")
            for value in values { _ = unsafe writer.text(value.span.bytes) }
            writer.endArray()
            writer.beginArray("args_raw")
            for value in values { unsafe writer.raw(value.span.bytes) }
            writer.endArray()
        }
        #expect(read["args"] as? [String] == ["", "\u{fffd}", "a b", "\0\u{1}\u{2}\u{3}"])
        let raw = try #require(read["args_raw"] as? [String])
        #expect(raw.map { Data(base64Encoded: $0).map { Array($0) } } == values)
    }

    @Test func numbers() throws {
        var writer = JSONWriter()
        writer.beginArray()
        for number in [0, 1, -1, 9, 10, .max, .min] as [Int64] { writer.number(number) }
        writer.number(UInt64.max)
        writer.number(Int8.min)
        writer.number(UInt8.max)
        writer.endArray()
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == "[0,1,-1,9,10,9223372036854775807,-9223372036854775808,18446744073709551615,-128,255]")
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000000Z"), (1, "1970-01-01T00:00:00.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_790_000_000_123_456_789, "2026-09-21T14:13:20.123456789Z"),
            (.max, "2262-04-11T23:47:16.854775807Z"), (.min, "1677-09-21T00:12:43.145224192Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
        ] as [(Int64, String)])
    func times(nanoseconds: Int64, text: String) throws {
        #expect(try object { $0.time("t", nanoseconds) }["t"] as? String == text)
        #expect(RFC3339.parse(text) == nanoseconds)
    }

    /// To the second, against Foundation's calendar.
    @Test func randomTimes() throws {
        var generator = SeededGenerator(4)
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        for _ in 0..<2000 {
            // From 1900 on: before, Foundation's calendar is the Julian one at some point.
            let seconds = Int64.random(in: -2_208_988_800...9_223_372_035, using: &generator)
            let parts = calendar.dateComponents(
                [.year, .month, .day, .hour, .minute, .second], from: Date(timeIntervalSince1970: Double(seconds)))
            let expected = String(
                format: "%04d-%02d-%02dT%02d:%02d:%02d.000000000Z", parts.year ?? 0, parts.month ?? 0, parts.day ?? 0,
                parts.hour ?? 0, parts.minute ?? 0, parts.second ?? 0)
            var writer = JSONWriter()
            writer.time(seconds * 1_000_000_000)
            #expect(String(decoding: writer.bytes, as: UTF8.self) == expected)
        }
    }

    @Test func commas() throws {
        var writer = JSONWriter()
        for _ in 0..<2 {
            writer.beginObject()
            writer.beginObject("a")
            writer.endObject()
            writer.beginArray("b")
            writer.beginObject()
            writer.number("c", 1)
            writer.bool("d", false)
            writer.endObject()
            writer.string("x")
            writer.endArray()
            writer.json("e", Array("null".utf8))
            writer.endObject()
            writer.endLine()
        }
        let line = #"{"a":{},"b":[{"c":1,"d":false},"x"],"e":null}"# + "\n"
        #expect(String(decoding: writer.bytes, as: UTF8.self) == line + line)
        writer.removeAll()
        #expect(writer.count == 0)
    }
}
