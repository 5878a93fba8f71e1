import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Every way to delete a file, by every way to name it: each recorded once with its absolute path.
    @Suite(.requiresKernel, .recorder) struct Deletions {
        @Test("touch and rm, mkdir and rmdir") func everyday() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let file = try place.file("x")
            let directory = try place.directory("d")
            let rm = try must("rm", file)
            let rmdir = try must("rmdir", directory)
            let events = try recorder.deletions(below: place.path)
            expectDeeds(events, ["unlink \(file)", "rmdir \(directory)"])
            let first = try #require(events.first)
            #expect(first["event"] == .string("delete"))
            #expect(first["via"] == .string("syscall"))
            #expect(first.result == "success")
            #expect(first.args == ["rm", file])
            #expect(first["process", "args_count"] == .integer(2))
            #expect(first.pid == Int64(rm.pid))
            #expect(first.tid == Int64(rm.pid))
            #expect(first["process", "name"] == .string("rm"))
            #expect(first["process", "executable"]?.string == realPath("/bin/rm"))
            #expect(first["process", "parent", "pid"] == .integer(Int64(getpid())))
            #expect(first["process", "user", "id"] == .integer(0))
            #expect(first["file", "type"] == .string("file"))
            #expect(events.last?.args == ["rmdir", directory])
            #expect(events.last?.pid == Int64(rmdir.pid))
            #expect(events.last?["file", "type"] == .string("directory"))
        }

        @Test("a name is seen from the working directory") func relative() throws {
            let recorder = try Recorder.current
            let place = try Place()
            try place.directory("sub")
            for name in ["plain", "dots", "slashes", "sub/up", "last"] { try place.file(name) }
            try must("rm", "plain", directory: place.path)
            try must("rm", "./sub/../dots", directory: place.path)
            try must("rm", "\(place.path)//.//slashes")
            try must("rm", "../sub/up", directory: place("sub"))
            try must("rmdir", "sub/", directory: place.path)
            try must("rm", "../\(place.path.split(separator: "/").last ?? "")/last", directory: place.path)
            expectDeeds(
                try recorder.deletions(below: place.path),
                ["plain", "dots", "slashes", "sub/up", "last"].map { "unlink \(place($0))" } + ["rmdir \(place("sub"))"]
            )
        }

        @Test("a name is seen from a directory's descriptor") func descriptor() throws {
            let recorder = try Recorder.current
            let place = try Place()
            try place.directory("d")
            let file = try place.file("d/x")
            let directory = try place.directory("d/e")
            // AT_REMOVEDIR is 0x200 (fcntl.h).
            let unlinked = try act("unlinkat", place("d"), "x", "0", directory: "/")
            let removed = try act("unlinkat", place("d"), "e", "512", directory: "/")
            let absolute = try place.file("d/absolute")
            try act("unlinkat", "/proc", absolute, "0")
            #expect(unlinked.errno == 0 && removed.errno == 0)
            expectDeeds(
                try recorder.deletions(below: place.path),
                ["unlink \(file)", "rmdir \(directory)", "unlink \(absolute)"])
        }

        @Test("rm -rf of 10,000 files in 100 directories") func tree() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let tree = try place.directory("tree")
            var expected = ["rmdir \(tree)"]
            for directory in 0..<100 {
                expected.append("rmdir \(try place.directory("tree/\(directory)"))")
                for file in 0..<100 { expected.append("unlink \(try place.file("tree/\(directory)/\(file)"))") }
            }
            try must("rm", "-rf", "tree", directory: place.path)
            let events = try recorder.deletions(below: place.path)
            #expect(events.count == 10_101)
            expectDeeds(events, expected)
            #expect(events.allSatisfy { $0.args == ["rm", "-rf", "tree"] && $0.result == "success" })
            #expect(events.allSatisfy { $0["process", "working_directory"]?.string == place.path })
        }

        @Test("by a thread that is not the first") func thread() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let file = try place.file("x")
            let done = try act("thread", "unlink", file)
            let event = try only(try recorder.deletions(below: place.path))
            #expect(event.pid == done.pid)
            #expect(event.tid == done.tid)
            #expect(done.tid != done.pid)
            #expect(event["process", "name"] == .string("ebee-act"))
        }

        @Test("by a process that was there before ebeed, which is shown whole") func olderThanTheDaemon() throws {
            let place = try Place()
            let file = try place.file("x")
            let process = try Child([Binary.act, "wait", "unlink", file], input: .pipe)
            process.read(seconds: 10) { $0.outputBytes.contains(10) }
            let recorder = try Recorder()
            process.write("\n")
            let pid = process.pid
            #expect(try process.finish(seconds: 10).status == 0)
            let event = try only(try recorder.deletions(below: place.path))
            #expect(event.pid == Int64(pid))
            #expect(event.args == [Binary.act, "wait", "unlink", file])
            #expect(event["process", "executable"]?.string == realPath(Binary.act))
            #expect(event["process", "parent", "pid"] == .integer(Int64(getpid())))
        }

        @Test("what a file was: inode, size, mode, owner, links, times", arguments: Filesystem.here)
        func facts(_ filesystem: Filesystem) throws {
            let recorder = try Recorder.current
            let parent = try #require(filesystem.directory, "no \(filesystem) here")
            let place = try Place(in: parent)
            let file = try place.file("x", bytes: 1234, mode: 0o6640)
            #expect(Call.chown(file, 4711, 4712) == 0)
            #expect(Call.chmod(file, 0o6640) == 0)
            let before = try status(of: file)
            let born = try birth(of: file)
            let directory = try place.directory("d", mode: 0o1750)
            let link = place("link")
            #expect(Call.symlink("elsewhere", link) == 0)
            let fifo = place("fifo")
            #expect(Call.mkfifo(fifo) == 0)
            let inodes = try [directory, link, fifo].map { Int64(try status(of: $0).st_ino) }
            #expect(Call.unlink(file) == 0)
            #expect(Call.rmdir(directory) == 0)
            #expect(Call.unlink(link) == 0)
            #expect(Call.unlink(fifo) == 0)
            let events = try recorder.deletions(below: place.path)
            try #require(events.count == 4)
            let facts = try #require(events[0]["file"])
            #expect(facts["type"] == .string("file"))
            #expect(facts["inode"] == .integer(Int64(before.st_ino)))
            #expect(facts["device"] == .string(deviceName(before.st_dev)))
            #expect(facts["size"] == .integer(1234))
            #expect(facts["mode"] == .string("6640"))
            #expect(facts["owner"] == .integer(4711))
            #expect(facts["group"] == .integer(4712))
            #expect(facts["links"] == .integer(0))
            let modified = Int64(before.st_mtim.tv_sec) * 1_000_000_000 + Int64(before.st_mtim.tv_nsec)
            #expect(facts["mtime"]?.string.flatMap(nanoseconds) == modified)
            #expect(facts["created"]?.string.flatMap(nanoseconds) == born)
            #expect(events[1...].map { $0["file", "type"]?.string } == ["directory", "symlink", "fifo"])
            #expect(events[1...].map { $0["file", "inode"]?.integer } == inodes)
            #expect(events[1]["file", "mode"] == .string("1750"))
            #expect(events[1...].allSatisfy { $0["file", "links"] == .integer(0) })
        }

        @Test("of a hard link, of which another is left", arguments: Filesystem.here)
        func hardLink(_ filesystem: Filesystem) throws {
            let recorder = try Recorder.current
            let place = try Place(in: try #require(filesystem.directory))
            let file = try place.file("x", bytes: 10)
            let inode = try status(of: file).st_ino
            #expect(Call.link(file, place("y")) == 0)
            #expect(Call.unlink(place("y")) == 0)
            #expect(Call.unlink(file) == 0)
            let events = try recorder.deletions(below: place.path)
            expectDeeds(events, ["unlink \(place("y"))", "unlink \(file)"])
            #expect(events.map { $0["file", "links"]?.integer } == [1, 0])
            #expect(events.allSatisfy { $0["file", "inode"] == .integer(Int64(inode)) })
        }

        @Test("of a file that is still open") func open() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let file = try place.file("x", bytes: 10)
            let descriptor = Call.open(file)
            defer { close(descriptor) }
            #expect(Call.unlink(file) == 0)
            #expect(try only(try recorder.deletions(below: place.path)).deed == "unlink \(file)")
        }
    }
}

/// A filesystem whose files are described in full.
enum Filesystem: String, CaseIterable {
    case ext4
    case tmpfs

    /// Those that this machine has. In a container, nothing may be on ext4: its root is on overlayfs then, which has tests of
    /// its own. tmpfs is everywhere.
    static let here = allCases.filter { $0 == .tmpfs || $0.directory != nil }

    /// A directory on it; nil when this machine has none.
    var directory: String? {
        let places = self == .ext4 ? ["/var/tmp", "/tmp", Binary.package, "/root"] : ["/dev/shm", "/tmp", "/run"]
        return places.first { place in
            // Other places are tried where this one isn't there.
            guard Call.access(place, W_OK) == 0 else { return false }
            let magic = try? must("stat", "--file-system", "--format=%t", place).text
            return magic == (self == .ext4 ? "ef53\n" : "1021994\n")
        }
    }
}

/// When a file was made, in nanoseconds since the epoch, as stat(1) has it from statx(2).
func birth(of path: String) throws -> Int64? {
    let words = try must("stat", "--format=%w", path).text.split(whereSeparator: \.isWhitespace)
    guard words.count == 3 else { return nil }
    return nanoseconds("\(words[0])T\(words[1])Z")
}

/// `major:minor` of a st_dev (makedev(3)).
func deviceName(_ device: dev_t) -> String {
    let major = device >> 8 & 0xfff | device >> 32 & ~0xfff
    let minor = device & 0xff | device >> 12 & ~0xff
    return "\(major):\(minor & 0xffff_ffff)"
}
