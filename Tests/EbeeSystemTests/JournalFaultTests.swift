import Foundation
import Glibc
import Testing

/// What of a load reached the journal, in numbers that must add up.
struct JournalAccount: CustomStringConvertible {
    /// Entries of events of their own, no event twice.
    var single = 0
    var doubled = 0
    /// What burst entries stand for, and how many those are.
    var folded = 0
    var bursts = 0
    /// What entries say did not reach the journal.
    var missing = 0
    var summaries: [Value] = []

    var total: Int { single + folded + missing }
    var description: String {
        "\(single) single, \(folded) in \(bursts) bursts, \(missing) missing in \(summaries.count) summaries, \(doubled) doubled"
    }
}

extension Journald {
    /// Of the deletions in the whole machine: bursts may be of several processes.
    func account() throws -> JournalAccount {
        var account = JournalAccount()
        var seen: Set<String> = []
        for entry in try entries(["EBEE_EVENT=delete"], fields: "EBEE_PATH,EBEE_TIME,EBEE_PID") {
            let key = "\(entry["EBEE_PID"] ?? .null) \(entry["EBEE_TIME"] ?? .null) \(entry["EBEE_PATH"] ?? .null)"
            if seen.insert(key).inserted { account.single += 1 } else { account.doubled += 1 }
        }
        for entry in try entries("EBEE_EVENT=burst", "EBEE_STREAM=delete") {
            account.bursts += 1
            account.folded += entry.count
        }
        account.summaries = try entries("EBEE_EVENT=lost", "EBEE_WHY=journal")
        account.missing = account.summaries.reduce(0) { $0 + $1.count }
        return account
    }
}

extension Value {
    /// EBEE_COUNT of an entry.
    var count: Int { Int(self["EBEE_COUNT"]?.string ?? "") ?? 0 }
}

/// How long each fault lasts, and how many deletions make a storm: short in CI, `EBEE_FAULT_SECONDS=60 EBEE_STORM=1000000`
/// for figures.
enum Scale {
    static let seconds = number("EBEE_FAULT_SECONDS") ?? 3
    static let storm = number("EBEE_STORM") ?? 100_000
    /// Deletions per second during a fault.
    static let rate = number("EBEE_FAULT_RATE") ?? 2000

    private static func number(_ variable: String) -> Int? {
        ProcessInfo.processInfo.environment[variable].flatMap { Int($0) }
    }
}

extension KernelSuites {
    /// The journal may die: nothing waits for it, and every event is accounted for, exactly.
    @Suite(.requiresJournald) struct JournalFaults {
        private static let toml = "[exec]\njournal = false\n[journal]\nentries_per_second = 200\nbacklog = 1000\n"

        /// Deletes at a steady rate for twice the time of the fault, which begins a quarter into it; looks meanwhile that what
        /// is deleted can be asked for at once, and adds up the journal afterwards.
        private func underLoad(
            _ journald: Journald, toml: String = toml, fault: () throws -> Void, end: () throws -> Void
        ) throws -> (account: JournalAccount, recorder: Recorder) {
            let recorder = try Recorder(toml, through: journald.namespace.enter)
            let seconds = Double(Scale.seconds)
            let load = try Child([
                Binary.load, "--deletions", "\(Scale.rate)", "--executions", "0", "--seconds", "\(seconds * 2)",
            ])
            usleep(UInt32(seconds / 2 * 1e6))
            try fault()
            let since = monotonic()
            let place = try Place()
            var slowest = 0.0
            var round = 0
            var early = 0
            while monotonic() - since < seconds {
                let path = try place.file("\(round)")
                round += 1
                let deleted = monotonic()
                #expect(Call.unlink(path) == 0)
                // A query that comes too early searches all that it may: bounded, so that its own time is not taken for the drain's.
                var tries = 0
                let isThere = try wait(seconds: 10) { () -> Bool? in
                    tries += 1
                    return try recorder.recent("deletes", "--path", path, "-n", "1", "--since", "5s").isEmpty
                        ? nil : true
                }
                #expect(isThere == true, "a deletion during the fault can't be asked for")
                slowest = max(slowest, monotonic() - deleted)
                early += tries > 1 ? 1 : 0
                usleep(100_000)
            }
            #expect(slowest < 5)
            try end()
            let finished = try load.finish(seconds: seconds * 4 + 60)
            #expect(finished.status == 0)
            let made = try #require(try Value(parsing: finished.output)["deletions"]?.integer)
            try recorder.settle()
            // One loss is told once it is over.
            usleep(2_500_000)
            let (recorded, account, status) = try quietAccount(journald, recorder)
            #expect(try recorder.stream("deletes")["lost"] == .integer(0))
            #expect(recorded >= made)
            let journal = try #require(status["journal"])
            print(
                "\(made) deletions made, \(recorded) recorded: \(account); slowest answer \(slowest) s, \(early) of \(round) asked too early"
            )
            #expect(account.total == Int(recorded))
            #expect(account.doubled == 0)
            #expect(journal["written"]?.integer == Int64(account.single))
            #expect(journal["folded"]?.integer == Int64(account.folded))
            #expect(journal["lost"]?.integer == Int64(account.missing))
            #expect(journal["available"] == .bool(true))
            #expect(recorder.said("the journal takes no entries") == recorder.said("the journal is back"))
            return (account, recorder)
        }

        /// How many deletions were recorded, and what of them is in the journal, at a moment in which nobody deletes anything: what
        /// others on the machine delete goes to this journal too.
        private func quietAccount(
            _ journald: Journald, _ recorder: Recorder
        ) throws -> (recorded: Int64, account: JournalAccount, status: Value) {
            let found = try wait(seconds: 90) { () -> (Int64, JournalAccount, Value)? in
                let before = try recorder.stream("deletes")["events"]
                guard try recorder.status()["journal", "behind"] == .integer(0) else { return nil }
                usleep(200_000)
                let account = try journald.account()
                let status = try recorder.status()
                guard let events = try recorder.stream("deletes")["events"]?.integer, .integer(events) == before,
                    status["journal", "behind"] == .integer(0)
                else { return nil }
                return (events, account, status)
            }
            return try #require(found, "others delete files all the time")
        }

        @Test("frozen: events wait and fold, each is accounted for once") func frozen() throws {
            let journald = try Journald()
            try journald.start()
            let (account, recorder) = try underLoad(journald) {
                journald.signal(SIGSTOP)
            } end: {
                journald.signal(SIGCONT)
            }
            // The few entries that bursts are may fit into its socket.
            #expect(recorder.said("the journal takes no entries") <= 1)
            #expect(account.folded > 0)
            #expect(account.missing == 0)
        }

        @Test("stopped, its socket left behind, and started again") func restarted() throws {
            let journald = try Journald()
            try journald.start()
            let (account, recorder) = try underLoad(journald) {
                // Without a service manager that holds the socket, what journald has not read dies with it: it reads first.
                journald.signal(SIGTERM)
                try journald.stop()
                #expect(Call.access(journald.socket, F_OK) == 0)
            } end: {
                try journald.start()
            }
            #expect(recorder.said("the journal takes no entries") == 1)
            #expect(account.missing == 0)
        }

        @Test("its socket removed, and journald restarted") func socketRemoved() throws {
            let journald = try Journald()
            try journald.start()
            let (account, recorder) = try underLoad(journald) {
                #expect(Call.unlink(journald.socket) == 0)
            } end: {
                try journald.stop()
                try journald.start()
            }
            #expect(recorder.said("the journal takes no entries") == 1)
            // Of an entry that was on its way just then, nobody knows: it counts as missing.
            #expect(account.summaries.count <= 1)
        }

        @Test("more than the window holds: one entry says how many are missing, from when to when") func missing()
            throws
        {
            let journald = try Journald()
            try journald.start()
            let recorder = try Recorder(
                "[exec]\njournal = false\n[deletes]\nwindow_bytes = 1048576\n[journal]\nbacklog = 100000\n",
                through: journald.namespace.enter)
            journald.signal(SIGSTOP)
            // The writer waits a second for journald before it folds.
            let finished = try must(
                Binary.load, "--deletions", "60000", "--executions", "0", "--seconds", "0.5", seconds: 60)
            let made = try #require(try Value(parsing: finished.output)["deletions"]?.integer)
            let isAway = try wait(seconds: 10) {
                try recorder.status()["journal", "available"] == .bool(false) ? true : nil
            }
            #expect(isAway == true)
            usleep(UInt32(Scale.seconds) * 1_000_000)
            journald.signal(SIGCONT)
            let summary = try #require(try wait(seconds: 20) { try journald.entries("EBEE_EVENT=lost").first })
            let (recorded, account, _) = try quietAccount(journald, recorder)
            print("\(made) deletions made, \(recorded) recorded: \(account)")
            #expect(account.summaries == [summary])
            #expect(summary.count > 0)
            #expect(summary["EBEE_STREAM"] == .string("delete"))
            #expect(summary["MESSAGE"] == .string("\(summary.count) deletions did not reach the journal"))
            let from = try #require(summary["EBEE_FROM"]?.string.flatMap(nanoseconds))
            let to = try #require(summary["EBEE_TO"]?.string.flatMap(nanoseconds))
            #expect(from < to)
            #expect(account.total == Int(recorded) && account.doubled == 0)
            #expect(try recorder.status()["journal", "lost"] == .integer(Int64(account.missing)))
        }

        @Test("ebeed is killed with some bursts written and others not: each event is written or missing, once")
        func killed() throws {
            let pinned = try Pinned()
            let journald = try Journald()
            try journald.start()
            let toml =
                pinned.configuration().replacingOccurrences(of: "[deletes]\njournal = false", with: "[deletes]")
                + "[journal]\nentries_per_second = 50\nbacklog = 100\n"
            var recorder = try Recorder(toml, through: journald.namespace.enter, in: pinned.place)
            let place = try Place()
            func remove(_ count: Int) throws {
                try must(
                    "sh", "-c", "seq \(count) | while read i; do :>$i; rm $i; done", directory: place.path, seconds: 60)
            }
            // The backlog is written; what comes then is folded, and for two seconds not written.
            try remove(250)
            journald.signal(SIGSTOP)
            try remove(300)
            let isAway = try wait(seconds: 20) {
                try recorder.status()["journal", "available"] == .bool(false) ? true : nil
            }
            #expect(isAway == true)
            let before = try #require(try recorder.status()["journal"])
            // Of the bursts, one for each process, each is one deletion, and is written as that.
            let written = try #require(before["written"]?.integer)
            #expect(written > 100 && written < 400, "\(before)")
            recorder.signal(SIGKILL)
            _ = recorder.stop()
            journald.signal(SIGCONT)
            recorder = try Recorder(toml, through: journald.namespace.enter, in: pinned.place)
            #expect(recorder.errors.contains("recording deletes through") && recorder.errors.contains("without a gap"))
            usleep(2_500_000)
            let (recorded, account, _) = try quietAccount(journald, recorder)
            print("killed with \(before): \(recorded) recorded: \(account)")
            #expect(recorded >= 450 && account.missing > 0)
            #expect(account.total == Int(recorded) && account.doubled == 0)
        }

        @Test("no journald at all: said once; what waited is written when there is one") func absent() throws {
            let journald = try Journald()
            let recorder = try Recorder("", through: journald.namespace.enter)
            let place = try Place()
            for index in 0..<20 { try must("rm", try place.file("\(index)")) }
            #expect(try recorder.deletions(below: place.path).count == 20)
            let isAway = try wait { () -> Bool? in
                let journal = try recorder.status()["journal"]
                let isCounted = journal?["behind"]?.integer ?? 0 >= 40 && journal?["lag_ns"]?.integer ?? 0 > 0
                return isCounted && journal?["available"] == .bool(false) ? true : nil
            }
            #expect(isAway == true)
            #expect(recorder.said("the journal takes no entries") == 1)
            #expect(try recorder.ebeectl("status").text.contains("AWAY"))

            try journald.start()
            let found = try journald.deletions(below: place.path, count: 20)
            #expect(found.map { $0["EBEE_PATH"]?.string } == (0..<20).map { place("\($0)") })
            #expect(recorder.said("the journal is back") == 1)
            #expect(try recorder.status()["journal", "lost"] == .integer(0))
            #expect(try journald.entries("EBEE_EVENT=lost") == [])
        }

        @Test(
            "a disk that is full: what journald drops it tells nobody, and what it deletes for room goes on within the rate"
        )
        func full() throws {
            let journald = try Journald(storage: "persistent", bytes: 8 << 20)
            try journald.start()
            try journald.namespace.run("journalctl", "--flush")
            let recorder = try Recorder(Self.toml, through: journald.namespace.enter)
            let since = monotonic()
            _ = try? journald.namespace.run("sh", "-c", "cat /dev/zero > /var/log/journal/filler")
            let finished = try must(
                Binary.load, "--deletions", "\(Scale.rate)", "--executions", "0", "--seconds", "\(Scale.seconds)",
                seconds: Double(Scale.seconds) * 4 + 60)
            let load = try Value(parsing: finished.output)
            try recorder.settle()
            let stream = try recorder.stream("deletes")
            #expect(stream["lost"] == .integer(0))
            let pid = try #require(load["pid"]?.integer)
            let made = try #require(load["deletions"]?.integer)
            #expect(try recorder.recent("deletes", "--pid", "\(pid)").count == Int(made) + 1)
            let journal = try #require(try recorder.status()["journal"])
            let own = try recorder.recent("deletes", "--comm", "systemd-journal").count
            let found = try journald.account()
            print("disk full: \(load); journald itself deleted \(own); \(journal); readable are \(found)")
            #expect(journal["written"]?.integer ?? .max <= 1000 + 200 * Int64(monotonic() - since + 1))
        }
    }
}

extension Recorder {
    /// How often a text stands in its log.
    func said(_ text: String) -> Int { errors.split(separator: "\n").count { $0.contains(text) } }
}
