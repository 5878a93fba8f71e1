import CEvents
import CLinux
import Glibc
import Testing

@testable import EbeeKernel
@testable import EbeeRecord

@Suite(.requiresKernel, .serialized) struct ExecutionTests {
    private func status(_ pid: pid_t, _ field: String) -> [UInt32] {
        let line = read("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix(field + ":") }
        return (line ?? "").split { $0 == "\t" || $0 == " " }.dropFirst().compactMap { UInt32($0) }
    }

    private func stat(_ pid: UInt32) -> [Substring] {
        // Behind the name, which may hold anything.
        read("/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ") ?? []
    }

    private func inode(_ link: String) -> UInt32? { UInt32(link.drop { $0 != "[" }.dropFirst().dropLast()) }

    /// What the kernel wrote, against /proc of the process while it lives.
    @Test func everyFieldOfAnExecution() throws {
        let run = try RecordingRun(.exec)
        let directory = temporaryDirectory()
        defer { _ = unsafe rmdir(directory) }
        let arguments = ["/bin/cat", "-", "--", "-", ""]
        let child = try Child(arguments, directory: directory)
        let pid = UInt32(child.pid)
        let found = run.records { $0.contains { $0.header.pid == pid && $0.header.kind == RecordKind.exec } }
            .first { $0.header.pid == pid }
        guard let found, let record = found.process else {
            child.finish()
            Issue.record("no record of \(child.pid)")
            return
        }
        let fixed = record.fixed
        let proc = "/proc/\(pid)"
        #expect(fixed.header.tid == pid)
        #expect(fixed.header.sequence > 0)
        #expect(fixed.header.time <= Clock.boot() && Clock.boot() - fixed.header.time < 10_000_000_000)
        #expect(found.text(record.comm) == "cat" && read(proc + "/comm") == "cat\n")
        #expect(found.path(record.executable) == link(proc + "/exe"))
        #expect(found.path(record.directory) == link(proc + "/cwd") && link(proc + "/cwd") == directory)
        #expect(found.arguments == arguments)
        #expect(record.has(EBEE_COUNT_KNOWN) && fixed.arguments_count == 5)
        #expect(!record.has(EBEE_ARGUMENTS_CUT) && !record.has(EBEE_ARGUMENTS_UNREAD))
        #expect(!record.has(EBEE_INTERPRETER_KNOWN))

        let stat = stat(pid)
        // Fields 4 and 22 of proc(5), of which the first here is field 3.
        #expect(stat.count > 19 && UInt32(stat[1]) == fixed.ppid && fixed.ppid == UInt32(getpid()))
        let ticks = UInt64(sysconf(Int32(_SC_CLK_TCK)))
        let start = UInt64(stat[19]) ?? 0
        #expect(fixed.start / (1_000_000_000 / ticks) == start, "start \(fixed.start) ns, \(start) ticks")
        #expect(status(child.pid, "Uid") == [fixed.uid, fixed.euid] + status(child.pid, "Uid").dropFirst(2))
        #expect(status(child.pid, "Gid").first == fixed.gid)
        if let login = UInt32(read(proc + "/loginuid")) { #expect(fixed.login_uid == login) }
        if let session = UInt32(read(proc + "/sessionid")) { #expect(fixed.session_id == session) }
        #expect(inode(link(proc + "/ns/pid")) == fixed.pid_namespace)
        #expect(inode(link(proc + "/ns/mnt")) == fixed.mnt_namespace)
        #expect(record.tty.isEmpty == (stat[4] == "0"))
        if let line = read(proc + "/cgroup").split(separator: "\n").first(where: { $0.hasPrefix("0::") }) {
            #expect(found.path(record.cgroup) == line.dropFirst(3))
        }

        #expect(fixed.ancestors >= 1 && !record.has(EBEE_NO_PARENT))
        var expected = fixed.ppid
        for index in 0..<Int(fixed.ancestors) {
            let ancestor = unsafe record.ancestor(index, in: found.bytes.span.bytes)
            #expect(ancestor.pid == expected)
            #expect(found.text(ancestor.comm) + "\n" == read("/proc/\(ancestor.pid)/comm"))
            expected = UInt32(self.stat(ancestor.pid).dropFirst().first ?? "") ?? 0
        }
        #expect(fixed.ancestors == EBEE_ANCESTORS_MAX || expected == 0, "the ancestors go up to the first process")

        #expect(ProcessExit(fixed) == nil, "it still runs")
        let status = child.finish()
        let ended = run.records { records in
            records.contains { $0.position == found.position && $0.process.flatMap { ProcessExit($0.fixed) } != nil }
        }.first { $0.position == found.position }
        let exit = try #require(ended?.process.flatMap { ProcessExit($0.fixed) })
        guard case .code(let code) = exit.status else { Issue.record("\(exit.status)"); return }
        #expect(code == UInt32(status >> 8 & 0xff) && code != 0)
        #expect(exit.duration < Clock.boot() - fixed.header.time)
    }

    @Test func anotherUserAndASignal() throws {
        let run = try RecordingRun(.exec)
        let child = try Child([
            "/usr/bin/setpriv", "--reuid=1234", "--regid=2345", "--clear-groups", "/bin/sleep", "100",
        ])
        let pid = UInt32(child.pid)
        func sleeping(_ records: [Stored]) -> Stored? {
            records.first { $0.header.pid == pid && $0.arguments == ["/bin/sleep", "100"] }
        }
        let record = try #require(sleeping(run.records { sleeping($0) != nil })?.process)
        #expect(record.fixed.uid == 1234 && record.fixed.euid == 1234 && record.fixed.gid == 2345)
        kill(child.pid, SIGKILL)
        child.finish()
        let ended = run.records { sleeping($0)?.process.flatMap { ProcessExit($0.fixed) } != nil }
        guard case .signal(9) = sleeping(ended)?.process.flatMap({ ProcessExit($0.fixed) })?.status else {
            Issue.record("not ended by SIGKILL")
            return
        }
    }

    @Test func scriptsHaveAnInterpreter() throws {
        let run = try RecordingRun(.exec)
        let directory = temporaryDirectory()
        let script = directory + "/script"
        defer {
            _ = unsafe unlink(script)
            _ = unsafe rmdir(directory)
        }
        let file = unsafe fopen(script, "w")
        unsafe fputs("#!/bin/sh -e\nexit 3\n", file)
        unsafe fclose(file)
        _ = unsafe chmod(script, 0o755)
        let child = try Child([script, "a"])
        #expect(child.finish() == 3 << 8)
        let records = run.records { $0.contains { $0.header.pid == UInt32(child.pid) } }
        let found = try #require(records.first { $0.header.pid == UInt32(child.pid) })
        let record = try #require(found.process)
        #expect(record.has(EBEE_INTERPRETER_KNOWN) && found.text(record.interpreter) == "/bin/sh")
        #expect(found.arguments == ["/bin/sh", "-e", script, "a"])
    }

    @Test func longArgumentsAreCut() throws {
        let run = try RecordingRun(.exec)
        let child = try Child(["/bin/true"] + (0..<300).map { "argument-\($0)" })
        child.finish()
        let records = run.records { $0.contains { $0.header.pid == UInt32(child.pid) } }
        let found = try #require(records.first { $0.header.pid == UInt32(child.pid) })
        let record = try #require(found.process)
        #expect(record.has(EBEE_ARGUMENTS_CUT) && record.arguments.count == 1024)
        #expect(record.fixed.arguments_count == 301)
        #expect(found.arguments.starts(with: ["/bin/true", "argument-0", "argument-1"]))
    }

    /// A program that was never in a directory has a name all the same: /proc/PID/exe is `/memfd:tool (deleted)`.
    @Test func executableInMemory() throws {
        let run = try RecordingRun(.exec)
        let descriptor = unsafe ebee_memory_file("tool", 0)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let source = unsafe open("/bin/true", O_RDONLY)
        while sendfile(descriptor, source, nil, 1 << 20) > 0 {}
        close(source)
        let child = try Child(["/proc/self/fd/\(descriptor)"])
        child.finish()
        let records = run.records { $0.contains { $0.header.pid == UInt32(child.pid) } }
        let found = try #require(records.first { $0.header.pid == UInt32(child.pid) })
        let record = try #require(found.process)
        #expect(found.path(record.executable) == "/memfd:tool")
    }
}
