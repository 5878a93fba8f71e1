import CEvents
import CTestSupport
import EbeeRecord
import Glibc
import Testing

@testable import EbeeKernel

@Suite(.requiresKernel, .serialized) struct DeletionTests {
    /// The deletions of a child, in order, once there are `count`.
    private func deletions(_ run: RecordingRun, of child: Child, count: Int) -> [Stored] {
        func own(_ records: [Stored]) -> [Stored] {
            records.filter { $0.header.kind == RecordKind.delete && $0.header.pid == UInt32(child.pid) }
        }
        return own(run.records { own($0).count >= count })
    }

    private func make(_ path: String, bytes: Int, mode: mode_t) {
        let file = unsafe open(path, O_CREAT | O_WRONLY, 0o600)
        let content = [UInt8](repeating: 65, count: bytes)
        _ = unsafe write(file, content, bytes)
        fchmod(file, mode)
        fchown(file, 321, 654)
        close(file)
    }

    /// In /tmp, on tmpfs and wherever the checkout is.
    @Test(arguments: ["/tmp", "/dev/shm"])
    func victimIsWhatStatSaid(parent: String) throws {
        let run = try RecordingRun(.deletes)
        let directory = temporaryDirectory(parent)
        defer { _ = unsafe rmdir(directory) }
        let path = directory + "/a file"
        make(path, bytes: 12_345, mode: 0o4751)
        _ = unsafe Glibc.link(path, directory + "/other")
        var before = Glibc.stat()
        _ = unsafe stat(path, &before)
        let child = try Child(["/bin/rm", "-f", "a file", "other"], directory: directory)
        child.finish()
        let found = deletions(run, of: child, count: 2)
        try #require(found.count == 2)
        #expect(found.map(\.deletedPath) == [path, directory + "/other"])
        for (index, stored) in found.enumerated() {
            let record = try #require(stored.deletion)
            let victim = record.fixed.victim
            #expect(record.fixed.result == 0 && record.fixed.how == UInt16(EBEE_UNLINK.rawValue))
            #expect(record.fixed.via == UInt16(EBEE_SYSCALL.rawValue))
            #expect(stored.text(record.comm) == "rm" && record.fixed.uid == getuid())
            #expect(stored.header.tid == stored.header.pid)
            try #require(record.victimHas(EBEE_VICTIM_KNOWN), "nothing is known of the file")
            #expect(victim.inode == before.st_ino)
            #expect(victim.size == UInt64(before.st_size))
            #expect(victim.mode == before.st_mode)
            #expect(victim.owner == before.st_uid && victim.group == before.st_gid)
            #expect(victim.mtime_seconds == before.st_mtim.tv_sec)
            #expect(Int(victim.mtime_nanoseconds) == before.st_mtim.tv_nsec)
            // st_dev of overlayfs is its own, not its layer's.
            let device = UInt64(victim.device >> 20) << 8 | UInt64(victim.device & 0xff)
            #expect(device == before.st_dev)
            #expect(record.victimHas(EBEE_LINKS_KNOWN) && victim.links == UInt32(1 - index))
        }
    }

    @Test func deleterIsDescribed() throws {
        let run = try RecordingRun(.deletes)
        let directory = temporaryDirectory()
        defer { _ = unsafe rmdir(directory) }
        make(directory + "/x", bytes: 1, mode: 0o600)
        let child = try Child(["/bin/rm", "x"], directory: directory)
        child.finish()
        let found = try #require(deletions(run, of: child, count: 1).first)
        let position = try #require(found.deletion).fixed.process
        let bytes = try #require(run.window.copy(at: position))
        let process = try StoredProcess(bytes)
        let stored = Stored(header: process.record.fixed.header, bytes: process.bytes, position: position)
        #expect(stored.header.kind == RecordKind.process && stored.header.sequence == 0)
        #expect(stored.header.pid == UInt32(child.pid) && process.record.fixed.start == found.deletion?.fixed.start)
        #expect(stored.arguments == ["/bin/rm", "x"])
        #expect(stored.path(process.record.directory) == directory)
        #expect(process.record.fixed.ppid == UInt32(getpid()))
    }

    @Test func everyWay() throws {
        let run = try RecordingRun(.deletes)
        let directory = temporaryDirectory()
        defer { _ = unsafe rmdir(directory) }
        make(directory + "/old", bytes: 3, mode: 0o600)
        make(directory + "/new", bytes: 4, mode: 0o600)
        let script = "mkdir d; rmdir d; mv -f new old; mv old renamed; rm ../$1/./renamed; rm missing; rmdir /"
        let child = try Child(["/bin/sh", "-c", script, "sh", String(directory.dropFirst(5))], directory: directory)
        child.finish()
        func own(_ records: [Stored]) -> [Stored] {
            records.filter {
                $0.header.kind == RecordKind.delete
                    && $0.deletedPath.map { $0.hasPrefix(directory) || $0 == "/" } == true
            }
        }
        let found = own(run.records { own($0).count >= 5 })
        let events = found.compactMap { stored in
            stored.deletion.map {
                "\(EventName.how($0.fixed.how)) \(stored.deletedPath ?? "?") \(EventName.result($0.fixed.result))"
            }
        }
        #expect(events.contains("rmdir \(directory)/d success"))
        #expect(events.contains("rename \(directory)/old success"))
        #expect(events.contains("unlink \(directory)/renamed success"))
        #expect(events.contains("rmdir / EBUSY"))
        #expect(!events.contains { $0.hasPrefix("rename \(directory)/renamed") }, "nothing was there to be replaced")
        let renamed = try #require(found.first { $0.deletion?.fixed.how == UInt16(EBEE_RENAME.rawValue) })
        let source = unsafe renamed.deletion?.source(in: renamed.bytes.span.bytes)
        #expect(source.map { String(decoding: $0, as: UTF8.self) } == directory + "/new")
        #expect(renamed.deletion?.fixed.victim.size == 3, "the file that was replaced")
    }

    /// The process's name is its first thread's, whichever thread deletes.
    @Test func deletionByAThread() throws {
        let run = try RecordingRun(.deletes)
        let directory = temporaryDirectory()
        defer { _ = unsafe rmdir(directory) }
        make(directory + "/x", bytes: 1, mode: 0o600)
        let pid = unsafe ebee_unlink_in_thread(directory + "/x")
        try #require(pid > 0)
        let records = run.records { $0.contains { $0.deletedPath == directory + "/x" } }
        let found = try #require(records.first { $0.deletedPath == directory + "/x" })
        let record = try #require(found.deletion)
        #expect(found.header.pid == UInt32(pid) && found.header.tid != found.header.pid)
        #expect(found.text(record.comm) == "leader")
        let process = try #require(records.first { $0.position == record.fixed.process })
        #expect(process.text(try #require(process.process).comm) == "leader")
        #expect(process.header.pid == UInt32(pid))
    }

    /// What this process deletes is the daemon's own.
    @Test func theDaemonIsNotReported() throws {
        let run = try RecordingRun(.deletes)
        let directory = temporaryDirectory()
        make(directory + "/x", bytes: 1, mode: 0o600)
        _ = unsafe unlink(directory + "/x")
        _ = unsafe rmdir(directory)
        let child = try Child(["/bin/rm", "-f", "/nonexistent/x"])
        child.finish()
        _ = deletions(run, of: child, count: 1)
        #expect(!run.records { _ in true }.contains { $0.header.pid == UInt32(getpid()) })
    }
}
