import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Whatever a client sends or fails to read, it gets an error with a code or an orderly close, others get their answers,
    /// and the daemon lives in bounded memory.
    @Suite(.requiresKernel, .recorder) struct HostileClients {
        /// Two seconds; a debug build, which nobody runs, has more.
        private static let patience = ProcessInfo.processInfo.environment["EBEE_EBEED"] == nil ? 30.0 : 2.0

        /// A well-behaved client is answered in time.
        private func expectAnswers(_ recorder: Recorder, sourceLocation: SourceLocation = #_sourceLocation) throws {
            let start = monotonic()
            let lines = try Socket(recorder.socket).ask(#"{"id":"ok","request":"recent","limit":1}"#)
            let took = monotonic() - start
            #expect(lines.last?["done"] != nil, sourceLocation: sourceLocation)
            #expect(took < Self.patience, sourceLocation: sourceLocation)
        }

        private func memory(_ recorder: Recorder) throws -> Int64 {
            try #require(try recorder.status()["memory_bytes"]?.integer)
        }

        @Test(
            "what is no request gets its code, and the connection goes on",
            arguments: [
                ("{", "bad_json"), ("[]", "bad_json"), ("\"x\"", "bad_json"), ("", "bad_json"), ("{} {}", "bad_json"),
                (#"{"id":1,"request":"recent",}"#, "bad_json"), ("\u{0}", "bad_json"),
                ("{\"id\":1,\"request\":\"recent\u{0}\"}", "bad_json"), ("nonsense", "bad_json"),
                (String(repeating: "[", count: 50_000), "bad_json"),
                (
                    "{\"id\":1,\"request\":\"recent\",\"filter\":" + String(repeating: "{\"a\":", count: 5000) + "1"
                        + String(repeating: "}", count: 5001), "bad_json"
                ),
                ("{}", "bad_request"), (#"{"id":1}"#, "bad_request"), (#"{"request":"status"}"#, "bad_request"),
                (#"{"id":1.5,"request":"status"}"#, "bad_request"), (#"{"id":null,"request":"status"}"#, "bad_request"),
                (#"{"id":1,"request":"recent","filter":{"pdi":[1]}}"#, "bad_request"),
                (#"{"id":1,"request":"recent","limit":-1}"#, "bad_request"),
                (#"{"id":1,"request":"recent","limit":"1"}"#, "bad_request"),
                (#"{"id":1,"request":"recent","since":"yesterday"}"#, "bad_request"),
                (#"{"id":1,"request":"recent","stream":"everything"}"#, "bad_request"),
                (#"{"id":1,"request":"recent","backlog":1}"#, "bad_request"),
                (#"{"id":1,"request":"status","limit":1}"#, "bad_request"),
                (#"{"id":1,"request":"shutdown"}"#, "unknown_request"), (#"{"id":1,"request":""}"#, "unknown_request"),
            ])
        func malformed(_ line: String, _ code: String) throws {
            let recorder = try Recorder.current
            let socket = try Socket(recorder.socket)
            socket.send(line)
            let error = try #require(try socket.line(), "no answer to \(line.prefix(60))")
            #expect(error["error", "code"] == .string(code), "\(line.prefix(80)): \(error)")
            #expect(error["error", "message"]?.string?.isEmpty == false)
            let after = try socket.ask(#"{"id":"after","request":"status"}"#)
            #expect(after.map { $0["id"] } == [.string("after"), .string("after")])
        }

        @Test("a line of bytes that are not UTF-8") func notText() throws {
            let recorder = try Recorder.current
            let socket = try Socket(recorder.socket)
            socket.send([0xff, 0xfe, 0x00, 0x80, 10])
            #expect(try socket.line()?["error", "code"] == .string("bad_json"))
            socket.send(Array(#"{"id":1,"request":"recent","filter":{"comm":[""#.utf8) + [0xff] + Array("\"]}}\n".utf8))
            #expect(try socket.line()?["error", "code"] == .string("bad_json"))
            try expectAnswers(recorder)
        }

        @Test("a line of 10 MiB: too_long, and closed") func tooLong() throws {
            let recorder = try Recorder.current
            let before = try memory(recorder)
            for _ in 0..<5 {
                let socket = try Socket(recorder.socket)
                // Refused before it is all sent, or after.
                socket.send([UInt8](repeating: 0x61, count: 10 << 20))
                #expect(try socket.line()?["error", "code"] == .string("too_long"))
                #expect(try socket.line() == nil)
                #expect(socket.isEnded)
            }
            try expectAnswers(recorder)
            #expect(try memory(recorder) - before < 10 << 20)
        }

        @Test("half a line and a closed socket, many times") func half() throws {
            let recorder = try Recorder.current
            for _ in 0..<100 {
                let socket = try Socket(recorder.socket)
                socket.send(Array(#"{"id":1,"request":"rec"#.utf8))
                socket.close()
            }
            try expectAnswers(recorder)
            let gone = try wait { try recorder.status()["clients"]?.integer ?? 99 <= 1 ? true : nil }
            #expect(gone == true)
        }

        @Test("200 connections that ask and never read") func neverRead() throws {
            let recorder = try Recorder()
            // Enough that no socket's buffers hold the answers.
            try must(Binary.load, "--deletions", "10000", "--executions", "200", "--seconds", "2", seconds: 60)
            try recorder.settle()
            let before = try memory(recorder)
            var sockets: [Socket] = []
            for _ in 0..<200 {
                let socket = try Socket(recorder.socket)
                socket.send(#"{"id":1,"request":"recent"}"# + "\n" + #"{"id":2,"request":"tail"}"#)
                sockets.append(socket)
            }
            for _ in 0..<10 {
                try expectAnswers(recorder)
                usleep(100_000)
            }
            try must(Binary.load, "--deletions", "5000", "--executions", "100", "--seconds", "2", seconds: 60)
            try expectAnswers(recorder)
            let growth = try memory(recorder) - before
            // A stretch or two of an answer for each request, not the answers.
            #expect(growth < 64 << 20, "grew by \(growth >> 20) MiB")
            #expect(try recorder.status()["clients"]?.integer ?? 0 >= 200)
            for socket in sockets { socket.close() }
            let gone = try wait(seconds: 20) { try recorder.status()["clients"]?.integer ?? 999 <= 1 ? true : nil }
            #expect(gone == true)
            try expectAnswers(recorder)
            #expect(try recorder.stream("deletes")["lost"] == .integer(0))
        }

        /// What a request collects is bounded by the window, but there may be clients times requests of them.
        @Test("100 connections that ask for a backlog of everything and never read") func backlogs() throws {
            let recorder = try Recorder()
            try must(Binary.load, "--deletions", "10000", "--executions", "0", "--seconds", "2", seconds: 60)
            try recorder.settle()
            let before = try memory(recorder)
            let sockets = try (0..<100).map { _ in try Socket(recorder.socket) }
            for socket in sockets { socket.send(#"{"id":1,"request":"tail","backlog":1000000000}"#) }
            usleep(2_000_000)
            try expectAnswers(recorder)
            let growth = try memory(recorder) - before
            #expect(growth < 64 << 20, "grew by \(growth >> 20) MiB")
        }

        @Test("more connections and requests than are allowed") func limits() throws {
            let recorder = try Recorder("[server]\nclients = 3\nrequests = 2\nrequest_bytes = 1024\n")
            let socket = try Socket(recorder.socket)
            for id in 1...3 { socket.send("{\"id\":\(id),\"request\":\"tail\",\"filter\":{\"pid\":[]}}") }
            let refused = try #require(try socket.line())
            #expect(refused["id"] == .integer(3))
            #expect(refused["error", "code"] == .string("too_many_requests"))
            var others = [try Socket(recorder.socket), try Socket(recorder.socket)]
            for other in others { #expect(try other.ask(#"{"id":1,"request":"status"}"#).count == 2) }
            let last = try Socket(recorder.socket)
            #expect(try last.line()?["error", "code"] == .string("too_many_clients"))
            #expect(try last.line() == nil && last.isEnded)
            others.removeAll()
            let isFree = try wait { () -> Bool? in
                let again = try Socket(recorder.socket)
                again.send(#"{"id":1,"request":"status"}"#)
                return try again.line()?["status"] != nil ? true : nil
            }
            #expect(isFree == true)
        }

        @Test("a client that closes its sending side gets its answers, and then the end") func halfClosed() throws {
            let recorder = try Recorder.current
            let socket = try Socket(recorder.socket)
            // The last line needs no end.
            socket.send(
                Array((#"{"id":1,"request":"recent","limit":5}"# + "\n" + #"{"id":"two","request":"status"}"#).utf8))
            socket.endRequests()
            var lines: [Value] = []
            while let line = try socket.line() { lines.append(line) }
            #expect(socket.isEnded)
            #expect(lines.count { $0["id"] == .integer(1) && $0["done"] != nil } == 1)
            #expect(lines.count { $0["id"] == .string("two") && $0["status"] != nil } == 1)
            #expect(lines.count { $0["id"] == .string("two") && $0["done"] != nil } == 1)
        }

        @Test("requests of one connection are answered each under its id") func interleaved() throws {
            let recorder = try Recorder.current
            let socket = try Socket(recorder.socket)
            let ids = (1...8).map { "request \($0)" }
            socket.send(ids.map { "{\"id\":\"\($0)\",\"request\":\"recent\",\"limit\":3}" }.joined(separator: "\n"))
            var counts: [String: Int] = [:]
            var done: [String: Int64] = [:]
            while done.count < ids.count {
                let line = try #require(try socket.line())
                let id = try #require(line["id"]?.string)
                if let matched = line["done", "matched"]?.integer {
                    done[id] = matched
                } else {
                    counts[id, default: 0] += 1
                }
            }
            #expect(Set(done.keys) == Set(ids))
            for id in ids { #expect(done[id] == Int64(counts[id] ?? 0)) }
        }
    }
}
