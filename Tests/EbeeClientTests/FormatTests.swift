import EbeeProtocol
import Testing

@testable import EbeeClient

@Suite struct FormatTests {
    @Test func splicesNames() {
        var splicer = UserNameSplicer(users: Users { [0: "root", 5: "a\"b"][$0] })
        func spliced(_ line: String) -> String { text(splicer.splice(bytes(line))) }
        #expect(
            spliced(#"{"user":{"id":0},"login_user":{"id":5}}"#)
                == #"{"user":{"id":0,"name":"root"},"login_user":{"id":5,"name":"a\"b"}}"#)
        // Unknown, named already, another key, not a number, beyond a uid, cut short: as they were.
        for line in [
            #"{"user":{"id":7}}"#, #"{"user":{"id":0,"name":"x"}}"#, #"{"effective_user":{"id":0}}"#,
            #"{"user":{"id":-1}}"#, #"{"user":{"id":}}"#, #"{"user":{"id":4294967296}}"#, #"{"user":{"id":0"#, "",
            #"{"path":"\"user\":{\"id\":0}"}"#, #"{"path":"user","x":"\\\"user\":{\"id\":0}"}"#,
        ] {
            #expect(spliced(line) == line)
        }
    }

    /// A name that somebody chose is never taken for a user, whatever it is.
    @Test func splicingLeavesStringsAlone() throws {
        var generator = SeededGenerator(state: 8)
        var splicer = UserNameSplicer(users: Users { _ in "root" })
        let parts = ["\"", "\\", "user", "login_", ":", "{", "id", "0", "}", ",", #""user":{"id":0}"#]
        for _ in 0..<2000 {
            let name = (0..<12).map { _ in parts.randomElement(using: &generator) ?? "" }.joined()
            let line = #"{"path":\#(JSON.quoted(name)),"user":{"id":0}}"#
            let result = try JSON(parsing: Array(splicer.splice(bytes(line))))
            #expect(result["path"]?.string == name)
            #expect(result["user"]?["name"]?.string == "root")
        }
    }

    @Test func prettyPrints() {
        #expect(
            text(prettyJSON(bytes(#"{"a":[1,{"b":"{,}\"[:"}],"c":{},"d":[ ], "e" : -1.50e+3}"#))) == #"""
                {
                  "a": [
                    1,
                    {
                      "b": "{,}\"[:"
                    }
                  ],
                  "c": {},
                  "d": [],
                  "e": -1.50e+3
                }
                """#)
    }

    @Test func prettyPrintingLosesNothing() throws {
        var generator = SeededGenerator(state: 9)
        func value(_ depth: Int) -> String {
            switch Int.random(in: 0...(depth > 4 ? 2 : 4), using: &generator) {
            case 0: return JSON.quoted(text(hostileBytes(count: 12, using: &generator)))
            case 1: return ["0", "-1.50e+3", "18446744073709551616", "1E400"].randomElement(using: &generator) ?? ""
            case 2: return ["true", "null"].randomElement(using: &generator) ?? ""
            case 3:
                return "["
                    + (0..<Int.random(in: 0...3, using: &generator)).map { _ in value(depth + 1) }.joined(
                        separator: ",") + "]"
            default:
                let members = (0..<Int.random(in: 0...3, using: &generator)).map { _ in "\"k\":" + value(depth + 1) }
                return "{" + members.joined(separator: ",") + "}"
            }
        }
        for _ in 0..<300 {
            let line = value(0)
            let pretty = prettyJSON(bytes(line))
            #expect(try JSON(parsing: Array(pretty)) == JSON(parsing: Array(line.utf8)))
            #expect(text(prettyJSON(pretty)) == text(pretty))
        }
    }

    @Test func csv() throws {
        var csv = CSVFormatter(isForTerminal: false, users: Users { $0 == 0 ? "root" : nil })
        let columns = csv.header().dropLast().split(separator: ",").map { String($0) }
        #expect(Set(columns).count == columns.count)
        func fields(_ event: String) throws -> [String: String] {
            let values = parseCSV(text(try csv.format(bytes(event))))
            #expect(values.count == columns.count)
            return Dictionary(uniqueKeysWithValues: zip(columns, values)).filter { !$0.value.isEmpty }
        }
        #expect(
            try fields(Fixture.rm) == [
                "event": "exec", "time": "2026-11-23T06:45:01.123456789Z", "pid": "4312", "ppid": "4000", "comm": "rm",
                "exe": "/usr/bin/rm", "args": "rm -rf 'a b' ''", "uid": "0", "user": "root", "login_uid": "4294967290",
                "unit": "ci.service", "exit_code": "0", "duration_ns": "1200000", "cursor": "c",
            ])
        #expect(
            try fields(Fixture.renamed) == [
                "event": "delete", "time": "2026-11-23T06:45:02.5Z", "pid": "7", "comm": "mv", "args": "mv new x",
                "uid": "0", "user": "root", "result": "success", "how": "rename", "path": "/srv/\u{fffd}\nb",
                "path_raw": "L3Nydi//CmI=", "replaced_by": "/srv/new", "type": "file", "size": "4096", "cursor": "d",
            ])
        #expect(
            try fields(Fixture.lost) == [
                "event": "lost", "stream": "delete", "count": "17", "from": "2026-11-23T06:45:01.2Z",
                "to": "2026-11-23T06:45:01.9Z", "why": "ring_full",
            ])
    }

    @Test(arguments: [
        ("", ""), ("a", "a"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\r\nb", "\"a\r\nb\""), (" a", "\" a\""),
        ("\"", "\"\"\"\""),
    ])
    func csvQuotes(_ field: String, _ expected: String) {
        #expect(CSVFormatter.quoted(field) == expected)
    }

    /// What a reader by RFC 4180 sees.
    private func parseCSV(_ line: String) -> [String] {
        var fields = [""]
        var isQuoted = false
        for character in line.unicodeScalars.dropLast() {
            if character == "\"" {
                isQuoted.toggle()
            } else if character == ",", !isQuoted {
                fields.append("")
            } else {
                fields[fields.count - 1].unicodeScalars.append(character)
            }
        }
        return fields
    }

    private struct Unexpected: Error {}

    @Test func replies() throws {
        func reply(_ line: String) throws -> Reply { try Reply(line: Array(line.utf8), id: .integer(1)) }
        guard case .event(let event) = try reply(#"{"id":1,"event":"exec","n":1.50}"#) else { throw Unexpected() }
        #expect(text(event) == #"{"event":"exec","n":1.50}"#)
        guard case .status(let status) = try reply(#"{"id":1,"status":{"a":{}}}"#) else { throw Unexpected() }
        #expect(text(status) == #"{"a":{}}"#)
        guard case .done = try reply(#"{"id":1,"done":{}}"#) else { throw Unexpected() }
        guard case .error("stopping", "bye") = try reply(#"{"error":{"code":"stopping","message":"bye"}}"#) else {
            throw Unexpected()
        }
        guard case .other = try reply(#"{"id":1,"later":{}}"#) else { throw Unexpected() }
        #expect(throws: ClientFailure.self) { try reply("{") }
    }

    @Test(arguments: [
        (0, "0"), (1023, "1023"), (1024, "1.0K"), (4096, "4.0K"), (10_239, "9.9K"), (10_240, "10K"),
        (1_048_575, "1023K"),
        (1_048_576, "1.0M"), (123_456_789, "117M"), (Int64.max, "7.9E"),
    ])
    func sizes(_ bytes: Int64, _ expected: String) {
        #expect(HumanUnits.size(bytes) == expected)
    }

    @Test(arguments: [
        (0, "0ns"), (999, "999ns"), (1500, "1µs"), (1_250_000, "1.2ms"), (3_450_000_000, "3.45s"),
        (60_000_000_000, "1m"),
        (123_000_000_000, "2m3s"), (3_720_000_000_000, "1h2m"), (273_600_000_000_000, "3d4h"),
    ])
    func durations(_ nanoseconds: Int64, _ expected: String) {
        #expect(HumanUnits.duration(nanoseconds) == expected)
    }

    @Test func grouping() {
        #expect(
            [0, 999, 1000, -1000, 1_234_567, -123].map(HumanUnits.grouped) == [
                "0", "999", "1,000", "-1,000", "1,234,567", "-123",
            ])
    }

    @Test func closingLines() throws {
        let now = try #require(RFC3339.parse("2026-11-23T10:05:00Z"))
        let clock = ReaderClock(now: now, zone: .utc())
        let minute: Int64 = 60_000_000_000
        func line(_ matched: Int64, complete: Bool, lost: Int64, since: Moment? = nil, _ stream: EventStream = .deletes)
            -> String
        {
            closingLine(
                Completeness(matched: matched, complete: complete, from: now - 5 * minute, to: now, lost: lost),
                asked: Recent(stream: stream, since: since), clock: clock)
        }
        #expect(line(3, complete: true, lost: 0) == "3 deletions from 10:00:00 to 10:05:00, complete")
        #expect(line(1, complete: true, lost: 0, .exec) == "1 execution from 10:00:00 to 10:05:00, complete")
        #expect(
            line(0, complete: false, lost: 17, .all)
                == "0 events from 10:00:00 to 10:05:00, NOT complete: 17 events lost")
        #expect(
            line(3, complete: false, lost: 17, since: .ago(nanoseconds: 60 * minute))
                == "3 deletions from 10:00:00 to 10:05:00, NOT complete: recording began at 10:00:00, 17 events lost")
        #expect(
            line(3, complete: false, lost: 0, since: .ago(nanoseconds: 60 * minute))
                == "3 deletions from 10:00:00 to 10:05:00, NOT complete: recording began at 10:00:00")
        #expect(
            line(3, complete: false, lost: 1, since: .ago(nanoseconds: 5 * minute))
                == "3 deletions from 10:00:00 to 10:05:00, NOT complete: 1 event lost")
    }
}
