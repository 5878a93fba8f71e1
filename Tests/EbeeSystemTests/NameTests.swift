import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// A name is bytes: any but NUL and slash.
    @Suite(.requiresKernel, .recorder) struct Names {
        static let hostile: [[UInt8]] = [
            Array("new\nline".utf8), Array("\u{1b}[2Jescape\r".utf8), Array("quote\"'\\`$(id)".utf8), Array(" ".utf8),
            [0xff, 0xfe, 0x2e], Array("caf".utf8) + [0xe9], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80],
            Array("日本語 👩‍👩‍👧\u{202e}".utf8), [UInt8](repeating: 0xfe, count: 255), [0x01, 0x7f, 0xc2, 0x9b],
            Array("...".utf8), Array("-rf".utf8), Array("*".utf8),
        ]

        @Test("every byte of a name is there") func bytes() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let paths = Self.hostile.map { Array(place.path.utf8) + [0x2f] + $0 }
            for path in paths { try makeFile(path) }
            for path in paths { #expect(Call.unlink(path) == 0) }
            let events = try recorder.deletions(below: place.path)
            #expect(events.map(\.pathBytes) == paths)
            for (event, path) in zip(events, paths) {
                let isText = String(validating: path, as: UTF8.self) != nil
                #expect((event["file", "path_raw"] == nil) == isText)
                // What is not UTF-8 shows as U+FFFD, as Swift repairs it.
                #expect(event.path == String(decoding: path, as: UTF8.self))
            }
        }

        @Test("arguments are bytes too") func arguments() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let name: [UInt8] = [0x61, 0xff, 0x0a, 0x62]
            let path = Array(place.path.utf8) + [0x2f] + name
            try makeFile(path)
            let finished = try run([Array("rm".utf8), path])
            #expect(finished.status == 0)
            let event = try only(try recorder.deletions(below: place.path))
            #expect(event["process", "args_raw"]?.array?.map(\.base64) == [Array("rm".utf8), path])
            #expect(event.args == ["rm", String(decoding: path, as: UTF8.self)])
        }

        @Test("60 directories deep, from the root and from there") func deep() throws {
            let recorder = try Recorder.current
            let place = try Place()
            var directory = place.path
            for level in 0..<60 {
                directory += "/\(level)"
                #expect(Call.mkdir(directory, 0o755) == 0)
            }
            for name in ["a", "b"] { try makeFile(Array("\(directory)/\(name)".utf8)) }
            try must("rm", "\(directory)/a")
            try must("rm", "b", directory: directory)
            let events = try recorder.deletions(below: place.path)
            expectDeeds(events, ["unlink \(directory)/a", "unlink \(directory)/b"])
            #expect(events.allSatisfy { $0["file", "path_truncated"] == nil })
        }

        @Test("a path of 4,000 bytes, from the root and from there") func long() throws {
            let recorder = try Recorder.current
            let place = try Place()
            var directory = place.path
            while directory.utf8.count < 3998 {
                let length = min(250, 3998 - directory.utf8.count - 1)
                if length < 1 { break }
                directory += "/" + String(repeating: "n", count: length)
                #expect(Call.mkdir(directory, 0o755) == 0)
            }
            for name in ["a", "b"] { try makeFile(Array("\(directory)/\(name)".utf8)) }
            #expect(try act("unlink", "\(directory)/a").errno == 0)
            try must("rm", "b", directory: directory)
            let events = try recorder.deletions(below: place.path)
            expectDeeds(events, ["unlink \(directory)/a", "unlink \(directory)/b"])
            #expect("\(directory)/a".utf8.count == 4000)
            #expect(events.allSatisfy { $0["file", "path_truncated"] == nil })
        }

        @Test("a path longer than the kernel hands out is cut, and marked") func cut() throws {
            let recorder = try Recorder.current
            let place = try Place()
            // 30 directories of 200 bytes, which no system call could name at once.
            let script = """
                name=$(printf 'n%.0s' $(seq 200)); for i in $(seq 30); do mkdir $name && cd -P $name 2>/dev/null || cd ./$name; done
                : > last; rm last
                """
            try must("bash", "-c", script, directory: place.path)
            try recorder.settle()
            let events = try recorder.recent("deletes", "--path", "*/last", "--comm", "rm")
            let event = try #require(events.last)
            #expect(event["file", "path_truncated"] == .bool(true))
            #expect(event.path?.hasSuffix("n/last") == true)
        }
    }
}
