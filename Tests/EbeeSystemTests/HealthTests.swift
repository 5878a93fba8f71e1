import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// ebeed knows when it is sick, and what it says of itself is right.
    @Suite(.requiresKernel) struct Health {
        @Test("the watchdog hears of ebeed only while every drain moves", arguments: ["ebee-exec", "ebee-deletes"])
        func watchdog(_ drain: String) throws {
            let home = try Place()
            let manager = try Manager(home("notify"))
            let recorder = try Recorder(
                through: ["env", "NOTIFY_SOCKET=\(home("notify"))", "WATCHDOG_USEC=900000"], in: home)
            #expect(manager.next("READY=1") != nil)
            #expect(manager.next("WATCHDOG=1", seconds: 5) != nil)
            try recorder.freezing(drain) { () throws in
                // As long as the last sign of life counts.
                usleep(1_300_000)
                manager.forget()
                #expect(manager.next("WATCHDOG=1", seconds: 2) == nil)
                #expect(try recorder.ebeectl("status").status == 0, "all the rest goes on")
            }
            #expect(manager.next("WATCHDOG=1", seconds: 5) != nil)
        }

        @Test("a question waits for what happened before it, and says what it did not get") func late() throws {
            let recorder = try Recorder()
            let place = try Place()
            let file = try place.file("x")
            usleep(5_000_000)
            #expect(Call.unlink(try place.file("before")) == 0)
            try recorder.settle()
            try recorder.freezing("ebee-deletes") { () throws in
                #expect(Call.unlink(file) == 0)
                // Behind that, something is known.
                let before = try recorder.ebeectl("recent", "deletes", "--until", "3s", "--require-complete")
                #expect(before.status == 0, "\(before.errorText)")
                let answer = try recorder.ebeectl("recent", "deletes", "--path", file, "--require-complete")
                #expect(answer.status == 3 && answer.lines.isEmpty)
                #expect(answer.errorText.contains(" is still on its way"), "\(answer.errorText)")
                #expect(try recorder.ebeectl("recent", "exec", "--require-complete").status == 0)
            }
            // At once, again and again: no question comes too early.
            for index in 0..<200 {
                let file = try place.file("y\(index)")
                #expect(Call.unlink(file) == 0)
                #expect(try recorder.recent("deletes", "--path", file).count == 1)
            }
        }

        /// Its drain stands still: all is attached, and nothing arrives.
        @Test("a stream that goes blind is noticed, and that it sees again", arguments: ["exec", "deletes"])
        func canary(_ blind: String) throws {
            let home = try Place()
            let manager = try Manager(home("notify"))
            let recorder = try Recorder(
                "[exec]\njournal = false\n[deletes]\njournal = false\n[self_test]\nquiet_seconds = 1\n",
                through: ["env", "NOTIFY_SOCKET=\(home("notify"))"], in: home)
            #expect(manager.next("READY=1") != nil)
            let sees = ["exec", "deletes"].first { $0 != blind } ?? ""
            let sentence = "its own test event did not arrive within 10 s"
            try recorder.freezing("ebee-\(blind)") { () throws in
                let frozen = Int64(Date().timeIntervalSince1970 * 1e9)
                let finding = try wait(seconds: 30) { () -> Value? in
                    let finding = try recorder.stream(blind)["self_test"]
                    return finding?["passed"]?.bool == false ? finding : nil
                }
                #expect(finding?["reason"]?.string?.hasPrefix(sentence) == true)
                let since = try #require(finding?["blind_since"]?.string.flatMap(nanoseconds))
                #expect(since <= frozen && since > frozen - 60_000_000_000)
                #expect(try recorder.stream(sees)["self_test", "passed"] == .bool(true))
                #expect(try recorder.ebeectl("status").text.contains("  self-test BLIND since "))
                #expect(try recorder.ebeectl("recent", blind, "--since", "1s", "--require-complete").status == 3)
                let answer = try recorder.ebeectl("recent", blind, "--since", "1s")
                #expect(answer.errorText.contains("NOT complete: ebeed was blind for a while"), "\(answer.errorText)")
                #expect(try recorder.ebeectl("recent", sees, "--since", "1s", "--require-complete").status == 0)
                #expect(recorder.errors.contains("\(blind): blind, as far as ebeed can tell: \(sentence)"))
                let status = manager.next(where: { $0.hasPrefix("STATUS=BLIND: \(blind): since ") })
                #expect(status?.contains(sentence) == true)
                let metrics = try recorder.ebeectl("status", "-o", "openmetrics").text
                #expect(metrics.contains("ebee_self_test_passed{stream=\"\(blind)\"} 0\n"))
                #expect(metrics.contains("ebee_blind_since_seconds{stream=\"\(blind)\"} "))
            }
            #expect(manager.next(where: { $0.hasPrefix("STATUS=Recording ") }) != nil)
            #expect(try recorder.stream(blind)["self_test"] == .object(["passed": .bool(true)]))
            #expect(recorder.errors.contains("\(blind): events come again; what happened since "))
            // What was not seen stays so.
            #expect(try recorder.ebeectl("recent", blind, "--since", "1m", "--require-complete").status == 3)
            usleep(1_100_000)
            #expect(try recorder.ebeectl("recent", blind, "--since", "1s", "--require-complete").status == 0)
        }

        @Test("where the test can't run, that is noticed without a reload, and taken back") func readOnly() throws {
            let home = try Place()
            let namespace = try MountNamespace("mount --bind \(home.path) \(home.path)")
            let recorder = try Recorder(
                "[exec]\nrecord = false\n[deletes]\njournal = false\n[self_test]\nquiet_seconds = 1\n",
                through: namespace.enter, in: home)
            func expectPassed(_ expected: Bool, sourceLocation: SourceLocation = #_sourceLocation) throws {
                let found = try wait(seconds: 30) {
                    try recorder.stream("deletes")["self_test", "passed"]?.bool == expected ? true : nil
                }
                #expect(found == true, sourceLocation: sourceLocation)
            }
            try expectPassed(true)
            try namespace.run("mount", "-o", "remount,bind,ro", home.path)
            try expectPassed(false)
            let reason = try recorder.stream("deletes")["self_test", "reason"]?.string
            #expect(reason?.hasPrefix("it could not be tested: create \(home.path)/.self-test-") == true)
            #expect(try recorder.stream("deletes")["self_test", "blind_since"] == nil)
            try namespace.run("mount", "-o", "remount,bind,rw", home.path)
            try expectPassed(true)
        }

        @Test("rate and reach of a window are those of what happened") func rate() throws {
            let recorder = try Recorder()
            let place = try Place()
            let begun = monotonic()
            try must(
                "sh", "-c", "i=0; while [ $i -lt 3000 ]; do :>f$i; i=$((i+1)); done; rm f*", directory: place.path)
            try recorder.settle()
            let found = try wait { () -> Value? in
                let stream = try recorder.stream("deletes")
                return stream["rate", "events"]?.integer ?? 0 >= 3000 ? stream : nil
            }
            let stream = try #require(found)
            let events = try #require(stream["events"]?.integer)
            let rate = try #require(stream["rate"])
            let (interval, bytes) = try (#require(rate["interval_ns"]?.integer), #require(rate["bytes"]?.integer))
            #expect(rate["events"]?.integer ?? .max <= events)
            // A record of a deletion takes 200 bytes or so.
            #expect(bytes > 3000 * 100 && bytes <= stream["window", "used_bytes"]?.integer ?? 0)
            #expect(interval >= 1_000_000_000 && Double(interval) < (monotonic() - begun + 60) * 1e9)
            let reach = try #require(stream["window", "reach_seconds"]?.integer)
            #expect(Double(reach) <= monotonic() - begun + 60)
            let atRate = try #require(stream["window", "reach_at_rate_seconds"]?.integer)
            let whole = Double(64 << 20) / Double(bytes) * Double(interval) / 1e9
            #expect(Double(atRate) <= min(3600, whole) && Double(atRate) >= min(3600, whole) * 0.9 - 1)
            let ring = try #require(stream["ring"])
            #expect(ring["capacity_bytes"]?.integer == 4 << 20)
            #expect(ring["highest_bytes"]?.integer ?? 0 > 0)
            let text = try recorder.ebeectl("status").lines
            for name in ["rate", "ring", "reaches"] { #expect(text.count { $0.hasPrefix("  \(name) ") } == 2) }
        }
    }
}
