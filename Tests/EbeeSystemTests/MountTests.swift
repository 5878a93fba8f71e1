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
                touch lower/below lower/d/x
                mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
                touch merged/above merged/newer merged/replacedabove; mkdir merged/e; cd /
                """)
            let merged = "\(base)/merged"
            // Files of the lower layer and of the upper one, a directory of each, and a rename over a file of the upper one.
            try namespace.run("rm", "\(merged)/below", "\(merged)/above")
            try namespace.run("rm", "\(merged)/d/x")
            try namespace.run("rmdir", "\(merged)/d", "\(merged)/e")
            try namespace.run("mv", "-f", "\(merged)/newer", "\(merged)/replacedabove")
            expectDeeds(
                try recorder.deletions(below: place.path),
                [
                    "unlink \(merged)/below", "unlink \(merged)/above", "unlink \(merged)/d/x", "rmdir \(merged)/d",
                    "rmdir \(merged)/e", "rename \(merged)/replacedabove",
                ])
        }

        /// Nothing touches the lower file, so the system call rung can't tell that it was there, and says so.
        @Test("overlayfs: a rename over a file of the lower layer is seen, or it is said that it can't be")
        func overlayRename() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let base = try place.directory("base")
            let namespace = try MountNamespace(
                """
                mount -t tmpfs tmpfs \(base); cd \(base); mkdir lower upper work merged; touch lower/old
                mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged; touch merged/new; cd /
                """)
            try namespace.run("mv", "-f", "\(base)/merged/new", "\(base)/merged/old")
            let events = try recorder.deletions(below: place.path)
            let unseen = try recorder.stream("deletes")["cannot_see"]?.strings ?? []
            let isExcused = unseen.contains { $0.contains("overlayfs") }
            expectDeeds(events, isExcused ? [] : ["rename \(base)/merged/old"])
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
            // Of the lower layer's file the system call rung knows nothing: then it is absent, never wrong.
            let lower = events.first?["file", "inode"]?.integer
            #expect(lower == nil || lower == inodes[0])
            #expect(events.last?["file", "inode"]?.integer == inodes[1])
            #expect(events.last?["file", "size"]?.integer == 4)
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
                "mount -t tmpfs tmpfs \(outer); mkdir -p \(outer)/a/inner; mount -t tmpfs tmpfs \(outer)/a/inner; touch \(outer)/a/inner/x"
            )
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
