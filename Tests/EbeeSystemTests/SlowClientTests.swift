import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Clients that come in masses, do nothing, or take nothing: they end, or cost little, and others get their answers.
    @Suite(.requiresKernel) struct SlowClients {
        private static let quiet = "[exec]\njournal = false\n[deletes]\njournal = false\n"
        /// Two seconds; a debug build, which nobody runs, has more.
        private static let patience = ProcessInfo.processInfo.environment["EBEE_EBEED"] == nil ? 30.0 : 2.0
        /// What a connection may cost: half a request and a stretch of an answer, and what the libraries keep for it.
        private static let bytesPerClient: Int64 = 64 << 10

        /// How long a well-behaved client waits.
        private func honest(_ socket: Socket, _ question: String = #""request":"recent","limit":1"#) throws -> Double {
            let start = monotonic()
            let lines = try socket.ask("{\"id\":\"ok\",\(question)}")
            #expect(lines.last?["done"] != nil)
            return monotonic() - start
        }

        private func memory(_ recorder: Recorder) throws -> Int64 {
            try #require(try recorder.status()["memory_bytes"]?.integer)
        }

        private func clients(_ recorder: Recorder) throws -> Int64 {
            try recorder.status()["clients"]?.integer ?? 9999
        }

        /// For this process and those that it starts.
        private func allowDescriptors(_ count: rlim_t) {
            var limit = rlimit()
            unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            limit.rlim_cur = max(limit.rlim_cur, min(count, limit.rlim_max))
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }

        @Test("1,000 connections that never finish a request") func thousand() throws {
            allowDescriptors(4096)
            let recorder = try Recorder(Self.quiet + "[server]\nclients = 1100\nidle_seconds = 8\n")
            let before = try memory(recorder)
            let start = monotonic()
            let sockets = try (0..<1000).map { _ in try Socket(recorder.socket) }
            for (index, socket) in sockets.enumerated() where index % 2 == 0 {
                socket.send(Array("{\"id\":1,\"request\":\"rec".utf8))
            }
            var longest = 0.0
            while monotonic() - start < 5 {
                longest = max(longest, try honest(try Socket(recorder.socket)))
                usleep(200_000)
            }
            #expect(longest < Self.patience)
            #expect(try clients(recorder) >= 1000)
            let growth = try memory(recorder) - before
            #expect(growth < 1000 * Self.bytesPerClient, "grew by \(growth >> 20) MiB")
            print("1,000 connections: \(growth >> 10) KiB, the longest answer took \(longest) s")
            // None of them asks: they all go.
            let gone = try wait(seconds: 20) { try clients(recorder) <= 1 ? true : nil }
            #expect(gone == true)
            #expect(try sockets[1].line()?["error", "code"] == .string("idle"))
            #expect(try sockets[1].line() == nil && sockets[1].isEnded)
        }

        @Test("1,000 connections of one user leave room for everybody else") func thousandOfOne() throws {
            allowDescriptors(4096)
            let recorder = try Recorder()
            let sockets = try (0..<1000).map { _ in try Socket(recorder.socket, as: Users.ana) }
            #expect(try honest(try Socket(recorder.socket)) < Self.patience)
            #expect(try honest(try Socket(recorder.socket, as: Users.bob)) < Self.patience)
            #expect(try clients(recorder) <= 17)
            for socket in sockets.suffix(900) {
                #expect(try socket.line()?["error", "code"] == .string("too_many_clients"))
            }
            #expect(try honest(sockets[0]) < Self.patience)
        }

        @Test("more connections than descriptors: those that come later wait, and get their answers") func descriptors()
            throws
        {
            let recorder = try Recorder(Self.quiet + "[server]\nidle_seconds = 3\n")
            let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(recorder.pid)/fd").count
            try must("prlimit", "--pid", "\(recorder.pid)", "--nofile=\(open + 20):")
            let sockets = try (0..<50).map { _ in try Socket(recorder.socket) }
            // The listening goes on, and those that do nothing leave their descriptors to others.
            #expect(try honest(try Socket(recorder.socket)) < 3 * 3 + Self.patience)
            #expect(
                recorder.errors.components(separatedBy: "accept a connection: EMFILE").count == 2, "\(recorder.errors)")
            for socket in sockets { socket.close() }
            #expect(try honest(try Socket(recorder.socket)) < Self.patience)
        }

        @Test("who asks nothing is closed: silent, half a line, a byte at a time; a tail is not") func idle() throws {
            let recorder = try Recorder(Self.quiet + "[server]\nidle_seconds = 2\n")
            let silent = try Socket(recorder.socket)
            let slow = try Socket(recorder.socket)
            let tail = try Socket(recorder.socket)
            tail.send(#"{"id":1,"request":"tail","filter":{"pid":[]}}"#)
            let start = monotonic()
            let line = Array(#"{"id":1,"request":"recent","limit":1,"filter":{}}"#.utf8)
            var ended: Double?
            for byte in line {
                guard slow.send([byte]) else {
                    ended = monotonic() - start
                    break
                }
                usleep(250_000)
            }
            #expect(try #require(ended) < 6)
            #expect(try slow.line()?["error", "code"] == .string("idle"))
            #expect(try silent.line()?["error", "code"] == .string("idle"))
            #expect(try silent.line() == nil && silent.isEnded)
            // Answered all the while, and not counted from the first request on.
            #expect(try honest(tail, #""request":"status""#) < Self.patience)
            let busy = try Socket(recorder.socket)
            for _ in 0..<8 {
                #expect(try honest(busy) < Self.patience)
                usleep(500_000)
            }
        }

        @Test("who takes nothing of an answer is closed; who takes it slowly gets all of it") func stalled() throws {
            let recorder = try Recorder(Self.quiet + "[server]\nstalled_seconds = 2\nidle_seconds = 1\n")
            let load = try must(Binary.load, "--deletions", "10000", "--executions", "0", "--seconds", "1", seconds: 60)
            let made = try #require(try Value(parsing: load.output)["deletions"]?.integer)
            try recorder.settle()
            let question = #"{"id":1,"request":"recent","stream":"deletes"}"#
            let stalled = try Socket(recorder.socket)
            stalled.send(question)
            let slow = try Socket(recorder.socket)
            slow.send(question)
            slow.endRequests()
            var lines: Int64 = 0
            var done: Value?
            while let line = try slow.line() {
                lines += 1
                done = line["done"] ?? done
                // Slower than both limits, never stopping for as long as one.
                if lines % 500 == 0 { usleep(300_000) }
            }
            #expect(made > 1000 && lines > made)
            #expect(try #require(done)["matched"] == .integer(lines - 1))
            let gone = try wait(seconds: 10) { try clients(recorder) <= 1 ? true : nil }
            #expect(gone == true)
            #expect(try stalled.lastLine(seconds: 5) == nil, "cut off")
        }

        @Test("a last piece that the client hasn't taken is not thrown away") func unflushed() throws {
            let recorder = try Recorder(Self.quiet + "[server]\nidle_seconds = 1\n")
            try must(Binary.load, "--deletions", "1000", "--executions", "0", "--seconds", "1", seconds: 60)
            try recorder.settle()
            // As much as stays between daemon and client when the client doesn't read: the answer has ended, and is not there.
            for limit in stride(from: 200, through: 440, by: 20) {
                let socket = try Socket(recorder.socket)
                socket.send("{\"id\":1,\"request\":\"recent\",\"stream\":\"deletes\",\"limit\":\(limit)}")
                if limit % 40 == 0 { socket.endRequests() }
                usleep(1_700_000 / 10)
                if limit == 440 { usleep(3_000_000) }
                let answer = try socket.answer()
                #expect(answer.count >= limit && answer.last?["done", "matched"] == .integer(Int64(limit)))
            }
        }

        @Test("100,000 requests on one connection") func manyRequests() throws {
            let recorder = try Recorder()
            let before = try memory(recorder)
            let socket = try Socket(recorder.socket)
            let count = 100_000
            let descriptor = socket.descriptor
            let sender = Thread {
                for start in stride(from: 0, to: count, by: 100) {
                    let lines = (start..<start + 100).map { "{\"id\":\($0),\"request\":\"recent\",\"limit\":0}\n" }
                    guard Socket.send(Array(lines.joined().utf8), to: descriptor) else { return }
                }
            }
            sender.start()
            let other = try Socket(recorder.socket)
            var seen = [Int](repeating: 0, count: count)
            var refused = 0
            var answered = 0
            var longest = 0.0
            for index in 0..<count {
                guard let line = try socket.line(), let id = line["id"]?.integer else {
                    throw HarnessError("no answer after \(index)")
                }
                if line["error", "code"] == .string("too_many_requests") {
                    refused += 1
                } else {
                    answered += line["done"] != nil ? 1 : 0
                }
                seen[Int(id)] += 1
                if index % 10_000 == 0 { longest = max(longest, try honest(other)) }
            }
            #expect(seen.allSatisfy { $0 == 1 })
            #expect(answered > 0 && answered + refused == count && longest < Self.patience)
            let growth = try memory(recorder) - before
            #expect(growth < 16 << 20, "grew by \(growth >> 20) MiB")
            print(
                "100,000 requests: \(refused) refused, \(growth >> 10) KiB, the longest other answer took \(longest) s")
        }

        @Test("answers of the whole window that match nothing, by the worst of globs") func costly() throws {
            let recorder = try Recorder()
            let place = try Place()
            // Paths in which the glob below begins to fit everywhere.
            let deep = place((0..<11).map { _ in String(repeating: "a", count: 250) }.joined(separator: "/"))
            try must("mkdir", "-p", deep)
            try must(
                Binary.load, "--deletions", "3000", "--executions", "0", "--seconds", "2", "--directory", deep,
                seconds: 60)
            try recorder.settle()
            let glob = "*" + String(repeating: "?", count: 500) + "\\u0001*"
            let questions = [
                #""request":"recent","filter":{"path":["\#(glob)"],"failed":true}"#,
                #""request":"recent","reverse":true,"filter":{"path":["\#(glob)"],"failed":true}"#,
                #""request":"recent","limit":5,"filter":{"path":["\#(glob)"],"failed":true}"#,
                #""request":"tail","backlog":5,"filter":{"path":["\#(glob)"],"failed":true}"#,
            ]
            let hostile = try (0..<8).map { _ in try Socket(recorder.socket) }
            for socket in hostile {
                for id in 0..<8 { socket.send("{\"id\":\(id),\(questions[id % 4])}") }
            }
            var longest = 0.0
            let start = monotonic()
            var asked = 0
            while monotonic() - start < 6 {
                longest = max(longest, try honest(try Socket(recorder.socket), #""request":"status""#))
                asked += 1
                usleep(50_000)
            }
            #expect(longest < Self.patience)
            print("64 costly questions under way: \(asked) others answered, the longest in \(longest) s")
        }

        @Test("a suspended tail under load is told exactly how much it missed") func suspended() throws {
            let recorder = try Recorder(
                "[exec]\nrecord = false\n[deletes]\njournal = false\nwindow_bytes = 1048576\n")
            let place = try Place()
            let arguments = recorder.ebeectlCommand(["tail", "deletes", "--failed", "-o", "json"])
            let suspended = try Child(arguments)
            let reading = try Child(arguments)
            // Both are there when they show the same deletion.
            func see(_ name: String) throws {
                try place.file(name)
                try must("rm", place(name))
                for child in [suspended, reading] {
                    let isSeen = child.read(seconds: 30) {
                        String(decoding: $0.outputBytes.suffix(1 << 20), as: UTF8.self).contains(place(name))
                    }
                    #expect(isSeen, "\(name)")
                }
            }
            let isReady = try wait(seconds: 20) { try clients(recorder) >= 3 ? true : nil }
            #expect(isReady == true)
            try see("first")
            suspended.signal(SIGSTOP)
            let load = try Child([Binary.load, "--deletions", "3000", "--executions", "0", "--seconds", "5"])
            while try load.wait(seconds: 0) == nil { reading.read(seconds: 0.2) }
            let made = try load.finish(seconds: 10)
            suspended.signal(SIGCONT)
            try see("last")
            struct Account { var delivered: Int64 = 0, lost: Int64 = 0, evicted: Int64 = 0, ofLoad: Int64 = 0 }
            let pid = try Value(parsing: made.output)["pid"]
            func account(_ child: Child) throws -> Account {
                var account = Account()
                var isBetween = false
                for line in child.outputBytes.split(separator: 10) {
                    let event = try Value(parsing: line)
                    if event.path == place("last") { return account }
                    if event["event"] == .string("lost") {
                        let count = try #require(event["count"]?.integer)
                        account.lost += count
                        if event["why"] == .string("evicted") { account.evicted += count }
                    } else if isBetween {
                        account.delivered += 1
                        if event["process", "pid"] == pid, event.how == "unlink" { account.ofLoad += 1 }
                    }
                    if event.path == place("first") { isBetween = true }
                }
                throw HarnessError("it never saw the last deletion")
            }
            let slow = try account(suspended)
            let fast = try account(reading)
            #expect(slow.evicted > 0)
            #expect(slow.delivered + slow.lost == fast.delivered + fast.lost)
            let deletions = try #require(try Value(parsing: made.output)["deletions"]?.integer)
            if fast.lost == 0 { #expect(fast.ofLoad == deletions) }
            print("\(deletions) deletions; suspended: \(slow); reading: \(fast)")
            for child in [suspended, reading] { child.signal(SIGTERM) }
        }
    }
}
