import EbeeProtocol
import FoundationEssentials
import Testing

@Suite struct JSONTests {
    @Test func keepsWhatWasWritten() throws {
        let json = try JSON(
            parsing: Array(#" {"a":[1,-0.50e+3,true,false,null],"b":{"":"x\u0041\ud83d\ude00\/\n"},"a":2} "#.utf8))
        #expect(json["a"]?.array == [.number("1"), .number("-0.50e+3"), .bool(true), .bool(false), .null])
        #expect(json["b"]?[""]?.string == "xA😀/\n")
        guard case .object(let members) = json else { return }
        #expect(members.map(\.key) == ["a", "b", "a"])
    }

    @Test(arguments: [
        "", " ", "{", "}", "[", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "tru", "nul",
        "truex", "1 2", "01", "-", "1.", ".5", "1e", "+1", "NaN", "Infinity", "\"", "\"\\x\"", "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "\"\u{0}\"", "{}{}", "\u{feff}{}", "[1]\0",
    ])
    func refuses(_ text: String) {
        #expect(throws: JSONError.self) { try JSON(parsing: Array(text.utf8)) }
    }

    @Test(
        arguments: [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]] as [[UInt8]])
    func refusesWhatIsNotUTF8(_ bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22] + bytes + [0x22]) }
    }

    @Test func depthIsBounded() throws {
        for opening in ["[", "{\"a\":", "[{\"a\":"] {
            let line = String(repeating: opening, count: Limits.requestBytes / opening.utf8.count)
            #expect(throws: JSONError.self) { try JSON(parsing: Array(line.utf8)) }
        }
        let deepest = String(repeating: "[", count: Limits.jsonDepth) + String(repeating: "]", count: Limits.jsonDepth)
        #expect(throws: Never.self) { try JSON(parsing: Array(deepest.utf8)) }
        #expect(throws: JSONError.self) { try JSON(parsing: Array("[\(deepest)]".utf8)) }
    }

    @Test func quotesWhatItReads() throws {
        var generator = SeededGenerator(state: 2)
        for _ in 0..<500 {
            let string = text(hostileBytes(count: 40, using: &generator)) + "\0"
            #expect(try JSON(parsing: Array(JSON.quoted(string).utf8)) == .string(string))
            #expect(try JSONDecoder().decode(String.self, from: Data(JSON.quoted(string).utf8)) == string)
        }
    }

    /// Foundation judges the same bytes the same way, but for what we refuse on purpose.
    @Test func agreesWithFoundation() {
        var generator = SeededGenerator(state: 3)
        let seed = Array(#"{"a":["x\u00e9\\",{"b":null,"c":-1.5e2}],"d":true,"é":"\ud83d\ude00"}"#.utf8)
        for _ in 0..<5000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 0...2, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0...2, using: &generator) {
                case 0: bytes.remove(at: index)
                case 1: bytes[index] = UInt8.random(in: 0...255, using: &generator)
                default: bytes.insert(seed.randomElement(using: &generator) ?? 0, at: index)
                }
            }
            let ours = try? JSON(parsing: bytes)
            let theirs = try? JSONDecoder().decode(Anything.self, from: Data(bytes))
            if ours != nil { #expect(theirs != nil, "we alone accept \(text(bytes))") }
            // Foundation takes a comma at the end of an object, and UTF-16, which a NUL byte gives away.
            let isLenient = bytes.contains(0) || text(bytes).contains(",}")
            if theirs != nil, !isLenient { #expect(ours != nil, "we alone refuse \(text(bytes))") }
        }
    }
}

/// Any JSON at all, by Foundation's decoder.
private struct Anything: Decodable {
    init(from decoder: any Decoder) throws {
        if let list = try? decoder.unkeyedContainer() {
            var list = list
            while !list.isAtEnd { _ = try list.decode(Anything.self) }
        } else if let object = try? decoder.container(keyedBy: Key.self) {
            for key in object.allKeys { _ = try object.decode(Anything.self, forKey: key) }
        } else {
            let value = try decoder.singleValueContainer()
            guard !value.decodeNil() else { return }
            if (try? value.decode(Bool.self)) != nil || (try? value.decode(Double.self)) != nil { return }
            _ = try value.decode(String.self)
        }
    }

    struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}
