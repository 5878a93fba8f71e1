import Foundation
import Glibc
import Testing

/// A journald of a test's own, in a namespace of mounts of its own: the machine's journal and whoever reads it are not
/// touched, and all of its files go with the namespace.
final class Journald {
    let namespace: MountNamespace
    private var process: Child?

    init() throws {
        namespace = try MountNamespace(
            """
            mkdir -p /run/systemd /run/log /var/log/journal
            mount -t tmpfs tmpfs /run/systemd; mkdir -p /run/systemd/journal /run/systemd/journald.conf.d
            mount -t tmpfs tmpfs /run/log; mkdir -p /run/log/journal
            mount -t tmpfs tmpfs /var/log/journal
            if ! grep -qs '^[0-9a-f]\\{32\\}$' /etc/machine-id; then
                printf '0123456789abcdef0123456789abcdef\\n' > /run/log/machine-id
                [ -e /etc/machine-id ] || : > /etc/machine-id
                mount --bind /run/log/machine-id /etc/machine-id
            fi
            cat > /run/systemd/journald.conf.d/ebee.conf <<'END'
            [Journal]
            Storage=volatile
            RateLimitIntervalSec=0
            RateLimitBurst=0
            ReadKMsg=no
            Audit=no
            RuntimeMaxUse=256M
            END
            """)
    }

    func start() throws {
        let path = Requirement.journaldPath ?? ""
        let process = try Child((namespace.enter + [path]).map { Array($0.utf8) }, output: .null, errors: .null)
        self.process = process
        let socket = namespace.outside("/run/systemd/journal/socket")
        guard EbeeSystemTests.wait(seconds: 20, for: { Call.access(socket, F_OK) == 0 ? true : nil }) == true else {
            throw HarnessError("journald does not start: \(String(describing: try process.wait(seconds: 0)))")
        }
    }

    func signal(_ number: Int32) { process?.signal(number) }

    deinit {
        process?.signal(SIGCONT)
        process?.signal(SIGTERM)
        _ = try? process?.wait(seconds: 10)
    }

    /// Entries as journalctl prints them.
    func entries(_ matches: String...) throws -> [Value] {
        let command =
            namespace.enter + ["journalctl", "--quiet", "--no-pager", "--all", "-t", "ebeed"] + matches + [
                "-o", "json",
            ]
        let finished = try EbeeSystemTests.run(command.map { Array($0.utf8) }, seconds: 60)
        guard finished.status == 0 || finished.output.isEmpty else {
            throw HarnessError("journalctl: \(finished.ending) \(finished.errorText)")
        }
        return try finished.output.split(separator: 10).map { try Value(parsing: $0) }
    }

    /// Entries below a directory, once there are as many as expected.
    func deletions(below directory: String, count: Int, _ matches: String...) throws -> [Value] {
        var found: [Value] = []
        _ = try EbeeSystemTests.wait(seconds: 20) { () -> Bool? in
            found = try entries("EBEE_EVENT=delete").filter { entry in
                matches.allSatisfy { match in
                    let parts = match.split(separator: "=", maxSplits: 1).map(String.init)
                    return entry[parts[0]] == .string(parts[1])
                } && entry.field("EBEE_PATH")?.starts(with: Array("\(directory)/".utf8)) == true
            }
            return found.count >= count ? true : nil
        }
        return found
    }
}

extension Value {
    /// A field of a journal entry: journalctl prints a string, or numbers where it isn't printable.
    func field(_ name: String) -> [UInt8]? {
        switch self[name] {
        case .string(let text): Array(text.utf8)
        case .array(let numbers): numbers.compactMap { $0.integer.flatMap { UInt8(exactly: $0) } }
        default: nil
        }
    }
}

extension KernelSuites {
    /// The journal holds the same as the window, exactly, and never holds ebeed up.
    @Suite(.requiresJournald) struct Journal {
        @Test("journalctl finds the same deletions, with the contract's fields") func same() throws {
            let journald = try Journald()
            try journald.start()
            let recorder = try Recorder("", through: journald.namespace.enter)
            let place = try Place()
            try place.directory("d")
            for index in 0..<50 { try place.file("d/\(index)", bytes: index) }
            try place.file("it's", bytes: 3)
            try must("rm", "-rf", "d", directory: place.path)
            try must("rm", "it's", directory: place.path)
            #expect(Call.unlink(try place.file("not by rm")) == 0)
            let events = try recorder.deletions(below: place.path).filter { $0["process", "name"] == .string("rm") }
            #expect(events.count == 52)

            // As one would type it.
            let entries = try wait(seconds: 20) { () -> [Value]? in
                let found = try journald.entries("EBEE_EVENT=delete", "EBEE_COMM=rm").filter {
                    $0["EBEE_PATH"]?.string?.hasPrefix(place.path + "/") == true
                }
                return found.count >= events.count ? found : nil
            }
            let found = try #require(entries)
            #expect(found.map { $0["EBEE_PATH"]?.string } == events.map(\.path))
            for (entry, event) in zip(found, events) {
                let process = try #require(event["process"])
                func number(_ value: Value?) -> Value? { value?.integer.map { .string("\($0)") } }
                #expect(entry["EBEE_EVENT"] == .string("delete"))
                #expect(entry["MESSAGE_ID"] == .string("847ad9ce4cfb4839bd58644154a16d85"))
                #expect(entry["PRIORITY"] == .string("6"))
                #expect(entry["SYSLOG_IDENTIFIER"] == .string("ebeed"))
                #expect(entry["EBEE_PID"] == number(process["pid"]))
                #expect(entry["EBEE_PPID"] == number(process["parent", "pid"]))
                #expect(entry["EBEE_UID"] == .string("0"))
                #expect(entry["EBEE_USER"] == .string("root"))
                #expect(entry["EBEE_COMM"] == .string("rm"))
                #expect(entry["EBEE_EXE"] == process["executable"])
                #expect(entry["EBEE_CWD"] == .string(place.path))
                #expect(entry["EBEE_HOW"] == event["how"])
                #expect(entry["EBEE_RESULT"] == .string("success"))
                #expect(entry["EBEE_INODE"] == number(event["file", "inode"]))
                #expect(entry["EBEE_SIZE"] == number(event["file", "size"]))
                #expect(entry["EBEE_LOGINUID"] == number(process["login_user", "id"]))
                #expect(entry["EBEE_SESSION"] == number(process["session_id"]))
                #expect(entry["EBEE_UNIT"] == process["unit"])
                #expect(entry["OBJECT_SYSTEMD_UNIT"] == process["unit"])
            }
            #expect(found.first?["EBEE_CMDLINE"] == .string("rm -rf d"))
            #expect(found.last?["EBEE_CMDLINE"] == .string(#"rm 'it'\''s'"#))
            let pid = found.last?["EBEE_PID"]?.string ?? "?"
            #expect(found.last?["MESSAGE"] == .string("rm[\(pid)] deleted '\(place.path)/it'\\''s'"))

            let executions = try journald.entries("EBEE_EVENT=exec", "EBEE_COMM=rm", "EBEE_PID=\(pid)")
            let execution = try only(executions)
            #expect(execution["MESSAGE_ID"] == .string("3b43cc70298844f39709b18262331fd2"))
            #expect(execution["EBEE_CMDLINE"] == .string(#"rm 'it'\''s'"#))
            #expect(execution["EBEE_PATH"] == nil)
            #expect(try recorder.status()["journal", "lost"] == .integer(0))
        }

        @Test("an execution that failed says so, with what was asked for") func failedExecution() throws {
            let journald = try Journald()
            try journald.start()
            let recorder = try Recorder("", through: journald.namespace.enter)
            let place = try Place()
            let acted = try act("exec", place("none"), "none", "it's")
            #expect(acted.errno == ENOENT)
            try recorder.settle()
            let entries = try #require(
                try wait(seconds: 20) { () -> [Value]? in
                    let found = try journald.entries("EBEE_EVENT=exec", "EBEE_PID=\(acted.pid)")
                    return found.count >= 2 ? found : nil
                })
            try #require(entries.count == 2)
            #expect(entries[0]["EBEE_RESULT"] == nil)
            #expect(entries[0]["MESSAGE"]?.string?.hasPrefix("Executed \(Binary.act) ") == true)
            let entry = entries[1]
            #expect(entry["EBEE_RESULT"] == .string("ENOENT"))
            #expect(entry["MESSAGE_ID"] == .string("3b43cc70298844f39709b18262331fd2"))
            #expect(entry["MESSAGE"] == .string(#"Could not execute none 'it'\''s'"#))
            #expect(entry["EBEE_CMDLINE"] == .string(#"none 'it'\''s'"#))
            #expect(entry["EBEE_EXE"] == .string(place("none")))
            #expect(entry["EBEE_COMM"] == entries[0]["EBEE_COMM"])
            #expect(try journald.entries("EBEE_EVENT=exec", "EBEE_RESULT=ENOENT", "EBEE_PID=\(acted.pid)") == [entry])
        }

        @Test("what a process calls its files and itself forges no field") func forgery() throws {
            let journald = try Journald()
            try journald.start()
            let recorder = try Recorder("", through: journald.namespace.enter)
            let place = try Place()
            let program = place("a\nEBEE_UID=1")
            try must("cp", Binary.act, program)
            let path = Array("\(place.path)/x\nEBEE_UID=4711\nFORGED=1\nMESSAGE=all is well".utf8) + [0xff, 0x1b]
            try makeFile(path)
            try makeFile(Array(place("plain").utf8))
            _ = try run([Array(program.utf8), Array("unlink".utf8), path])
            _ = try run([Array(program.utf8), Array("unlink".utf8), Array(place("plain").utf8)])
            let events = try recorder.deletions(below: place.path)
            #expect(events.count == 2)
            let entries = try journald.deletions(below: place.path, count: 2)
            let entry = try #require(entries.first)
            #expect(entry.field("EBEE_PATH") == path)
            #expect(entry["EBEE_UID"] == .string("0"))
            #expect(entry["FORGED"] == nil)
            #expect(entry.field("EBEE_COMM") == Array("a\nEBEE_UID=1".utf8))
            // The sentence is one line without control characters.
            let message = try #require(entry.field("MESSAGE"))
            #expect(message.allSatisfy { $0 >= 0x20 && $0 != 0x7f })
            #expect(entries.last?["EBEE_UID"] == .string("0"))
        }

        @Test("each stream on or off") func switches() throws {
            let journald = try Journald()
            try journald.start()
            let recorder = try Recorder("[exec]\njournal = false\n", through: journald.namespace.enter)
            let place = try Place()
            try must("rm", try place.file("x"))
            #expect(try journald.deletions(below: place.path, count: 1).count == 1)
            #expect(try journald.entries("EBEE_EVENT=exec") == [])
            let journal = try recorder.status()["journal"]
            #expect(journal?["exec"] == .bool(false))
            #expect(journal?["deletes"] == .bool(true))
        }

        @Test("without journald: said once, counted, and gone on; and made known when it is there") func absent() throws
        {
            let journald = try Journald()
            let recorder = try Recorder("", through: journald.namespace.enter)
            let place = try Place()
            for index in 0..<20 { try must("rm", try place.file("\(index)")) }
            #expect(try recorder.deletions(below: place.path).count == 20)
            let counted = try wait { () -> Int64? in
                let journal = try recorder.status()["journal"]
                let lost = journal?["lost"]?.integer ?? 0
                return lost >= 40 && journal?["available"] == .bool(false) ? lost : nil
            }
            #expect(counted != nil)
            func said(_ text: String) -> Int { recorder.errors.split(separator: "\n").count { $0.contains(text) } }
            #expect(said("the journal takes no entries") == 1)

            try journald.start()
            let isBack = try wait { try recorder.status()["journal", "available"] == .bool(true) ? true : nil }
            #expect(isBack == true)
            #expect(said("the journal is back") == 1)
            let entry = try #require(try wait { try journald.entries("EBEE_EVENT=lost").first })
            #expect(Int64(entry["EBEE_COUNT"]?.string ?? "") ?? 0 >= counted ?? .max)
            #expect(entry["EBEE_WHY"] == .string("journal"))
            try must("rm", try place.file("after"))
            #expect(
                try journald.deletions(below: place.path, count: 1).map { $0["EBEE_PATH"]?.string } == [place("after")])
        }

        @Test("journald stands still for 3 s: nothing is lost, and questions are answered meanwhile") func stopped()
            throws
        {
            let journald = try Journald()
            try journald.start()
            let recorder = try Recorder(
                "[exec]\njournal = false\n[journal]\nbacklog = 500\n", through: journald.namespace.enter)
            let place = try Place()
            let tree = try place.directory("tree")
            for index in 0..<3000 { try place.file("tree/\(index)") }
            journald.signal(SIGSTOP)
            let since = monotonic()
            let rm = try must("rm", "-rf", tree)
            let events = try recorder.deletions(below: tree)
            #expect(events.count == 3001)
            #expect(try recorder.status()["journal", "behind"]?.integer ?? 0 > 500)
            usleep(UInt32(max(0, 3 - (monotonic() - since)) * 1e6))
            journald.signal(SIGCONT)
            let settled = try wait(seconds: 30) {
                try recorder.status()["journal", "behind"] == .integer(0) ? true : nil
            }
            #expect(settled == true)
            let journal = try recorder.status()["journal"]
            #expect(journal?["lost"] == .integer(0))
            #expect(journal?["folded"]?.integer ?? 0 > 0)
            #expect(try recorder.stream("deletes")["lost"] == .integer(0))
            // One by one or in bursts, each is accounted for once.
            let total = try wait(seconds: 20) { () -> Int? in
                let single = try journald.entries("EBEE_EVENT=delete", "EBEE_PID=\(rm.pid)").count
                let bursts = try journald.entries("EBEE_EVENT=burst", "EBEE_PID=\(rm.pid)")
                let folded = bursts.reduce(0) { $0 + (Int($1["EBEE_COUNT"]?.string ?? "") ?? 0) }
                return single + folded >= 3001 ? single + folded : nil
            }
            #expect(total == 3001)
            let burst = try #require(try journald.entries("EBEE_EVENT=burst", "EBEE_PID=\(rm.pid)").first)
            #expect(burst["EBEE_DIRECTORY"]?.string?.hasPrefix(place.path) == true)
            #expect(burst["EBEE_COMM"] == .string("rm"))
        }
    }
}
