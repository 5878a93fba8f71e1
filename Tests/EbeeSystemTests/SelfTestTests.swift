import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// ebeed looks whether its own events arrive, and says so when they do not.
    @Suite(.requiresKernel) struct SelfTests {
        private static let streams = ["exec", "deletes"]

        /// What the last test found of each stream, once it is there and as expected.
        private func expectPassed(
            _ recorder: Recorder, _ expected: Bool = true, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            func findings() throws -> [Bool?] {
                try Self.streams.map { try recorder.stream($0)["self_test", "passed"]?.bool }
            }
            // A test may take ten seconds.
            _ = try wait(seconds: 15) { try findings() == [expected, expected] ? true : nil }
            #expect(try findings() == [expected, expected], "\(recorder.errors)", sourceLocation: sourceLocation)
        }

        /// The files of the tests that were recorded as deleted so far.
        private func tested(_ recorder: Recorder) throws -> [String] {
            try recorder.settle()
            let events = try recorder.recent("deletes", "--path", "\(recorder.place.path)/.self-test-*")
            // By a child of ebeed, executed for it, which is recorded too.
            for event in events {
                #expect(event["process", "parent", "pid"] == .integer(Int64(recorder.pid)))
                let execution = try only(try recorder.recent("exec", "--pid", "\(event.pid ?? 0)"))
                #expect(execution.args == ["ebeed", "--self-test-deletion", event.path ?? "?"])
                #expect(execution["process", "executable"]?.string == realPath(Binary.ebeed))
                #expect(execution["process", "exit_code"] == .integer(0))
            }
            return events.compactMap(\.path)
        }

        @Test("passed, by stream, in status") func passed() throws {
            let recorder = try Recorder()
            try expectPassed(recorder)
            for name in Self.streams {
                #expect(try recorder.stream(name)["self_test"] == .object(["passed": .bool(true)]))
            }
            let text = try recorder.ebeectl("status").lines
            #expect(text.count { $0 == "  self-test passed" } == 2)
            #expect(!text.contains { $0.contains("BLIND") })
            #expect(!recorder.errors.contains("blind"))
            let file = try only(try tested(recorder))
            #expect(Call.access(file, F_OK) == ENOENT)
        }

        @Test("of a stream that is recorded only") func oneStream() throws {
            let recorder = try Recorder("[exec]\nrecord = false\n[deletes]\njournal = false\n")
            let passed = try wait(seconds: 15) { try recorder.stream("deletes")["self_test", "passed"]?.bool }
            #expect(passed == true)
        }

        @Test("again at SIGHUP") func reload() throws {
            let recorder = try Recorder()
            try expectPassed(recorder)
            let first = try tested(recorder)
            #expect(first.count == 1)
            recorder.signal(SIGHUP)
            let reloaded = wait { recorder.errors.contains("configuration reloaded") ? true : nil }
            #expect(reloaded == true)
            let again = try wait { try tested(recorder).count == 2 ? true : nil }
            #expect(again == true)
            try expectPassed(recorder)
        }

        @Test("reloads while it runs are no failures") func reloads() throws {
            let recorder = try Recorder()
            for _ in 0..<20 {
                recorder.signal(SIGHUP)
                usleep(10_000)
            }
            try expectPassed(recorder)
            try recorder.settle()
            #expect(!recorder.errors.contains("blind"), "\(recorder.errors)")
            #expect(
                try recorder.deletions(below: recorder.place.path, failed: true).allSatisfy { $0.result == "success" })
        }

        /// Its directory becomes read-only: a mount of it, where ebeed alone sees it.
        @Test("where it can't run: said with the reason, recorded on, and said when it can again") func readOnly()
            throws
        {
            let home = try Place()
            let namespace = try MountNamespace("mount --bind \(home.path) \(home.path)")
            let recorder = try Recorder(through: namespace.enter, in: home)
            try expectPassed(recorder)
            try namespace.run("mount", "-o", "remount,bind,ro", home.path)
            recorder.signal(SIGHUP)
            try expectPassed(recorder, false)
            let sentence = "it could not be tested: create \(home.path)/.self-test-\(recorder.pid)-2: EROFS"
            for name in Self.streams {
                #expect(try recorder.stream(name)["self_test", "reason"]?.string?.hasPrefix(sentence) == true)
                #expect(recorder.errors.contains("\(name): blind, as far as ebeed can tell: \(sentence)"))
            }
            let text = try recorder.ebeectl("status").lines
            #expect(text.count { $0.hasPrefix("  self-test BLIND: \(sentence)") } == 2)

            let place = try Place()
            let file = try place.file("x")
            let rm = try must("rm", file)
            let deleted = try wait { () -> [Value]? in
                let events = try recorder.recent("deletes", "--path", file)
                return events.isEmpty ? nil : events
            }
            #expect(deleted?.map(\.pid) == [Int64(rm.pid)])
            #expect(try recorder.recent("exec", "--pid", "\(rm.pid)").map(\.args) == [["rm", file]])

            try namespace.run("mount", "-o", "remount,bind,rw", home.path)
            recorder.signal(SIGHUP)
            try expectPassed(recorder)
            #expect(try recorder.ebeectl("status").text.contains("BLIND") == false)
        }

        /// The directory that the service manager would have made is not there.
        @Test("where it can't run at start, ebeed starts all the same") func noDirectory() throws {
            let recorder = try Recorder(through: ["env", "RUNTIME_DIRECTORY=/nonexistent/ebee"])
            try expectPassed(recorder, false)
            let sentence = "create /nonexistent/ebee/.self-test-\(recorder.pid)-1: ENOENT"
            #expect(try recorder.stream("exec")["self_test", "reason"]?.string?.contains(sentence) == true)
            #expect(
                recorder.errors.contains(
                    "deletes: blind, as far as ebeed can tell: it could not be tested: \(sentence)"))
            #expect(try tested(recorder) == [])
            #expect(recorder.stop() == .exited(0))
        }

        @Test("the service manager is told: ready, and what is recorded, or why nothing may be") func notified() throws
        {
            let home = try Place()
            let manager = try Manager(home("notify"))
            let namespace = try MountNamespace("mount --bind \(home.path) \(home.path)")
            let recorder = try Recorder(
                through: namespace.enter + ["env", "NOTIFY_SOCKET=\(home("notify"))"], in: home)
            let rungs = try Self.streams.map { "\($0) through \(try recorder.stream($0)["rung"]?.string ?? "?")" }
            let recording = "STATUS=Recording \(rungs.joined(separator: ", "))."
            #expect(manager.next("READY=1", seconds: 15)?.contains(recording) == true)
            try expectPassed(recorder)
            try namespace.run("mount", "-o", "remount,bind,ro", home.path)
            recorder.signal(SIGHUP)
            #expect(manager.next("RELOADING=1") != nil)
            let blind = try #require(manager.next("READY=1"))
            #expect(
                blind.contains { $0.hasPrefix("STATUS=BLIND: deletes: it could not be tested: create ") }, "\(blind)")
            try namespace.run("mount", "-o", "remount,bind,rw", home.path)
            recorder.signal(SIGHUP)
            #expect(manager.next("READY=1")?.contains(recording) == true, "what is over is taken back")
            recorder.stop()
            #expect(manager.next("STOPPING=1") != nil)
        }
    }
}
