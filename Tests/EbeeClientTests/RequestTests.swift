import EbeeProtocol
import Testing

@Suite struct RequestTests {
    @Test func readsEverything() throws {
        let request = try Request(
            line: Array(
                #"""
                {"filter":{"pid":[1,2],"ppid":[0],"comm":["rm"],"exe":["/usr/*"],"path":[],"uid":[0,4294967295],
                "unit":["nginx"],"failed":true,"older_than":5},"since":"2026-11-23T06:40:00Z","until":60000000000,
                "limit":3,"reverse":true,"stream":"deletes","request":"recent","id":"a\"b"}
                """#.utf8))
        let filter = Filter(
            pid: [1, 2], ppid: [0], comm: ["rm"], exe: ["/usr/*"], path: [], uid: [0, .max], unit: ["nginx"],
            failed: true, olderThan: 5)
        let recent = Recent(
            stream: .deletes, since: .wall(nanoseconds: 1_795_416_000_000_000_000),
            until: .ago(nanoseconds: 60_000_000_000), limit: 3, reverse: true, filter: filter)
        #expect(request == Request(id: .string("a\"b"), query: .recent(recent)))
        #expect(text(request.id.json) == #""a\"b""#)
    }

    @Test func defaults() throws {
        #expect(try Request(line: Array(#"{"id":1,"request":"recent"}"#.utf8)).query == .recent(Recent()))
        #expect(try Request(line: Array(#"{"id":-7,"request":"tail"}"#.utf8)).query == .tail(Tail()))
        #expect(
            try Request(line: Array(#"{"id":"","request":"status"}"#.utf8)) == Request(id: .string(""), query: .status))
    }

    @Test(
        arguments: [
            // No object.
            ("", ErrorCode.badJSON, "missing", nil),
            ("[]", .badJSON, "object", nil),
            ("7", .badJSON, "object", nil),
            (#"{"id":1,"request":"status""#, .badJSON, "'}'", nil),
            (#"{"id":1,"request":"status"} x"#, .badJSON, "after the end", nil),
            // The id.
            (#"{"request":"status"}"#, .badRequest, "'id' is missing", nil),
            (#"{"id":null,"request":"status"}"#, .badRequest, "'id' must be", nil),
            (#"{"id":1.0,"request":"status"}"#, .badRequest, "'id' must be", nil),
            (#"{"id":1e3,"request":"status"}"#, .badRequest, "'id' must be", nil),
            (#"{"id":9223372036854775808,"request":"status"}"#, .badRequest, "'id' must be", nil),
            (#"{"id":[1],"request":"status"}"#, .badRequest, "'id' must be", nil),
            (#"{"id":1,"id":1,"request":"status"}"#, .badRequest, "'id' is given twice", nil),
            (#"{"id":"\#(String(repeating: "é", count: 33))","request":"status"}"#, .badRequest, "'id' must be", nil),
            // The request.
            (#"{"id":1}"#, .badRequest, "'request' is missing", RequestID.integer(1)),
            (#"{"id":1,"request":7}"#, .badRequest, "'request' must be", .integer(1)),
            (#"{"id":1,"request":"tail","request":"tail"}"#, .badRequest, "'request' is given twice", .integer(1)),
            (#"{"id":1,"request":"delete"}"#, .unknownRequest, "\"delete\"", .integer(1)),
            (#"{"request":"Tail","id":"x"}"#, .unknownRequest, "\"Tail\"", .string("x")),
            // Keys.
            (#"{"id":1,"request":"recent","sicne":5}"#, .badRequest, "\"sicne\"", .integer(1)),
            (#"{"sicne":5,"request":"recent","id":1}"#, .badRequest, "\"sicne\"", .integer(1)),
            (#"{"id":1,"request":"tail","since":5}"#, .badRequest, "\"since\"", .integer(1)),
            (#"{"id":1,"request":"recent","backlog":5}"#, .badRequest, "\"backlog\"", .integer(1)),
            (#"{"id":1,"request":"status","filter":{}}"#, .badRequest, "\"filter\"", .integer(1)),
            (#"{"id":1,"request":"recent","limit":5,"limit":6}"#, .badRequest, "'limit' is given twice", .integer(1)),
            // Types and ranges.
            (#"{"id":1,"request":"recent","stream":"execs"}"#, .badRequest, "'stream'", .integer(1)),
            (#"{"id":1,"request":"recent","stream":null}"#, .badRequest, "'stream'", .integer(1)),
            (#"{"id":1,"request":"recent","since":"yesterday"}"#, .badRequest, "'since'", .integer(1)),
            (#"{"id":1,"request":"recent","since":1.5}"#, .badRequest, "'since'", .integer(1)),
            (#"{"id":1,"request":"recent","until":9223372036854775807}"#, .badRequest, "'until'", .integer(1)),
            (#"{"id":1,"request":"recent","until":-9223372036854775808}"#, .badRequest, "'until'", .integer(1)),
            (
                #"{"id":1,"request":"recent","until":\#(String(repeating: "9", count: 50000))}"#, .badRequest,
                "'until'", .integer(1)
            ),
            (#"{"id":1,"request":"recent","limit":-1}"#, .badRequest, "'limit'", .integer(1)),
            (#"{"id":1,"request":"recent","limit":"5"}"#, .badRequest, "'limit'", .integer(1)),
            (#"{"id":1,"request":"recent","limit":1e9}"#, .badRequest, "'limit'", .integer(1)),
            (#"{"id":1,"request":"recent","reverse":1}"#, .badRequest, "'reverse'", .integer(1)),
            (#"{"id":1,"request":"tail","backlog":9223372036854775808}"#, .badRequest, "'backlog'", .integer(1)),
            // The filter.
            (#"{"id":1,"request":"tail","filter":[]}"#, .badRequest, "'filter' must be an object", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"user":["x"]}}"#, .badRequest, "\"filter.user\"", .integer(1)),
            (
                #"{"id":1,"request":"tail","filter":{"pid":[1],"pid":[2]}}"#, .badRequest,
                "'filter.pid' is given twice", .integer(1)
            ),
            (#"{"id":1,"request":"tail","filter":{"pid":1}}"#, .badRequest, "'filter.pid'", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"pid":["1"]}}"#, .badRequest, "'filter.pid'", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"pid":[-1]}}"#, .badRequest, "'filter.pid'", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"ppid":[2147483648]}}"#, .badRequest, "'filter.ppid'", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"uid":[4294967296]}}"#, .badRequest, "'filter.uid'", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"comm":"rm"}}"#, .badRequest, "'filter.comm'", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"exe":[null]}}"#, .badRequest, "'filter.exe'", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"path":["/x\u0000y"]}}"#, .badRequest, "'filter.path'", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"unit":[{}]}}"#, .badRequest, "'filter.unit'", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"failed":"yes"}}"#, .badRequest, "'filter.failed'", .integer(1)),
            (#"{"id":1,"request":"tail","filter":{"older_than":-1}}"#, .badRequest, "'filter.older_than'", .integer(1)),
        ] as [(String, ErrorCode, String, RequestID?)])
    func refuses(_ line: String, _ code: ErrorCode, _ words: String, _ id: RequestID?) {
        do {
            _ = try Request(line: Array(line.utf8))
            Issue.record("accepted")
        } catch {
            #expect(error.code == code)
            #expect(error.message.contains(words))
            #expect(error.id == id)
            #expect(throws: Never.self) { try JSON(parsing: Array(error.line.dropLast())) }
        }
    }

    @Test func messagesAreBounded() throws {
        let key = String(repeating: "k", count: 60_000)
        do {
            _ = try Request(line: Array(#"{"id":1,"request":"tail","\#(key)":1}"#.utf8))
            Issue.record("accepted")
        } catch {
            #expect(error.message.utf8.count < 200)
        }
    }

    @Test func linesReadBack() throws {
        var generator = SeededGenerator(state: 4)
        func strings() -> [String]? {
            Bool.random(using: &generator)
                ? nil
                : (0..<Int.random(in: 0...3, using: &generator)).map { _ in
                    text(hostileBytes(count: 9, using: &generator))
                }
        }
        func moment() -> Moment? {
            let value = Int64.random(in: -Limits.relativeNanoseconds...Limits.relativeNanoseconds, using: &generator)
            return [nil, .ago(nanoseconds: value), .wall(nanoseconds: value)].randomElement(using: &generator) ?? nil
        }
        for round in 0..<500 {
            let filter = Filter(
                pid: round % 2 == 0 ? nil : [.max, 0], comm: strings(), exe: strings(), path: strings(),
                uid: round % 3 == 0 ? nil : [.max], unit: strings(), failed: round % 5 == 0,
                olderThan: round % 7 == 0 ? .max : nil)
            let stream = EventStream.allCases[round % 3]
            let query: Request.Query =
                switch round % 4 {
                case 0: .tail(Tail(stream: stream, backlog: round, filter: filter))
                case 1: .status
                default:
                    .recent(
                        Recent(
                            stream: stream, since: moment(), until: moment(), limit: round % 2 == 0 ? round : nil,
                            reverse: round % 8 < 4, filter: filter))
                }
            let id = round % 2 == 0 ? RequestID.integer(Int64(round)) : .string("\(round)\"\\\0é")
            let request = Request(id: id, query: query)
            #expect(request.line.last == UInt8(ascii: "\n"))
            #expect(!request.line.dropLast().contains(UInt8(ascii: "\n")))
            #expect(try Request(line: Array(request.line.dropLast())) == request)
        }
    }

    @Test func momentsDoNotOverflow() {
        #expect(Moment.ago(nanoseconds: 5).nanoseconds(now: 7) == 2)
        #expect(Moment.ago(nanoseconds: .max).nanoseconds(now: .min) == .min)
        #expect(Moment.ago(nanoseconds: .min).nanoseconds(now: .max) == .max)
        #expect(Moment.wall(nanoseconds: 3).nanoseconds(now: 7) == 3)
    }

    @Test func ends() throws {
        let account = Completeness(matched: 2, complete: true, from: 0, to: 300_000_000_000, lost: 0)
        #expect(
            text(account.line(id: .integer(1)))
                == #"{"id":1,"done":{"matched":2,"complete":true,"from":"1970-01-01T00:00:00.000000000Z","to":"1970-01-01T00:05:00.000000000Z","lost":0}}"#
                + "\n")
        #expect(Completeness(try JSON(parsing: Array(account.json.utf8))) == account)
        #expect(text(Completeness.emptyLine(id: .string("x"))) == #"{"id":"x","done":{}}"# + "\n")
        #expect(
            text(RequestError(.badJSON, "a \"b\"").line)
                == #"{"error":{"code":"bad_json","message":"a \"b\""}}"# + "\n")
        #expect(
            ErrorCode.allCases.filter(\.closesConnection) == [
                .tooLong, .tooManyClients, .notPermitted, .idle, .stopping,
            ])
    }
}
