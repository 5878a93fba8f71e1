import CEvents
import EbeeRecord
import EbeeTestSupport
import Testing

@testable import EbeeWindow

/// Secrets of command lines are gone before anything keeps them.
@Suite struct RedactionTests {
    struct Case: CustomTestStringConvertible {
        let patterns: [String]
        let arguments: [String]
        /// Nil: nothing is found.
        let kept: [String]?

        init(_ patterns: String..., of arguments: String..., kept: [String]?) {
            (self.patterns, self.arguments, self.kept) = (patterns, arguments, kept)
        }

        var testDescription: String { "\(patterns) of \(arguments)" }
    }

    static let cases = [
        Case("--password=***", of: "a", "--password=geheim", "b", kept: ["a", "--password=***", "b"]),
        Case("--password=***", of: "a", "--password=", "--passwor", kept: nil),
        Case("--password=***", of: "a", "x--password=geheim", kept: nil),
        Case("*PASS*=***", of: "env", "MYSQL_PASSWORD=a=b", "PASS=c", kept: ["env", "MYSQL_PASSWORD=***", "PASS=***"]),
        Case("--password ***", of: "a", "--password", "geheim", "b", kept: ["a", "--password", "***", "b"]),
        Case("--password ***", of: "a", "--password", kept: nil),
        Case("--password ***", of: "--password", "--password", "x", kept: ["--password", "***", "***"]),
        Case(
            "*curl -u *:***", of: "/usr/bin/curl", "-u", "ana:x:y", "z", kept: ["/usr/bin/curl", "-u", "ana:***", "z"]),
        Case("*://*:***@*", of: "git", "https://ana:p@ss@host/a@b", kept: ["git", "https://ana:***@b"]),
        Case("*://*:***@*", of: "git", "https://host/a@b", kept: nil),
        Case("a***b", of: "ab", "axb", "axbxb", "axbx", kept: ["ab", "a***b", "a***b", "axbx"]),
        Case("a*b***c*d", of: "abxcd", "aXbXcXd", "abcd", "abxc", kept: ["ab***cd", "aXb***cXd", "abcd", "abxc"]),
        Case("***-", of: "x-", "-", kept: ["***-", "-"]),
        Case("*mysql ** -p***", of: "mysql", "-h", "h", "-pX", "-pY", kept: ["mysql", "-h", "h", "-p***", "-p***"]),
        Case("*mysql ** -p***", of: "mysql", "-pX", kept: ["mysql", "-p***"]),
        Case("*mysql ** -p***", of: "mkdir", "-pX", kept: nil),
        Case("*mysql ** -p***", of: "mkdir", "-pX", "mysql", "-pX", kept: ["mkdir", "-pX", "mysql", "-p***"]),
        Case("a ** b c ** d ***", of: "a", "b", "x", "b", "c", "d", "s", kept: ["a", "b", "x", "b", "c", "d", "***"]),
        Case("a ** b c ** d ***", of: "b", "c", "a", "d", "s", kept: nil),
        Case("*** end", of: "x", "end", "y", kept: ["***", "end", "y"]),
        Case("*** e*d", of: "x", "end", "ed", kept: ["***", "***", "ed"]),
        Case("***", of: "x", "", "yyyyyy", kept: ["***", "", "***"]),
        Case("-p***", "*token=***", of: "-ptoken=x", "b", kept: ["-p***", "b"]),
        Case("u=***,*", "*,p=***", of: "u=ana,p=x", kept: ["u=***,p=***"]),
        Case("é=***", of: "é=ü", kept: ["é=***"]),
        Case("a b ***", of: "a", "b", kept: nil),
        Case("-p***", kept: nil),
    ]

    @Test(arguments: cases) func finds(_ one: Case) throws {
        let window = try Window.small()
        let recorder = Recorder(window, redaction: try Redaction(one.patterns))
        let bytes = ProcessFields { $0.arguments = Array(arguments: one.arguments) }.bytes
        recorder.record(bytes)
        let stored = try #require(window.all.first).bytes
        guard let kept = one.kept else {
            #expect(stored == bytes)
            return
        }
        let expected = ProcessFields {
            $0.arguments = Array(arguments: kept)
            $0.flags |= EBEE_ARGUMENTS_REDACTED.rawValue
        }.bytes
        #expect(stored == expected)
    }

    /// What is left of a process's arguments.
    private struct Kept {
        let arguments: [UInt8]
        let count: Int
        let isCut: Bool
        let isRedacted: Bool

        init(_ stored: Stored?) throws {
            let bytes = try #require(stored).bytes
            let record = try unsafe ProcessRecord(bytes.span.bytes)
            arguments = Array(bytes[record.arguments])
            count = unsafe record.argumentRanges(in: bytes.span.bytes).count
            isCut = record.has(EBEE_ARGUMENTS_CUT)
            isRedacted = record.has(EBEE_ARGUMENTS_REDACTED)
        }
    }

    /// What is missing at the end is taken for what the pattern asks for.
    @Test func cutArguments() throws {
        func kept(_ pattern: String, _ arguments: [UInt8]) throws -> [UInt8]? {
            let window = try Window.small()
            let recorder = Recorder(window, redaction: try Redaction([pattern]))
            recorder.record(
                ProcessFields {
                    $0.arguments = arguments
                    $0.flags |= EBEE_ARGUMENTS_CUT.rawValue
                }.bytes)
            let kept = try Kept(window.all.first)
            #expect(kept.isCut)
            return kept.isRedacted ? kept.arguments : nil
        }
        #expect(try kept("p=***,end", Array("a\0p=gehei".utf8)) == Array("a\0p=***".utf8))
        #expect(try kept("p=***,end", Array("p=gehei\0a".utf8)) == nil)
        #expect(try kept("*** --secret", Array("a\0gehei".utf8)) == Array("a\0***".utf8))
        #expect(try kept("*** --secret", Array("gehei\0--sec".utf8)) == Array("***\0***".utf8))
        #expect(try kept("p=***", Array("a\0p".utf8)) == nil)
    }

    /// Three bytes in the place of one: what has no room any more is cut off, as the kernel's programs would have.
    @Test func noRoom() throws {
        let window = try Window.small()
        let recorder = Recorder(window, redaction: try Redaction(["***"]))
        let count = Int(EBEE_ARGUMENTS_MAX) / 2
        recorder.record(ProcessFields { $0.arguments = Array(arguments: Array(repeating: "x", count: count)) }.bytes)
        let kept = try Kept(window.all.first)
        #expect(kept.isCut && kept.isRedacted)
        let whole = Array(arguments: Array(repeating: "***", count: count))
        #expect(kept.arguments == Array(whole.prefix(Int(EBEE_ARGUMENTS_MAX))))
    }

    /// Of a deletion too, and from the moment on when it is set.
    @Test func setLater() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        func record(_ sequence: UInt64) {
            recorder.record(
                ProcessFields {
                    $0.kind = EBEE_PROCESS.rawValue
                    $0.sequence = sequence
                    $0.arguments = Array(arguments: ["a", "p=x"])
                }.bytes)
        }
        record(1)
        recorder.redactions.set(try Redaction(["p=***"]))
        record(2)
        recorder.redactions.set(.nothing)
        record(3)
        #expect(try window.all.map { try Kept($0).isRedacted } == [false, true, false])
    }

    /// A secret that is found is nowhere in the window, whatever stands around it.
    @Test func anywhere() throws {
        var random = SeededGenerator(7)
        let secret = "S3cr3t!"
        for _ in 0..<2000 {
            let window = try Window.small()
            let recorder = Recorder(window, redaction: try Redaction(["--p=***", "-p ***", "*://*:***@*"]))
            var arguments: [String] = []
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                switch Int.random(in: 0..<5, using: &random) {
                case 0: arguments.append("--p=\(secret)")
                case 1: arguments += ["-p", secret]
                case 2: arguments.append("x://u:\(secret)@h:1@\(["", "y", "@"].randomElement(using: &random) ?? "")")
                default: arguments.append(String(repeating: "p=-:@/", count: Int.random(in: 0...2, using: &random)))
                }
            }
            recorder.record(ProcessFields { $0.arguments = Array(arguments: arguments) }.bytes)
            let kept = try Kept(window.all.first)
            #expect(!String(decoding: kept.arguments, as: UTF8.self).contains("S3cr"), "\(arguments)")
            #expect(kept.count == arguments.count)
        }
    }

    @Test(arguments: [
        ("", "1 to 256 bytes"), (String(repeating: "x", count: 257) + "***", "1 to 256 bytes"), ("a\0***", "NUL"),
        ("a  ***", "one space"), (" ***", "one space"), ("*** ", "one space"), ("a", "one secret"),
        ("*** ***", "one secret"), ("***x***", "one secret"), ("** ***", "the word **"), ("*** ** a", "the word **"),
        ("a **", "one secret"), ("a****", "beside the secret"), ("x* a****b", "beside the secret"),
        ("a**b ***", "no other stars"), ("a ** ** ***", "the word **"),
    ])
    func whatIsNoPattern(text: String, expected: String) {
        do throws(RedactionError) {
            _ = try Redaction([text])
            Issue.record("\(text) is taken")
        } catch {
            #expect(error.expected.contains(expected), "\(error.expected)")
        }
    }

    @Test func tooMany() {
        #expect(throws: RedactionError.self) { try Redaction(Array(repeating: "***", count: 65)) }
    }
}
