import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// However many events come, the journal gets so many entries a second at most, and they say exactly how many there were.
    @Suite(.requiresJournald) struct JournalRate {
        private static let rate = 50
        private static let backlog = 500
        private static let toml = "[journal]\nentries_per_second = \(rate)\nbacklog = \(backlog)\n"

        /// No stretch of time has more entries than what is saved up and the rate allow, with one interval of bursts beforehand.
        private func expectRate(_ times: [Double]) {
            let times = times.sorted()
            var worst = 0.0
            for window in [1.0, 5, 20] {
                var start = 0
                for (index, time) in times.enumerated() {
                    while time - times[start] > window { start += 1 }
                    let most = Double(Self.backlog) + Double(Self.rate) * (window + 2) + 2
                    worst = max(worst, Double(index - start + 1) / most)
                }
            }
            #expect(worst <= 1)
            print("\(times.count) entries, at most \(Int(worst * 100)) % of what is allowed")
        }

        @Test("a storm of deletions by one process") func storm() throws {
            let journald = try Journald()
            try journald.start()
            let recorder = try Recorder("[exec]\njournal = false\n" + Self.toml, through: journald.namespace.enter)
            let started = monotonic()
            let seconds = max(2, Double(Scale.storm) / 25_000)
            let finished = try must(
                Binary.load, "--deletions", "\(Int(Double(Scale.storm) / seconds))", "--executions", "0", "--seconds",
                "\(seconds)", seconds: seconds * 4 + 60)
            let load = try Value(parsing: finished.output)
            let made = try Int(#require(load["deletions"]?.integer))
            let pid = try #require(load["pid"]?.integer)
            try recorder.settle()
            let settled = try wait(seconds: 60) {
                try recorder.status()["journal", "behind"] == .integer(0) ? true : nil
            }
            #expect(settled == true)
            let took = monotonic() - started
            let matches = ["EBEE_PID=\(pid)"]
            let single = try journald.entries(
                matches + ["EBEE_EVENT=delete"], fields: "EBEE_PATH,__REALTIME_TIMESTAMP")
            let bursts = try journald.entries(matches + ["EBEE_EVENT=burst"], fields: nil)
            let files = single.count { $0["EBEE_PATH"]?.string?.contains("/ebee-load-") == true }
            let folded = bursts.reduce(0) { $0 + $1.count }
            print(
                "storm: \(load); \(single.count) single, \(folded) in \(bursts.count) bursts; \(took) s")
            // The load also removes its directory.
            #expect(single.count + folded == made + 1)
            #expect(files == single.count)
            #expect(!bursts.isEmpty)
            for burst in bursts {
                #expect(burst["EBEE_COMM"] == .string("ebee-load"))
                #expect(burst["EBEE_DIRECTORY"]?.string?.hasPrefix("/dev/shm") == true)
                let from = try #require(burst["EBEE_FROM"]?.string.flatMap(nanoseconds))
                let to = try #require(burst["EBEE_TO"]?.string.flatMap(nanoseconds))
                #expect(from <= to)
            }
            // A long storm shows in the journal while it lasts.
            #expect(Double(bursts.count) >= took / 5 - 2)
            let all = try journald.entries([], fields: "__REALTIME_TIMESTAMP")
            expectRate(all.compactMap { $0["__REALTIME_TIMESTAMP"]?.string.flatMap { Double($0) } }.map { $0 / 1e6 })
            #expect(try recorder.status()["journal", "lost"] == .integer(0))
        }

        @Test("a storm by a thousand processes, and of executions: each burst says only what is true of all")
        func processes()
            throws
        {
            let journald = try Journald()
            try journald.start()
            let recorder = try Recorder(Self.toml, through: journald.namespace.enter)
            let place = try Place()
            let count = 1500
            for index in 0..<count { try place.file("\(index)") }
            let shell = try must(
                "sh", "-c", "i=0; while [ $i -lt \(count) ]; do rm \"$0/$i\"; i=$((i+1)); done", place.path,
                seconds: 120)
            try recorder.settle()
            let settled = try wait(seconds: 60) {
                try recorder.status()["journal", "behind"] == .integer(0) ? true : nil
            }
            #expect(settled == true)
            func recorded() throws -> Int64 {
                try ["exec", "deletes"].reduce(0) { $0 + (try recorder.stream($1)["events"]?.integer ?? 0) }
            }
            // Others may act just now.
            let least = try recorded()
            usleep(2_500_000)
            let bursts = try journald.entries("EBEE_EVENT=burst")
            let single = try journald.entries("EBEE_EVENT=delete").count + journald.entries("EBEE_EVENT=exec").count
            let folded = bursts.reduce(0) { $0 + $1.count }
            let most = try recorded()
            let journal = try #require(try recorder.status()["journal"])
            print("processes: \(least)...\(most), \(single) single, \(folded) in \(bursts.count) bursts; \(journal)")
            #expect((least...most).contains(Int64(single + folded)))
            #expect(journal["lost"] == .integer(0))
            let executions = bursts.filter { $0["EBEE_PPID"] == .string("\(shell.pid)") }
            #expect(!executions.isEmpty)
            for burst in executions {
                #expect(burst["EBEE_STREAM"] == .string("exec"))
                #expect(burst["EBEE_PID"] == nil && burst["EBEE_CMDLINE"] == nil && burst["EBEE_EXE"] == nil)
                #expect(burst["EBEE_COMM"] == .string("rm"))
                #expect(burst["EBEE_UID"] == .string("0"))
                #expect(
                    burst["MESSAGE"]
                        == .string(
                            "\(burst.count) executions by children of sh[\(shell.pid)], too many to write one by one"))
            }
            // Each rm is a process of its own: beyond those that are kept apart, they share an entry.
            let several = bursts.filter { $0["EBEE_STREAM"] == .string("delete") && $0["EBEE_PID"] == nil }
            #expect(!several.isEmpty)
            #expect(several.allSatisfy { $0["EBEE_DIRECTORY"]?.string?.hasPrefix("/") == true })
            let all = try journald.entries([], fields: "__REALTIME_TIMESTAMP")
            expectRate(all.compactMap { $0["__REALTIME_TIMESTAMP"]?.string.flatMap { Double($0) } }.map { $0 / 1e6 })
        }
    }
}
