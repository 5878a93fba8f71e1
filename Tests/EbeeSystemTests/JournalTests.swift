import Foundation
import Glibc
import Testing

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
                #expect(entry["EBEE_TIME"] == event["time"])
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
    }
}
