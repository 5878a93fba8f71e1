import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Load: every event that was made is in the window or counted as lost. Nothing here depends on how fast the machine is.
    @Suite(.requiresKernel) struct Load {
        @Test("20,000 deletions and 1,000 executions a second for 5 s") func rates() throws {
            let recorder = try Recorder()
            let command = "--deletions 20000 --executions 1000 --seconds 5".split(separator: " ").map(String.init)
            let finished = try run(([Binary.load] + command).map { Array($0.utf8) }, seconds: 120)
            #expect(finished.status == 0)
            let made = try Value(parsing: finished.output)
            print("ebee-load: \(finished.text)", terminator: "")
            try recorder.settle()
            let pid = try #require(made["pid"]?.integer)
            let deletions = try count(
                recorder, "\"stream\":\"deletes\",\"filter\":{\"pid\":[\(pid)],\"path\":[\"/dev/shm/ebee-load-*/*\"]}")
            let executions = try count(recorder, "\"stream\":\"exec\",\"filter\":{\"ppid\":[\(pid)]}")
            let lostDeletions = try #require(try recorder.stream("deletes")["lost"]?.integer)
            let lostExecutions = try #require(try recorder.stream("exec")["lost"]?.integer)
            let madeDeletions = try #require(made["deletions"]?.integer)
            let madeExecutions = try #require(made["executions"]?.integer)
            // Others make events too, and some of those that were lost may be theirs.
            #expect(deletions <= madeDeletions && deletions + lostDeletions >= madeDeletions)
            #expect(executions <= madeExecutions && executions + lostExecutions >= madeExecutions)
            #expect(lostDeletions == 0 && deletions == madeDeletions)
            #expect(lostExecutions == 0 && executions == madeExecutions)
            let memory = try #require(try recorder.status()["memory_bytes"]?.integer)
            #expect(memory < 2 * (64 << 20) + 40 << 20)
        }

        @Test("a ring that is too small: what is lost is counted, dated and in its place") func overload() throws {
            let recorder = try Recorder(
                "[exec]\njournal = false\n[deletes]\njournal = false\nring_bytes = 65536\n")
            recorder.signal(SIGSTOP)
            let finished = try must(
                Binary.load, "--deletions", "2000", "--executions", "0", "--seconds", "1", seconds: 60)
            recorder.signal(SIGCONT)
            let made = try Value(parsing: finished.output)
            try recorder.settle()
            let pid = try #require(made["pid"]?.integer)
            let madeDeletions = try #require(made["deletions"]?.integer)
            let request = "{\"id\":1,\"request\":\"recent\",\"stream\":\"deletes\",\"filter\":{\"pid\":[\(pid)]}}"
            // What is lost last on a cpu, with no event behind it, is found within two looks at the kernel's counts.
            let account = try wait(seconds: 5) { () -> (answer: [Value], marks: [Value], lost: Int64)? in
                let answer = try Socket(recorder.socket).ask(request)
                let marks = answer.filter { $0["event"] == .string("lost") }
                let lost = marks.reduce(0) { $0 + ($1["count"]?.integer ?? 0) }
                let events = answer.count { $0["event"] == .string("delete") }
                // Until the last loss has its mark, `done` alone knows of it.
                let isMarked = answer.last?["done", "lost"] == .integer(lost)
                return isMarked && Int64(events) + lost >= madeDeletions ? (answer, marks, lost) : nil
            }
            let (answer, marks, lost) = try #require(account, "not every deletion is there or counted as lost")
            #expect(lost > 0)
            #expect(marks.allSatisfy { $0["why"] == .string("ring_full") && $0["stream"] == .string("delete") })
            let stream = try recorder.stream("deletes")
            #expect(
                stream["losses"]
                    == .object(["ring_full": stream["lost"] ?? .null, "missed": .integer(0), "malformed": .integer(0)]))
            #expect(stream["ring", "capacity_bytes"] == .integer(65_536))
            // Full is where the next record, of at most 64 KiB but of some 200 bytes here, finds no room.
            #expect(stream["ring", "highest_bytes"]?.integer ?? 0 > 60_000)
            #expect(try recorder.ebeectl("status").text.contains(" the ring was full)"))
            for mark in marks {
                let from = try #require(mark["from"]?.string.flatMap(nanoseconds))
                let to = try #require(mark["to"]?.string.flatMap(nanoseconds))
                #expect(from <= to)
            }
            let done = try #require(answer.last?["done"])
            #expect(done["complete"] == .bool(false))
            #expect(done["lost"] == .integer(lost))
            // The drain counts ten times a second, and others may lose more meanwhile.
            let counted = try wait { try recorder.stream("deletes")["lost"]?.integer ?? 0 >= lost ? true : nil }
            #expect(counted == true)
            #expect(try recorder.ebeectl("recent", "deletes", "--require-complete").status == 3)
        }

        @Test("a window that is full gives up the oldest, and says from when on it is complete") func eviction() throws
        {
            let recorder = try Recorder(
                "[exec]\njournal = false\n[deletes]\njournal = false\nwindow_bytes = 1048576\n")
            let finished = try must(
                Binary.load, "--deletions", "5000", "--executions", "0", "--seconds", "2", seconds: 60)
            let made = try Value(parsing: finished.output)
            try recorder.settle()
            let window = try #require(try recorder.stream("deletes")["window"])
            #expect(window["evicted"]?.integer ?? 0 > 0)
            #expect(window["used_bytes"]?.integer ?? .max <= 1 << 20)
            let pid = try #require(made["pid"]?.integer)
            let answer = try Socket(recorder.socket).ask(
                "{\"id\":1,\"request\":\"recent\",\"stream\":\"deletes\",\"filter\":{\"pid\":[\(pid)]}}")
            let events = answer.filter { $0["event"] == .string("delete") }
            #expect(!events.isEmpty && events.count < 10_000)
            // Whoever deleted is still shown whole, though its first record is long gone.
            #expect(events.allSatisfy { $0.args?.first == Binary.load })
            #expect(answer.last?["done", "complete"] == .bool(true))
            let since = try recorder.ebeectl("recent", "deletes", "--since", "1h", "--require-complete")
            #expect(since.status == 3)
        }

        /// How many events match, without parsing each.
        private func count(_ recorder: Recorder, _ rest: String) throws -> Int64 {
            let socket = try Socket(recorder.socket)
            socket.send("{\"id\":1,\"request\":\"recent\",\(rest)}")
            let last = try #require(try socket.lastLine(seconds: 120))
            return try #require(last["done", "matched"]?.integer)
        }
    }
}
