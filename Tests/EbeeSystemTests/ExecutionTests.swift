import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Programs that run: what they were given, where, by whom, and how they ended.
    @Suite(.requiresKernel, .recorder) struct Executions {
        @Test("ls -la \"a b\" '': three arguments intact, directory and parent") func arguments() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let ls = try run("ls", "-la", "a b", "", directory: place.path)
            let event = try #require(try recorder.executions(of: ls.pid).last)
            #expect(event["event"] == .string("exec"))
            #expect(event.args == ["ls", "-la", "a b", ""])
            let process = try #require(event["process"])
            #expect(process["args_count"] == .integer(4))
            #expect(process["args_truncated"] == nil)
            #expect(process["pid"] == .integer(Int64(ls.pid)))
            #expect(process["tid"] == .integer(Int64(ls.pid)))
            #expect(process["name"] == .string("ls"))
            #expect(process["executable"]?.string == realPath("/bin/ls"))
            #expect(process["working_directory"]?.string == place.path)
            #expect(process["parent", "pid"] == .integer(Int64(getpid())))
            #expect(process["parent", "name"]?.string == comm(of: getpid()))
            #expect(process["ancestors"]?.array?.first == process["parent"])
            #expect(process["ancestors"]?.array?.compactMap { $0["pid"]?.integer } == ancestors(limit: 8))
            #expect(process["exit_code"] == .integer(2))
            #expect(process["exit_signal"] == nil)
            #expect(process["user"] == .object(["id": .integer(0), "name": .string("root")]))
            #expect(process["effective_user", "id"] == .integer(0))
            #expect(process["group", "id"] == .integer(0))
            #expect(process["namespaces", "pid"]?.integer == namespace("pid"))
            #expect(process["namespaces", "mnt"]?.integer == namespace("mnt"))
            #expect(process["cgroup"]?.string == cgroup())
            #expect(process["interpreter"] == nil)
            let start = try #require(process["start"]?.string.flatMap(nanoseconds))
            #expect(start <= (event.time ?? 0))
        }

        @Test("arguments that are empty, long, many, or not text") func oddArguments() throws {
            let recorder = try Recorder.current
            let empty = try run(Binary.act, "exit", "0", "", "", "x", "")
            #expect(try recorder.executions(of: empty.pid).last?.args == [Binary.act, "exit", "0", "", "", "x", ""])

            let hostile: [[UInt8]] = [
                Array(Binary.act.utf8), Array("exit".utf8), Array("0".utf8), [0xff, 0x0a], [0x1b],
            ]
            let bytes = try run(hostile)
            let event = try #require(try recorder.executions(of: bytes.pid).last)
            #expect(event["process", "args_raw"]?.array?.map(\.base64) == hostile)

            let long = String(repeating: "y", count: 100 << 10)
            let one = try run(Binary.act, "exit", "0", long, "last")
            let cut = try #require(try recorder.executions(of: one.pid).last)
            #expect(cut["process", "args_truncated"] == .bool(true))
            #expect(cut["process", "args_count"] == .integer(5))
            let kept = try #require(cut.args)
            #expect(kept.prefix(3) == [Binary.act, "exit", "0"])
            #expect(kept.count == 4 && long.hasPrefix(kept[3]))
            // Each argument with its NUL, but for the one that is cut.
            #expect(kept.reduce(0) { $0 + $1.utf8.count } + 3 == 16384)

            let many = try run(Binary.act, "many-arguments", "5000", "20")
            let last = try #require(try recorder.executions(of: many.pid).last)
            #expect(last["process", "args_truncated"] == .bool(true))
            #expect(last["process", "args_count"] == .integer(5000))
            #expect(last.args?.dropFirst(3).dropLast().allSatisfy { $0 == String(repeating: "x", count: 20) } == true)
        }

        @Test("arguments of just the limit are whole") func limit() throws {
            let recorder = try Recorder.current
            let fixed = Binary.act.utf8.count + 1 + 5 + 2
            for (surplus, isCut) in [(0, false), (1, true)] {
                let filler = String(repeating: "z", count: 16384 - fixed - 1 + surplus)
                let finished = try run(Binary.act, "exit", "0", filler)
                let event = try #require(try recorder.executions(of: finished.pid).last)
                #expect((event["process", "args_truncated"] == .bool(true)) == isCut)
                #expect(event.args?.last == String(filler.prefix(16384 - fixed - (isCut ? 0 : 1))))
            }
        }

        @Test("a script: its interpreter runs, with it as an argument") func script() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let script = place("a script")
            try "#!/bin/sh -e\nexit 3\n".write(toFile: script, atomically: false, encoding: .utf8)
            #expect(Call.chmod(script, 0o755) == 0)
            let finished = try run(script, "one")
            let event = try only(try recorder.executions(of: finished.pid))
            #expect(event["process", "interpreter"] == .string("/bin/sh"))
            #expect(event["process", "executable"]?.string == realPath("/bin/sh"))
            #expect(event.args == ["/bin/sh", "-e", script, "one"])
            #expect(event["process", "name"] == .string("a script"))
            #expect(event["process", "exit_code"] == .integer(3))
        }

        @Test("by descriptor: fexecve, execveat, and a program that is in memory only") func descriptors() throws {
            let recorder = try Recorder.current
            let true_ = realPath("/bin/true")
            let byFile = try run(Binary.act, "fexecve", true_, "one", "")
            let event = try #require(try recorder.executions(of: byFile.pid).last)
            #expect(event["process", "executable"]?.string == true_)
            #expect(event.args == ["one", ""])
            #expect(event["process", "interpreter"] == nil)

            let directory = (true_ as NSString).deletingLastPathComponent
            let byName = try run(Binary.act, "execveat", directory, "true", "two")
            let second = try #require(try recorder.executions(of: byName.pid).last)
            #expect(second["process", "executable"]?.string == true_)
            #expect(second.args == ["two"])

            let inMemory = try run(Binary.act, "memfd", true_, "three")
            let third = try #require(try recorder.executions(of: inMemory.pid).last)
            #expect(inMemory.status == 0)
            #expect(third["process", "executable"]?.string?.contains("memfd:act") == true)
            #expect(third.args == ["three"])
        }

        @Test("from a thread that is not the first, the process keeps its pid") func thread() throws {
            let recorder = try Recorder.current
            let finished = try run(Binary.act, "thread", "exec", "/bin/true", "/bin/true", "x")
            #expect(finished.status == 0)
            let events = try recorder.executions(of: finished.pid)
            #expect(
                events.map(\.args) == [
                    [Binary.act, "thread", "exec", "/bin/true", "/bin/true", "x"], ["/bin/true", "x"],
                ])
            #expect(events.last?.tid == Int64(finished.pid))
            #expect(events.last?["process", "exit_code"] == .integer(0))
        }

        @Test("how it ended, and how long it took") func exits() throws {
            let recorder = try Recorder.current
            let three = try run(Binary.act, "exit", "3")
            let killed = try run(Binary.act, "kill", "9")
            let before = monotonic()
            let slept = try run(Binary.act, "sleep", "300")
            let elapsed = Int64((monotonic() - before) * 1e9)
            let first = try only(try recorder.executions(of: three.pid))
            #expect(first["process", "exit_code"] == .integer(3))
            #expect(first["process", "exit_signal"] == nil)
            let second = try only(try recorder.executions(of: killed.pid))
            #expect(killed.ending == .signalled(9))
            #expect(second["process", "exit_signal"] == .integer(9))
            #expect(second["process", "exit_code"] == nil)
            let third = try only(try recorder.executions(of: slept.pid))
            let duration = try #require(third["process", "duration_ns"]?.integer)
            #expect((300_000_000...elapsed).contains(duration))

            let running = try Child([Binary.act, "sleep", "5000"])
            try recorder.settle()
            let event = try only(try recorder.recent("exec", "--pid", "\(running.pid)"))
            #expect(event["process", "exit_code"] == nil)
            #expect(event["process", "duration_ns"] == nil)
            running.signal(SIGTERM)
            _ = try running.finish(seconds: 5)
            #expect(try only(try recorder.executions(of: running.pid))["process", "exit_signal"] == .integer(15))
        }

        @Test("every execution of one process, the exit with the last") func chain() throws {
            let recorder = try Recorder.current
            let finished = try run("sh", "-c", "exec env A=1 sh -c 'exec \(Binary.act) exit 4'")
            let events = try recorder.executions(of: finished.pid)
            #expect(
                events.map { $0.args ?? [] } == [
                    ["sh", "-c", "exec env A=1 sh -c 'exec \(Binary.act) exit 4'"],
                    ["env", "A=1", "sh", "-c", "exec \(Binary.act) exit 4"], ["sh", "-c", "exec \(Binary.act) exit 4"],
                    [Binary.act, "exit", "4"],
                ])
            #expect(events.map { $0["process", "exit_code"]?.integer } == [nil, nil, nil, 4])
            #expect(Set(events.map { $0["process", "start"]?.string }).count == 1)
        }

        @Test("as another user, really and in effect") func users() throws {
            let recorder = try Recorder.current
            let both = try run("setpriv", "--reuid=65534", "--regid=65533", "--clear-groups", "/bin/true")
            let process = try #require(try recorder.executions(of: both.pid).last?["process"])
            #expect(process["user", "id"] == .integer(65534))
            #expect(process["effective_user", "id"] == .integer(65534))
            #expect(process["group", "id"] == .integer(65533))
            let real = try run("setpriv", "--ruid=65534", "/bin/true")
            let other = try #require(try recorder.executions(of: real.pid).last?["process"])
            #expect(other["user", "id"] == .integer(65534))
            #expect(other["effective_user", "id"] == .integer(0))
        }

        @Test("a pid namespace: the pid as the daemon sees it") func pidNamespace() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let file = try place.file("x")
            let outer = try must("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", "rm \(file); :")
            let event = try only(try recorder.deletions(below: place.path))
            let own = namespace("pid")
            #expect((event.pid ?? 0) > Int64(outer.pid))
            #expect(event["process", "namespaces", "pid"]?.integer != own)
            // In there the shell is process 1.
            #expect(event["process", "parent", "pid"] != .integer(1))
            #expect(event["process", "ancestors"]?.array?.contains { $0["pid"] == .integer(Int64(outer.pid)) } == true)
        }
    }
}

func comm(of pid: pid_t) -> String? {
    (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8))?.trimmingCharacters(in: .newlines)
}

/// The pids above this test's children: itself, its parent, and so on.
private func ancestors(limit: Int) -> [Int64] {
    var pids = [Int64(getpid())]
    while pids.count < limit, let last = pids.last, last > 1 {
        guard let text = try? String(contentsOfFile: "/proc/\(last)/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("PPid:") }),
            let parent = Int64(line.dropFirst(5).trimmingCharacters(in: .whitespaces)), parent > 0
        else { break }
        pids.append(parent)
    }
    return pids
}

private func namespace(_ kind: String) -> Int64? {
    let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/\(kind)")
    return link.flatMap { Int64($0.filter(\.isNumber)) }
}

/// This test's cgroup in the unified tree (cgroups(7)).
private func cgroup() -> String? {
    let text = try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)
    return text?.split(separator: "\n").first { $0.hasPrefix("0::") }.map { String($0.dropFirst(3)) }
}
