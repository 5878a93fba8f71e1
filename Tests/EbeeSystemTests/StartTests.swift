import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// How ebeed starts, refuses to start, reloads and stops.
    @Suite(.requiresKernel) struct Starts {
        private func ebeed(_ arguments: String...) throws -> Finished {
            try run(([Binary.ebeed] + arguments).map { Array($0.utf8) }, seconds: 60)
        }

        @Test(
            "a wrong configuration: 78, with file, line and key",
            arguments: [
                ("[exec]\nrecords = true\n", ":2: exec.records: no such key"),
                ("\n[exces]\nrecord = true\n", ":2: no section [exces]"),
                ("[exec]\n\nrecord = 1\n", ":3: exec.record: must be true or false"),
                (
                    "[deletes]\nwindow_bytes = \"64M\"\n",
                    ":2: deletes.window_bytes: must be an integer from 1048576 to 4294967296"
                ),
                (
                    "[deletes]\nwindow_seconds = 59\n",
                    ":2: deletes.window_seconds: must be an integer from 60 to 604800"
                ),
                ("[exec]\nargument_bytes = 32769\n", ":2: exec.argument_bytes: must be an integer from 256 to 32768"),
                (
                    "[exec]\nring_bytes = 100000\n",
                    ":2: exec.ring_bytes: must be a power of two from 65536 to 1073741824"
                ),
                ("[server]\nsocket = \"relative\"\n", ":2: server.socket: must be an absolute path"),
                ("[log]\nlevel = \"loud\"\n", ":2: log.level: must be one of"),
                (
                    "[exec]\nhooks = \"fentry\"\n",
                    ":2: exec.hooks: must be one of \"auto\", \"tp_btf\", \"raw_tp\", \"kprobe\", \"tp\""
                ),
                ("[deletes]\ncalls_32_bit = 1\n", ":2: deletes.calls_32_bit: must be true or false"),
                ("exec = 1\n", ":1: exec is a section"),
                ("server.clients = 0\n", ":1: server.clients: must be an integer from 1 to 4096"),
                ("[exec\nrecord = true\n", ":1: "), ("[exec]\nrecord = maybe\n", ":2: "), ("[exec]\n[exec]\n", ":2: "),
                // Where the TOML library ends the process.
                ("[exec]\n[[[x\n", ":2: not TOML: is a bracket"),
                ("\n\nrecord = [1, }=2\nx = 1\n", ":3: not TOML: is a bracket"), ("[\n\"x\"\n", ":1: not TOML"),
                (
                    "[exec]\nredact = [\"--password=\"]\n",
                    ":2: exec.redact: must be patterns with one secret each, written ***"
                ),
                ("[exec]\nredact = \"***\"\n", ":2: exec.redact: must be an array of patterns, each in quotes"),
            ])
        func configuration(_ toml: String, _ sentence: String) throws {
            let place = try Place()
            let file = place("x.toml")
            try toml.write(toFile: file, atomically: false, encoding: .utf8)
            for check in [true, false] {
                let finished = try ebeed(
                    "--config", file, "--socket", place("s"), check ? "--check" : "--config=\(file)")
                #expect(finished.status == 78)
                #expect(finished.errorText.hasPrefix("ebeed: \(file)\(sentence)"), "\(finished.errorText)")
                #expect(finished.errorText.split(separator: "\n").count == 1)
            }
        }

        @Test("a --config that isn't there: 78") func noConfiguration() throws {
            let finished = try ebeed("--config", "/nonexistent/ebeed.toml")
            #expect(finished.status == 78)
            #expect(finished.errorText == "ebeed: /nonexistent/ebeed.toml: No such file or directory\n")
        }

        @Test(
            "a priority is put in front of a line only where the journal reads it",
            arguments: [("$(stat -L -c %d:%i /dev/stderr)", "<3>"), ("1:2", "ebeed: "), ("", "ebeed: ")])
        func priority(_ stream: String, _ prefix: String) throws {
            let place = try Place()
            // A file stands in for the journal's stream.
            try run(
                "sh", "-c", "exec 2>\(place("stderr")); JOURNAL_STREAM=\(stream) \(Binary.ebeed) --config /nonexistent")
            #expect(
                try String(contentsOfFile: place("stderr"), encoding: .utf8)
                    == "\(prefix)/nonexistent: No such file or directory\n")
        }

        @Test("every key of config/ebeed.toml is allowed, and its default is what it says") func shipped() throws {
            let place = try Place()
            let text = try String(contentsOfFile: "\(Binary.package)/config/ebeed.toml", encoding: .utf8)
            // The keys are comments without a space behind the #.
            let live = text.split(separator: "\n", omittingEmptySubsequences: false)
                .map { $0.hasPrefix("#") && !$0.hasPrefix("# ") && $0.count > 1 ? $0.dropFirst() : $0 }
            #expect(live.count { $0.contains(" = ") && !$0.hasPrefix("#") } >= 18)
            try live.joined(separator: "\n").write(toFile: place("x.toml"), atomically: false, encoding: .utf8)
            let finished = try ebeed("--config", place("x.toml"), "--check")
            #expect(finished.status == 0, "\(finished.errorText)")
        }

        @Test("wrong usage: 64") func usage() throws {
            #expect(try ebeed("--frobnicate").status == 64)
            #expect(try ebeed("--socket", "relative").status == 64)
            #expect(try ebeed("--version").text.hasPrefix("ebeed "))
        }

        @Test("not root: 77 and one sentence") func notRoot() throws {
            let place = try Place()
            // Where another user may run it.
            let copy = place("ebeed")
            try must("cp", Binary.ebeed, copy)
            for flag in ["--check", "--config=/dev/null"] {
                let finished = try run(
                    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy, "--socket", place("s"), flag)
                #expect(finished.status == 77)
                #expect(finished.errorText.hasPrefix("ebeed: ebeed must run as root"))
                #expect(finished.errorText.split(separator: "\n").count == 1)
                #expect(finished.output.isEmpty)
            }
        }

        @Test("--check lists the hooks, attaches nothing, and opens no socket") func check() throws {
            let place = try Place()
            let finished = try ebeed("--check", "--config", "/dev/null", "--socket", place("s"))
            #expect(finished.status == 0)
            let lines = finished.lines
            #expect(lines.first == "configuration: ok")
            let rungs = lines.dropFirst().filter { !$0.hasPrefix(" ") }
            let names = rungs.map { $0.split(separator: ": ").prefix(2).joined(separator: ": ") }
            // In which order functions are tried depends on the kernel; tracepoints of system calls are the last resort of each.
            #expect(names.sorted() == Self.rungs.sorted() && names.last == Self.rungs.last)
            #expect(
                rungs.allSatisfy {
                    $0.hasSuffix(": yes") || $0.hasSuffix(": yes, this one is used") || $0.contains(": no: ")
                })
            // The first that works, and what it can't see.
            for stream in ["exec: ", "deletes: "] {
                let working = rungs.filter { $0.hasPrefix(stream) && $0.contains(": yes") }
                #expect(working.map { $0.hasSuffix("this one is used") } == working.indices.map { $0 == 0 })
                #expect(working.last?.hasPrefix(stream) == true)
            }
            #expect(lines.count { $0.hasPrefix("    does not see or costs: ") } > 0)
            #expect(finished.errors.isEmpty)
            #expect(Call.access(place("s"), F_OK) == ENOENT)
        }

        private static let rungs = [
            "exec: tp_btf", "exec: raw_tp", "exec: kprobe", "exec: tp", "deletes: fentry", "deletes: kprobe",
            "deletes: syscalls",
        ]

        @Test("hooks: the rung that is asked for, in --check and in status") func hooks() throws {
            let toml = "[exec]\njournal = false\nhooks = \"tp\"\n[deletes]\njournal = false\nhooks = \"syscalls\"\n"
            let recorder = try Recorder(toml)
            for (stream, rung, program) in [("exec", "tp", "exec_tp"), ("deletes", "syscalls", "exit_call")] {
                let status = try recorder.stream(stream)
                #expect(status["rung"] == .string(rung))
                let programs = try #require(status["programs"]?.array)
                #expect(programs.contains { $0["name"] == .string(program) })
                #expect(!programs.contains { $0["name"]?.string?.contains("tp_btf") == true })
                // Where the kernel tells.
                for program in programs {
                    #expect(program["verified_instructions"]?.integer ?? 11 > 10)
                    #expect(program["recursion_misses"]?.integer != nil, "since Linux 5.12")
                }
            }
            let place = try Place()
            let rm = try must("rm", try place.file("x"))
            #expect(try recorder.deletions(below: place.path).map(\.pid) == [Int64(rm.pid)])
            #expect(try recorder.executions(of: rm.pid).map(\.args) == [["rm", place("x")]])

            let check = try ebeed("--check", "--config", recorder.configuration, "--socket", place("s"))
            #expect(check.status == 0)
            #expect(
                check.lines.filter { $0.hasSuffix("this one is used") } == [
                    "exec: tp: yes, this one is used", "deletes: syscalls: yes, this one is used",
                ])
            try (toml.replacing("\"tp\"", with: "\"raw_tp\"")).write(
                toFile: recorder.configuration, atomically: false, encoding: .utf8)
            recorder.signal(SIGHUP)
            let said = wait { recorder.errors.contains("only a restart can apply it: exec.hooks") ? true : nil }
            #expect(said == true)
            #expect(try recorder.stream("exec")["rung"] == .string("tp"))
        }

        @Test("hooks that this kernel can't have: 69, and no other is taken") func hooksThatAreNotThere() throws {
            let place = try Place()
            let all = try ebeed("--check", "--config", "/dev/null", "--socket", place("s"))
            for line in all.lines where line.contains(": no: ") {
                let words = line.split(separator: ": ").map(String.init)
                let (stream, rung) = (words[0], words[1])
                try "[\(stream)]\nhooks = \"\(rung)\"\n".write(toFile: place("x"), atomically: false, encoding: .utf8)
                let check = try ebeed("--check", "--config", place("x"), "--socket", place("s"))
                #expect(check.status == 69)
                #expect(check.lines.contains("\(stream): \(stream).hooks = \"\(rung)\" can't be had here"))
                #expect(!check.lines.contains { $0.hasPrefix(stream) && $0.hasSuffix("this one is used") })
                let start = try ebeed("--config", place("x"), "--socket", place("s"))
                #expect(start.status == 69)
                #expect(
                    start.errorText.contains("no hook of this kernel can record \(stream) (\(rung): "),
                    "\(start.errorText)")
                #expect(Call.access(place("s"), F_OK) == ENOENT)
            }
        }

        @Test("without 32-bit calls, and said so") func calls32Bit() throws {
            let toml =
                "[exec]\njournal = false\n[deletes]\njournal = false\nhooks = \"syscalls\"\ncalls_32_bit = false\n"
            let recorder = try Recorder(toml)
            let status = try recorder.stream("deletes")
            #expect(status["cannot_see"]?.strings?.contains("deletions through 32-bit system calls") == true)
            #expect(status["programs"]?.array?.contains { $0["name"] == .string("exit_32_bit") } == false)
        }

        @Test("SIGTERM: 0, no socket, no program", .requiresBpftool, arguments: [SIGTERM, SIGINT]) func stop(
            _ signal: Int32
        )
            throws
        {
            let recorder = try Recorder()
            let programs = try programs(of: recorder.pid)
            #expect(programs.count >= 8)
            let names = try programs.compactMap { try programName($0) }
            #expect(names.contains("exec_tp_btf") && names.contains("exit_call"), "\(names)")
            let tail = try Child(recorder.ebeectlCommand(["tail"]), errors: .pipe)
            usleep(300_000)
            recorder.signal(signal)
            #expect(recorder.stop() == .exited(0))
            #expect(Call.access(recorder.socket, F_OK) == ENOENT)
            let left = try wait(seconds: 5) { try programs.allSatisfy { try programName($0) == nil } ? true : nil }
            #expect(left == true)
            // Who was watching is told.
            let ended = try tail.finish(seconds: 10)
            #expect(ended.status == 1)
            #expect(ended.errorText.hasPrefix("ebeectl: "))
        }

        @Test("tracefs is unmounted if ebeed mounted it") func tracefs() throws {
            let namespace = try MountNamespace("umount -a -t tracefs,debugfs")
            #expect(try namespace.run("sh", "-c", "grep -c ' tracefs ' /proc/self/mounts || :").text == "0\n")
            let recorder = try Recorder(through: namespace.enter)
            let place = try Place()
            #expect(Call.unlink(try place.file("x")) == 0)
            #expect(try recorder.deletions(below: place.path).count == 1)
            #expect(recorder.stop() == .exited(0))
            #expect(try namespace.run("sh", "-c", "grep -c ' tracefs ' /proc/self/mounts || :").text == "0\n")
        }

        @Test("SIGHUP: what can change does, what can't is named, what is wrong is left") func reload() throws {
            let recorder = try Recorder("[exec]\njournal = false\n[deletes]\njournal = false\n")
            let place = try Place()
            let file = try place.file("before")
            #expect(Call.unlink(file) == 0)
            func reload(_ toml: String, _ says: String) throws {
                try toml.write(toFile: recorder.configuration, atomically: false, encoding: .utf8)
                recorder.signal(SIGHUP)
                let said = wait { recorder.errors.contains(says) ? true : nil }
                #expect(said == true, "\(says) is not in \(recorder.errors)")
            }
            try reload("[deletes]\njournal = false\n[server]\nrequests = 1\n", "configuration reloaded")
            #expect(try recorder.status()["journal", "exec"] == .bool(true))
            let socket = try Socket(recorder.socket)
            socket.send(#"{"id":1,"request":"tail"}"# + "\n" + #"{"id":2,"request":"tail"}"#)
            let refused = try wait { try socket.line()?["error", "code"] }
            #expect(refused == .string("too_many_requests"))
            try reload(
                "[exec]\nargument_bytes = 512\n", "only a restart can apply it: exec.argument_bytes")
            try reload(
                "[exec]\nargument_bytes = 1\n",
                "configuration not reloaded, the old one stays: \(recorder.configuration):2: ")
            try reload(
                "\n\n[[[x\n", "configuration not reloaded, the old one stays: \(recorder.configuration):3: not TOML")
            // Root without capabilities is an owner of files like others.
            try "[exec]\n".write(toFile: recorder.configuration, atomically: false, encoding: .utf8)
            #expect(Call.chmod(recorder.configuration, 0) == 0)
            recorder.signal(SIGHUP)
            let closed = "the old one stays: \(recorder.configuration): Permission denied"
            #expect(wait { recorder.errors.contains(closed) ? true : nil } == true, "\(recorder.errors)")
            // Nothing was lost over it.
            #expect(try recorder.deletions(below: place.path).map(\.path) == [file])
        }

        @Test("a second daemon on the same socket is refused") func second() throws {
            let recorder = try Recorder()
            let finished = try ebeed("--config", recorder.configuration, "--socket", recorder.socket)
            #expect(finished.status == 69)
            #expect(finished.errorText.hasPrefix("ebeed: another ebeed answers on \(recorder.socket)"))
            #expect(finished.errorText.split(separator: "\n").count == 1)
            #expect(try recorder.status()["pid"] == .integer(Int64(recorder.pid)))
        }

        @Test("a stale socket is taken over; mode 0666") func stale() throws {
            let place = try Place()
            let first = try Recorder(in: place)
            let mode = try status(of: first.socket).st_mode
            #expect(mode & 0o7777 == 0o666)
            first.signal(SIGKILL)
            _ = first.stop()
            #expect(Call.access(first.socket, F_OK) == 0)
            let second = try Recorder(in: place)
            #expect(try second.status()["pid"] == .integer(Int64(second.pid)))
            #expect(second.pid != first.pid)
        }

        @Test("what is no socket is left alone") func noSocket() throws {
            let place = try Place()
            let file = try place.file("precious", bytes: 10)
            let finished = try ebeed("--config", "/dev/null", "--socket", file)
            #expect(finished.status != 0)
            #expect(finished.errorText.contains("\(file) exists and is not a socket"))
            #expect(try status(of: file).st_size == 10)
        }

        @Test("a stream that is off is not recorded") func off() throws {
            let recorder = try Recorder("[exec]\njournal = false\n[deletes]\nrecord = false\n")
            let streams = try recorder.status()["streams"]?.array
            #expect(streams?.compactMap { $0["stream"]?.string } == ["exec"])
        }
    }
}

/// The programs that a process holds, by what its descriptors say (proc(5), fdinfo).
private func programs(of pid: pid_t) throws -> Set<Int> {
    let directory = "/proc/\(pid)/fdinfo"
    var ids: Set<Int> = []
    for descriptor in try FileManager.default.contentsOfDirectory(atPath: directory) {
        let text = (try? String(contentsOfFile: "\(directory)/\(descriptor)", encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") where line.hasPrefix("prog_id:") {
            if let id = Int(line.dropFirst(8).trimmingCharacters(in: .whitespaces)) { ids.insert(id) }
        }
    }
    return ids
}

/// A program's name; nil when it is gone.
private func programName(_ id: Int) throws -> String? {
    let finished = try run("bpftool", "--json", "prog", "show", "id", "\(id)")
    return finished.status == 0 ? try Value(parsing: finished.output)["name"]?.string : nil
}
