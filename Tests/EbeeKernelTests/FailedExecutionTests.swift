import CEvents
import EbeeRecord
import Glibc
import Testing

@testable import EbeeKernel

/// Executions that fail, through each rung: what was asked for, by whom, and what came of it.
@Suite(.requiresKernel, .serialized) struct FailedExecutionTests {
    private static let rungs = ["tp_btf", "raw_tp", "tp"]

    /// Tries to execute; the failure that it meets.
    private func fail(_ arguments: [String], in directory: String = "/") -> Int32? {
        do {
            let child = try Child(arguments, directory: directory)
            child.finish()
            return nil
        } catch {
            return (error as? SystemError)?.errno
        }
    }

    /// What failed and was given this argument second, once there is so much of it.
    private func failures(_ run: RecordingRun, _ mark: String, count: Int = 1) -> [Stored] {
        func own(_ records: [Stored]) -> [Stored] {
            records.filter { $0.process?.isFailure == true && $0.arguments.dropFirst().first == mark }
        }
        return own(run.records { own($0).count >= count })
    }

    private func executable(_ stored: Stored) -> String? {
        unsafe stored.process?.executablePath(in: stored.bytes.span.bytes).map { String(decoding: $0, as: UTF8.self) }
    }

    private func make(_ path: String, _ content: String, mode: mode_t = 0o755) {
        let file = unsafe fopen(path, "w")
        unsafe fputs(content, file)
        unsafe fclose(file)
        _ = unsafe chmod(path, mode)
    }

    @Test(arguments: rungs) func whatIsNotThere(rung: String) throws {
        let run = try RecordingRun(.exec, .small(rung))
        let directory = temporaryDirectory()
        defer { _ = unsafe rmdir(directory) }
        let names = ["none", "./none", "../none", directory + "/none", directory + "/.//x/../none"]
        for name in names { #expect(fail([name, directory, "a b", "", "c"], in: directory) == ENOENT) }
        let found = failures(run, directory, count: names.count)
        try #require(found.count == names.count, "each exactly once")
        #expect(
            found.map(executable) == [
                directory + "/none", directory + "/none", "/tmp/none", directory + "/none", directory + "/none",
            ])
        for (name, stored) in zip(names, found) {
            let record = try #require(stored.process)
            #expect(record.fixed.result == -ENOENT && stored.header.kind == RecordKind.exec)
            #expect(stored.arguments == [name, directory, "a b", "", "c"])
            #expect(record.has(EBEE_COUNT_KNOWN) && record.fixed.arguments_count == 5)
            #expect(!record.has(EBEE_ARGUMENTS_CUT) && !record.has(EBEE_ARGUMENTS_UNREAD))
            #expect(!record.has(EBEE_INTERPRETER_KNOWN))
            // All else is the process that asked for it: a child of this one.
            #expect(record.fixed.ppid == UInt32(getpid()) && record.fixed.uid == getuid())
            #expect(stored.text(record.comm) + "\n" == read("/proc/thread-self/comm"))
            #expect(stored.path(record.directory) == directory)
            #expect(stored.header.sequence > 0 && ProcessExit(record.fixed) == nil)
        }
    }

    @Test(arguments: rungs) func whatCanNotRun(rung: String) throws {
        let run = try RecordingRun(.exec, .small(rung))
        let directory = temporaryDirectory()
        let (script, text, data) = (directory + "/script", directory + "/text", directory + "/data")
        defer {
            for path in [script, text, data] { _ = unsafe unlink(path) }
            _ = unsafe rmdir(directory)
        }
        make(script, "#!\(directory)/no-interpreter\n")
        make(text, "#!/bin/sh\n", mode: 0o644)
        make(data, "not a program\n")
        let mark = directory
        #expect(fail([script, mark]) == ENOENT)
        #expect(fail([text, mark]) == EACCES)
        #expect(fail([data, mark]) == ENOEXEC)
        #expect(fail([directory, mark]) == EACCES)
        #expect(fail([script + "/x", mark]) == ENOTDIR)
        let found = failures(run, mark, count: 5)
        #expect(found.map(executable) == [script, text, data, directory, script + "/x"])
        #expect(found.map { -($0.process?.fixed.result ?? 0) } == [ENOENT, EACCES, ENOEXEC, EACCES, ENOTDIR])
        // The script was found: its interpreter was not, which is not what was asked for.
        #expect(found.first?.arguments == [script, mark])
        #expect(found.first?.process?.has(EBEE_INTERPRETER_KNOWN) == false)
    }

    @Test func longArgumentsAreCut() throws {
        let run = try RecordingRun(.exec)
        let mark = temporaryDirectory()
        defer { _ = unsafe rmdir(mark) }
        let program = mark + "/none"
        // 100 of them are counted; the list is not followed for ever.
        for count in [100, 1000] {
            #expect(fail([program, mark] + (2..<count).map { "argument-\($0)" }) == ENOENT)
        }
        #expect(fail([program, mark, String(repeating: "x", count: 5000)]) == ENOENT)
        let found = failures(run, mark, count: 3)
        try #require(found.count == 3)
        for stored in found {
            let record = try #require(stored.process)
            #expect(record.has(EBEE_ARGUMENTS_CUT) && !record.has(EBEE_ARGUMENTS_UNREAD))
            #expect(record.arguments.count == 1024)
            #expect(executable(stored) == program)
        }
        #expect(found.map { $0.process?.has(EBEE_COUNT_KNOWN) } == [true, false, true])
        #expect(found.first?.process?.fixed.arguments_count == 100)
        #expect(found.last?.process?.fixed.arguments_count == 3)
    }

    @Test(arguments: rungs) func noneWhereTheyAreOff(rung: String) throws {
        let run = try RecordingRun(.exec, .small(rung, failed: false))
        #expect(fail(["/nonexistent/tool", "x"]) == ENOENT)
        // What comes later is there, so that what came before would be.
        let child = try Child(["/bin/true", "later"])
        child.finish()
        let records = run.records { $0.contains { $0.header.pid == UInt32(child.pid) } }
        #expect(records.contains { $0.header.pid == UInt32(child.pid) })
        #expect(!records.contains { $0.process?.isFailure == true })
    }

    /// The process lives on, and its exit is that of what it ran before.
    @Test func theProcessLivesOn() throws {
        let run = try RecordingRun(.exec)
        let child = try Child(["/bin/sh", "-c", "/nonexistent/one $0; exec /nonexistent/two $0", "mark"])
        let status = child.finish()
        #expect(status == 127 << 8 || status == 126 << 8)
        let pid = UInt32(child.pid)
        let records = run.records { records in
            records.first { $0.header.pid == pid }?.process.flatMap { ProcessExit($0.fixed) } != nil
        }
        let own = records.filter { $0.header.pid == pid }
        #expect(own.map { $0.process?.fixed.result } == [0, -ENOENT])
        #expect(own.map { $0.process.flatMap { ProcessExit($0.fixed) } != nil } == [true, false])
        #expect(own.last.flatMap(executable) == "/nonexistent/two")
        #expect(Set(own.map { $0.process?.fixed.start }).count == 1)
        let forked = records.filter { executable($0) == "/nonexistent/one" }
        #expect(forked.count == 1 && forked.first?.process?.fixed.ppid == pid)
    }
}
