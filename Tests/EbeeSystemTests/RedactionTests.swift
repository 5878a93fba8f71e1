import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Secrets on command lines reach neither window nor journal.
    @Suite(.requiresJournald) struct RedactionOfArguments {
        @Test("what a pattern finds is shown by nobody, of executions and of who deletes; a reload changes it")
        func secrets() throws {
            let journald = try Journald()
            try journald.start()
            let recorder = try Recorder(
                "[exec]\nredact = [\"--password=***\", \"*exe* ** -p***\"]\n", through: journald.namespace.enter)
            let place = try Place()
            let secret = "geheim\(getpid())"
            let shell = "exit 3"
            _ = try place.file("x")
            let ran = try run("/bin/sh", "-c", shell, "--password=\(secret)", "-p\(secret)")
            let process = try #require(try recorder.executions(of: ran.pid).last?["process"])
            #expect(
                process["args"] == .array(["/bin/sh", "-c", shell, "--password=***", "-p\(secret)"].map(Value.string)))
            #expect(process["args_redacted"] == .bool(true))
            #expect(process["args_count"] == .integer(5))
            #expect(process["exit_code"] == .integer(3))
            let other = try run("/bin/sh", "-c", "exit 0", "exec", "--password", "-p\(secret)")
            #expect(try recorder.executions(of: other.pid).last?.args?.last == "-p***")
            let plain = try run("/bin/sh", "-c", "exit 0")
            #expect(try recorder.executions(of: plain.pid).last?["process", "args_redacted"] == nil)

            let deletes = try run("rm", "-f", "--", "\(place.path)/x", "--password=\(secret)")
            let deletion = try #require(try recorder.deletions(below: place.path).last)
            #expect(deletion["process", "pid"] == .integer(Int64(deletes.pid)))
            #expect(deletion.args?.last == "--password=***")

            let all = try recorder.ebeectl("recent", "-o", "json").text + recorder.ebeectl("recent").text
            #expect(all.contains("--password=***") && !all.contains("--password=\(secret)"))
            let entries = try wait(seconds: 20) { () -> [Value]? in
                let found = try journald.entries("EBEE_PID=\(deletes.pid)")
                return found.count >= 2 ? found : nil
            }
            let found = try #require(entries)
            #expect(found.allSatisfy { $0["EBEE_CMDLINE"]?.string?.hasSuffix(" '--password=***'") == true }, "\(found)")

            try "[exec]\nredact = []\n".write(toFile: recorder.configuration, atomically: false, encoding: .utf8)
            recorder.signal(SIGHUP)
            let isDone = wait { recorder.errors.contains("configuration reloaded") ? true : nil }
            #expect(isDone == true)
            let shown = try run("/bin/sh", "-c", "exit 0", "--password=\(secret)")
            #expect(try recorder.executions(of: shown.pid).last?.args?.last == "--password=\(secret)")
            #expect(try recorder.executions(of: ran.pid).last?.args?[3] == "--password=***")
        }
    }
}
