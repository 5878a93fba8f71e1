import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Deletions that fail are recorded with their errno and shown with --failed only.
    @Suite(.requiresKernel, .recorder) struct FailedDeletions {
        @Test("each errno by its name, with --failed only") func names() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let full = try place.directory("full")
            let file = try place.file("full/x")
            let sticky = try place.directory("sticky", mode: 0o1777)
            let others = try place.file("sticky/x")
            try place.directory("closed", mode: 0o755)
            let closed = try place.file("closed/x")
            // A copy that another user may run, wherever the build is.
            let copy = place("act")
            try must("cp", Binary.act, copy)
            #expect(Call.chmod(copy, 0o755) == 0)
            func actAs(_ user: String, _ arguments: String...) throws {
                try must(
                    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy, arguments[0], arguments[1])
            }
            #expect(try act("unlink", place("none")).errno == ENOENT)
            #expect(try act("rmdir", full).errno == ENOTEMPTY)
            #expect(try act("rmdir", file).errno == ENOTDIR)
            #expect(try act("unlink", full).errno == EISDIR)
            try actAs("nobody", "unlink", others)
            try actAs("nobody", "unlink", closed)

            #expect(try recorder.deletions(below: place.path) == [])
            let events = try recorder.deletions(below: place.path, failed: true)
            let found = events.map { "\($0.result ?? "?") \($0.deed)" }
            #expect(
                found == [
                    "ENOENT unlink \(place("none"))", "ENOTEMPTY rmdir \(full)", "ENOTDIR rmdir \(file)",
                    "EISDIR unlink \(full)", "EPERM unlink \(others)", "EACCES unlink \(closed)",
                ])
            #expect(events.last?["process", "user", "id"] == .integer(65534))
            _ = sticky
        }

        @Test("on a filesystem that is read-only, and of a mount point") func mounts() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let mount = try place.directory("mount")
            let namespace = try MountNamespace(
                "mount -t tmpfs tmpfs \(mount); touch \(mount)/x; mount -o remount,ro \(mount)")
            #expect(try act("unlink", "\(mount)/x", through: namespace.enter).errno == EROFS)
            #expect(try act("rmdir", mount, through: namespace.enter).errno == EBUSY)
            #expect(try recorder.deletions(below: place.path) == [])
            let events = try recorder.deletions(below: place.path, failed: true)
            #expect(
                events.map { "\($0.result ?? "?") \($0.deed)" } == ["EROFS unlink \(mount)/x", "EBUSY rmdir \(mount)"])
        }

        @Test("not recorded where the configuration says so") func off() throws {
            let recorder = try Recorder("[deletes]\nfailed = false\njournal = false\n[exec]\njournal = false\n")
            let place = try Place()
            let file = try place.file("x")
            try act("unlink", place("none"))
            try act("unlink", file)
            expectDeeds(try recorder.deletions(below: place.path, failed: true), ["unlink \(file)"])
        }
    }
}
