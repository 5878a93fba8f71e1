import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Paths lead through every mount; a filesystem made of others doesn't count twice.
    @Suite(.requiresKernel, .recorder) struct Mounts {
        @Test("overlayfs: one event for one deletion") func overlay() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let base = try place.directory("base")
            let namespace = try MountNamespace(
                """
                mount -t tmpfs tmpfs \(base); cd \(base); mkdir lower upper work merged lower/d
                touch lower/below lower/replaced lower/d/x
                mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
                touch merged/above merged/new merged/newer merged/replacedabove; mkdir merged/e; cd /
                """)
            let merged = "\(base)/merged"
            // Files of the lower layer and of the upper one, a directory of each, and a rename over a file of each.
            try namespace.run("rm", "\(merged)/below", "\(merged)/above")
            try namespace.run("rm", "\(merged)/d/x")
            try namespace.run("rmdir", "\(merged)/d", "\(merged)/e")
            try namespace.run("mv", "-f", "\(merged)/new", "\(merged)/replaced")
            try namespace.run("mv", "-f", "\(merged)/newer", "\(merged)/replacedabove")
            expectDeeds(
                try recorder.deletions(below: place.path),
                ["unlink \(merged)/below", "unlink \(merged)/above", "unlink \(merged)/d/x", "rmdir \(merged)/d",
                    "rmdir \(merged)/e", "rename \(merged)/replaced", "rename \(merged)/replacedabove"])
        }

        @Test("overlayfs: the inode that the process saw") func overlayInode() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let base = try place.directory("base")
            let namespace = try MountNamespace(
                """
                mount -t tmpfs tmpfs \(base); cd \(base); mkdir lower upper work merged; printf abc > lower/x
                mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged; printf abcd > merged/y; cd /
                """)
            let files = ["\(base)/merged/x", "\(base)/merged/y"]
            let inodes = try files.map { Int64(try status(of: namespace.outside($0)).st_ino) }
            for file in files { try namespace.run("rm", file) }
            let events = try recorder.deletions(below: place.path)
            expectDeeds(events, files.map { "unlink \($0)" })
            #expect(events.map { $0["file", "inode"]?.integer } == inodes)
            #expect(events.map { $0["file", "size"]?.integer } == [3, 4])
        }

        @Test("a bind mount: the path that the process went") func bind() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let source = try place.directory("source")
            let target = try place.directory("target")
            try place.directory("source/d")
            for name in ["a", "d/b", "c"] { try place.file("source/\(name)") }
            let namespace = try MountNamespace("mount --bind \(source) \(target)")
            try namespace.run("rm", "\(target)/a")
            try namespace.run("sh", "-c", "cd \(target)/d && rm b")
            try namespace.run("rm", "\(source)/c")
            expectDeeds(
                try recorder.deletions(below: place.path),
                ["unlink \(target)/a", "unlink \(target)/d/b", "unlink \(source)/c"])
        }

        @Test("a filesystem below another: through both") func nested() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let outer = try place.directory("outer")
            let namespace = try MountNamespace(
                "mount -t tmpfs tmpfs \(outer); mkdir -p \(outer)/a/inner; mount -t tmpfs tmpfs \(outer)/a/inner; touch \(outer)/a/inner/x")
            try namespace.run("sh", "-c", "cd \(outer)/a/inner && rm x")
            expectDeeds(try recorder.deletions(below: place.path), ["unlink \(outer)/a/inner/x"])
        }

        @Test("a chroot: the path from the root of the mount namespace") func chroot() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let root = try place.directory("root")
            try place.directory("root/d")
            let absolute = try place.file("root/d/x")
            let relative = try place.file("root/y")
            #expect(try act("chroot", root, "unlink", "/d/x").errno == 0)
            #expect(try act("chroot", root, "unlink", "y").errno == 0)
            expectDeeds(try recorder.deletions(below: place.path), ["unlink \(absolute)", "unlink \(relative)"])
        }
    }
}
