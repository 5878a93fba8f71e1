import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// A rename deletes what it replaces, and nothing where it replaces nothing.
    @Suite(.requiresKernel, .recorder) struct Renames {
        @Test("mv over a file that exists", arguments: Filesystem.here)
        func overFile(_ filesystem: Filesystem) throws {
            let recorder = try Recorder.current
            let place = try Place(in: try #require(filesystem.directory))
            let new = try place.file("a", bytes: 1)
            let old = try place.file("b", bytes: 22)
            let inode = try status(of: old).st_ino
            try must("mv", "-f", "a", "b", directory: place.path)
            let event = try only(try recorder.deletions(below: place.path))
            #expect(event.deed == "rename \(old)")
            #expect(event["replaced_by"]?.string == new)
            #expect(event.result == "success")
            #expect(event.args == ["mv", "-f", "a", "b"])
            // The file that went, not the one that came.
            #expect(event["file", "inode"] == .integer(Int64(inode)))
            #expect(event["file", "size"] == .integer(22))
            #expect(event["file", "links"] == .integer(0))
        }

        @Test("over an empty directory", arguments: Filesystem.here)
        func overDirectory(_ filesystem: Filesystem) throws {
            let recorder = try Recorder.current
            let place = try Place(in: try #require(filesystem.directory))
            let new = try place.directory("a")
            try place.file("a/x")
            let old = try place.directory("b")
            let inode = try status(of: old).st_ino
            #expect(try act("rename", new, old).errno == 0)
            let event = try only(try recorder.deletions(below: place.path))
            #expect(event.deed == "rename \(old)")
            #expect(event["replaced_by"]?.string == new)
            #expect(event["file", "type"] == .string("directory"))
            #expect(event["file", "inode"] == .integer(Int64(inode)))
        }

        /// Within a tick of the clock the change time stays the same.
        @Test("over a file made a moment ago, again and again", arguments: Filesystem.here)
        func atOnce(_ filesystem: Filesystem) throws {
            let recorder = try Recorder.current
            let place = try Place(in: try #require(filesystem.directory))
            let new = Array(place("new").utf8)
            let old = Array(place("old").utf8)
            try makeFile(old)
            for _ in 0..<100 {
                try makeFile(new)
                #expect(Call.rename(new, old) == 0)
            }
            let events = try recorder.deletions(below: place.path)
            expectDeeds(events, Array(repeating: "rename \(place("old"))", count: 100))
            #expect(events.allSatisfy { $0["file", "inode"] != nil })
        }

        @Test("over one of several hard links") func overLink() throws {
            let recorder = try Recorder.current
            let place = try Place()
            try place.file("a")
            let old = try place.file("b")
            #expect(Call.link(old, place("c")) == 0)
            #expect(try act("rename", place("a"), old).errno == 0)
            let event = try only(try recorder.deletions(below: place.path))
            #expect(event["file", "links"] == .integer(1))
        }

        @Test("into another directory, over a file there") func across() throws {
            let recorder = try Recorder.current
            let place = try Place()
            try place.directory("d")
            try place.directory("e")
            let new = try place.file("d/x")
            let old = try place.file("e/y")
            #expect(try act("rename", "../d/x", "y", directory: place("e")).errno == 0)
            let event = try only(try recorder.deletions(below: place.path))
            #expect(event.deed == "rename \(old)")
            #expect(event["replaced_by"]?.string == new)
        }

        @Test("what deletes nothing is not there", arguments: Filesystem.here)
        func nothing(_ filesystem: Filesystem) throws {
            let recorder = try Recorder.current
            let place = try Place(in: try #require(filesystem.directory))
            let a = try place.file("a")
            let b = try place.file("b")
            let d = try place.directory("d")
            #expect(Call.link(a, place("link")) == 0)
            // To a name that is free, over its own hard link, over itself, exchanged, and refused.
            #expect(try act("rename", d, place("free")).errno == 0)
            #expect(try act("rename", a, place("link")).errno == 0)
            #expect(try act("rename", a, a).errno == 0)
            #expect(try act("renameat2", a, b, "2").errno == 0)
            #expect(try act("renameat2", a, place("free"), "2").errno == 0)
            #expect(try act("renameat2", a, b, "1").errno == EEXIST)
            #expect(try act("rename", b, place("a")).errno == EISDIR)
            #expect(try recorder.deletions(below: place.path) == [])
        }
    }
}
