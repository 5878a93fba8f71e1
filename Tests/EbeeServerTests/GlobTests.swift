import EbeeTestSupport
import Glibc
import Testing

@testable import EbeeProtocol

@Suite struct GlobTests {
    private func matches(_ pattern: String, _ text: [UInt8]) -> Bool { Glob(pattern).matches(text) }

    /// What the C library says, in the C locale, which tests never leave.
    private func fnmatch(_ pattern: String, _ text: [UInt8]) -> Bool {
        unsafe Glibc.fnmatch(pattern, text.map { CChar(bitPattern: $0) } + [0], 0) == 0
    }

    @Test(
        arguments: [
            ("", "", true), ("", "a", false), ("*", "", true), ("*", "/a/b", true), ("**", "a", true), ("?", "", false),
            ("?", "/", true), ("a*b", "ab", true), ("a*b", "a", false), ("*a*b*", "xaxbx", true),
            ("ab*ab", "ab", false),
            ("ab*ab", "abab", true), ("*aab", "aaab", true), ("*a?b*", "aab", true), ("[abc]", "b", true),
            ("[!abc]", "b", false), ("[^abc]", "d", true), ("[]]", "]", true), ("[]-a]", "^", true),
            ("[a-]", "-", true),
            ("[z-a]", "m", false), ("[\\]]", "]", true), ("[a-\\z]", "m", true), ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a", false), ("a\\", "a\\", false), ("[", "[", true), ("[a", "[a", true), ("[[]", "[", true),
        ])
    func examples(pattern: String, text: String, isMatch: Bool) {
        #expect(matches(pattern, Array(text.utf8)) == isMatch)
        #expect(fnmatch(pattern, Array(text.utf8)) == isMatch, "fnmatch(3)")
    }

    /// Patterns and texts of few letters, so that many match; and of all that means something in a pattern.
    @Test func likeTheCLibrary() {
        var generator = SeededGenerator(7)
        var matched = 0
        var compared = 0
        for alphabet in ["ab*?", "abc*?[]!^-\\/", "a*[-]\\é"].map({ Array($0) }) {
            for _ in 0..<60_000 {
                let pattern = String(
                    (0..<Int.random(in: 0...12, using: &generator)).map { _ in any(alphabet, &generator) })
                var text = Array(
                    String((0..<Int.random(in: 0...8, using: &generator)).map { _ in any(alphabet, &generator) }).utf8)
                if Bool.random(using: &generator) { text.append(.random(in: 1...255, using: &generator)) }
                let glob = Glob(pattern)
                // What fnmatch(3) makes of a bracket that isn't closed depends on the text.
                if glob.hasOpenBracket { continue }
                compared += 1
                if glob.matches(text) { matched += 1 }
                #expect(glob.matches(text) == fnmatch(pattern, text), "\(pattern.debugDescription) on \(text)")
            }
        }
        #expect(compared > 100_000 && matched > 5_000, "\(matched) of \(compared) matched")
    }

    private func any(_ alphabet: [Character], _ generator: inout SeededGenerator) -> Character {
        alphabet.randomElement(using: &generator) ?? "a"
    }

    /// fnmatch(3) takes longer than anybody waits.
    @Test func manyStars() {
        let text = [UInt8](repeating: 0x61, count: 4095)
        let start = ContinuousClock.now
        #expect(!matches(String(repeating: "*a", count: 500) + "*b*", text))
        #expect(!matches(String(repeating: "*a", count: 500) + "b", text))
        #expect(!matches("*" + String(repeating: "?", count: 500) + "b*", text))
        #expect(matches(String(repeating: "*a", count: 500) + "*", text))
        #expect(ContinuousClock.now - start < .seconds(2))
    }

    @Test func whatFloats() {
        #expect(Glob("/a/long/directory/*").floatingCount == 0)
        #expect(Glob("*.log").floatingCount == 0)
        #expect(Glob("*/a[bc]/?x*").floatingCount == 6)
        #expect(Glob("no star").floatingCount == 0)
    }

    /// Every list, and the globs together, have a bound; what is just within it is taken.
    @Test func bounds() throws {
        func refusal(_ filter: String) -> RequestError? {
            do {
                _ = try Request(line: Array(#"{"id":1,"request":"recent","filter":{\#(filter)}}"#.utf8))
                return nil
            } catch {
                return error
            }
        }
        func list(_ value: String, _ count: Int) -> String {
            "[" + Array(repeating: value, count: count).joined(separator: ",") + "]"
        }
        for (key, value) in [
            ("pid", "1"), ("ppid", "1"), ("uid", "1"), ("comm", "\"a\""), ("exe", "\"a\""), ("path", "\"a\""),
            ("unit", "\"a\""),
        ] {
            #expect(refusal("\"\(key)\":" + list(value, Limits.filterValues)) == nil)
            let tooMany = refusal("\"\(key)\":" + list(value, Limits.filterValues + 1))
            #expect(
                tooMany?.code == .badRequest
                    && tooMany?.message == "'filter.\(key)' must be a list of at most 256 values")
        }
        let half = "\"*" + String(repeating: "a", count: Limits.floatingGlobBytes / 2) + "*\""
        #expect(refusal("\"path\":[\(half)],\"exe\":[\(half)]") == nil)
        #expect(refusal("\"path\":[\(half)],\"exe\":[\(half),\"*b*\"]")?.code == .badRequest)
        #expect(refusal("\"path\":[\"/\(String(repeating: "a", count: 4000))/*\"]") == nil, "a directory of any length")
    }
}
