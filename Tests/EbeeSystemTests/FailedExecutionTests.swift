import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Executions that fail are recorded with their errno and shown with --failed only.
    @Suite(.requiresKernel, .recorder) struct FailedExecutions {
        @Test("with --failed only, as json: what was asked for, by whom, and why not") func json() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let program = place("none")
            let acted = try act("exec", program, "none", "a b", "")
            #expect(acted.errno == ENOENT)
            let started = try only(try recorder.executions(of: pid_t(acted.pid)))
            #expect(started["result"] == nil)
            #expect(started.args == [Binary.act, "exec", program, "none", "a b", ""])

            let events = try recorder.recent("exec", "--pid", "\(acted.pid)", "--failed")
            try #require(events.count == 2)
            #expect(events.first == started)
            let event = events[1]
            #expect(event.result == "ENOENT")
            #expect(event.args == ["none", "a b", ""])
            let process = try #require(event["process"])
            #expect(process["args_count"] == .integer(3))
            #expect(process["executable"] == .string(program))
            // The process that asked for it is still what it was, and ends as that.
            #expect(process["name"] == started["process", "name"])
            #expect(process["start"] == started["process", "start"])
            #expect(process["parent", "pid"] == .integer(Int64(getpid())))
            #expect(process["user"] == .object(["id": .integer(0), "name": .string("root")]))
            for member in ["interpreter", "exit_code", "exit_signal", "duration_ns"] {
                #expect(process[member] == nil, "\(member)")
            }
            #expect(started["process", "exit_code"] == .integer(0))
            // A filter by executable is one by what was asked for.
            #expect(try recorder.recent("exec", "--exe", program, "--failed") == [event])
            #expect(try recorder.recent("exec", "--exe", program) == [])
        }

        @Test("as a table and as csv", arguments: [("none", ENOENT), ("data", ENOEXEC)]) func text(
            _ name: String, _ error: Int32
        ) throws {
            let recorder = try Recorder.current
            let place = try Place()
            let data = try place.file("data", bytes: 100, mode: 0o755)
            let program = (data as NSString).deletingLastPathComponent + "/\(name)"
            let errorName = error == ENOENT ? "ENOENT" : "ENOEXEC"
            let acted = try act("exec", program, "a b", "asked,for")
            #expect(acted.errno == error)
            try recorder.settle()
            func lines(_ format: String, _ arguments: String...) throws -> [String] {
                let finished = try recorder.ebeectl(["recent"] + arguments + ["--pid", "\(acted.pid)", "-o", format])
                #expect(finished.status == 0, "\(finished.errorText)")
                return finished.lines.map(String.init)
            }
            let command = "'a b' asked,for"
            for stream in ["exec", "all"] {
                let table = try lines("table", stream, "--failed")
                let row = try only(table.filter { $0.contains(" \(errorName) ") })
                #expect(row.hasSuffix(" \(command)"), "\(row)")
                #expect(row.split(separator: " ").contains("\(acted.pid)"))
                #expect(try lines("table", stream).count == table.count - 1)
                #expect(!(try lines("table", stream).contains { $0.contains(errorName) }))
            }

            let csv = try lines("csv", "exec", "--failed")
            try #require(csv.count == 3)
            let columns = csv[0].split(separator: ",").map(String.init)
            // The only fields with commas are quoted, and there is one.
            let fields = csv[2].replacing(#""\#(command)""#, with: "COMMAND")
                .split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            try #require(fields.count == columns.count, "\(csv[2])")
            let row = Dictionary(uniqueKeysWithValues: zip(columns, fields))
            #expect(row["event"] == "exec" && row["result"] == errorName && row["pid"] == "\(acted.pid)")
            #expect(row["exe"] == program && row["args"] == "COMMAND")
            #expect(row["exit_code"] == "" && row["exit_signal"] == "" && row["duration_ns"] == "")
            #expect(try lines("csv", "exec").count == 2)
        }

        @Test("each name of a program in PATH that isn't there, in order") func path() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let directories = ["one", "two", "three"].map { place($0) }
            let acted = try act(
                "path", directories.joined(separator: ":"), "execvp", "tool", "tool")
            #expect(acted.errno == ENOENT)
            try recorder.settle()
            let events = try recorder.recent("exec", "--pid", "\(acted.pid)", "--failed").filter { $0.result != nil }
            #expect(events.map { $0["process", "executable"]?.string } == directories.map { "\($0)/tool" })
            #expect(events.allSatisfy { $0.result == "ENOENT" && $0.args == ["tool"] })
        }

        @Test("tail --failed shows it as it happens") func tail() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let tails = try [[], ["--failed"]].map { flags in
                try Child(recorder.ebeectlCommand(["tail", "exec", "--exe", "\(place.path)/*", "-o", "json"] + flags))
            }
            let clients = try wait { try recorder.status()["clients"]?.integer ?? 0 >= 2 ? true : nil }
            #expect(clients == true)
            usleep(300_000)
            #expect(try act("exec", place("none"), "none").errno == ENOENT)
            let copy = place("true")
            try must("cp", realPath("/bin/true"), copy)
            try must(copy)
            for tail in tails {
                tail.read(seconds: 10) { String(decoding: $0.outputBytes, as: UTF8.self).contains(copy) }
                tail.signal(SIGTERM)
            }
            func executables(_ tail: Child) throws -> [String?] {
                try tail.outputBytes.split(separator: 10).map {
                    try Value(parsing: $0)["process", "executable"]?.string
                }
            }
            #expect(try executables(tails[0]) == [copy])
            #expect(try executables(tails[1]) == [place("none"), copy])
        }

        @Test("not recorded where the configuration says so") func off() throws {
            let recorder = try Recorder("[exec]\nfailed = false\njournal = false\n[deletes]\njournal = false\n")
            let place = try Place()
            let acted = try act("exec", place("none"), "none")
            #expect(acted.errno == ENOENT)
            try recorder.settle()
            let event = try only(try recorder.recent("exec", "--pid", "\(acted.pid)", "--failed"))
            #expect(event["result"] == nil)
            #expect(try recorder.stream("exec")["cannot_see"]?.strings?.contains("executions that fail") == true)
            // It is the switch of executions alone.
            try act("unlink", place("none"))
            #expect(try recorder.deletions(below: place.path, failed: true).map(\.result) == ["ENOENT"])
        }
    }
}
