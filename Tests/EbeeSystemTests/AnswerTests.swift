import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// What ebeectl answers: every filter, every format, and how it ends.
    @Suite(.requiresKernel, .recorder) struct Answers {
        /// A program of a name and a place that nothing else has.
        private func program(in place: Place, _ name: String = "filtered-one") throws -> String {
            let path = place(name)
            try must("cp", Binary.act, path)
            #expect(Call.chmod(path, 0o755) == 0)
            return path
        }

        @Test("every line is JSON, to Foundation and to jq", .requiresJq) func json() throws {
            let recorder = try Recorder.current
            let place = try Place()
            for name in Names.hostile {
                let path = Array(place.path.utf8) + [0x2f] + name
                try makeFile(path)
                _ = try run([Array("rm".utf8), Array("--".utf8), path])
            }
            try recorder.settle()
            let finished = try recorder.ebeectl("recent", "all", "--failed", "-o", "json")
            let file = place("events")
            try Data(finished.output).write(to: URL(fileURLWithPath: file))
            let lines = finished.output.split(separator: 10)
            #expect(lines.count >= 2 * Names.hostile.count)
            for line in lines { _ = try Value(parsing: line) }
            let counted = try must("jq", "--slurp", "length", file)
            #expect(counted.text == "\(lines.count)\n")
            let pretty = try recorder.ebeectl("recent", "deletes", "--path", "\(place.path)/*", "-o", "json-pretty")
            let plain = try recorder.ebeectl("recent", "deletes", "--path", "\(place.path)/*", "-o", "json")
            #expect(pretty.output != plain.output)
            let prettyFile = place("pretty")
            try Data(pretty.output).write(to: URL(fileURLWithPath: prettyFile))
            let compact = try must("jq", "--compact-output", ".", prettyFile).lines.map { try Value(parsing: $0.utf8) }
            #expect(try compact == plain.lines.map { try Value(parsing: $0.utf8) })
        }

        @Test("filters of executions") func executionFilters() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let program = try program(in: place)
            let first = try run(program, "exit", "0", "1")
            let second = try run(program, "exit", "5", "2")
            let other = try run("setpriv", "--reuid=65534", program, "exit", "0", "3")
            let shell = try run("sh", "-c", "\(program) exit 0 4; :")
            try recorder.settle()

            func found(_ filters: String...) throws -> [String] {
                try recorder.recent(["exec"] + filters).compactMap { $0.args?.last }
            }
            #expect(try found("--comm", "filtered-one") == ["1", "2", "3", "4"])
            #expect(try found("--exe", "\(place.path)/*") == ["1", "2", "3", "4"])
            #expect(try found("--exe", "*/filtered-tw?") == [])
            #expect(try found("--comm", "filtered") == [])
            #expect(try found("--pid", "\(first.pid)", "--pid", "\(second.pid)") == ["1", "2"])
            #expect(try found("--comm", "filtered-one", "--ppid", "\(getpid())") == ["1", "2", "3"])
            #expect(try found("--comm", "filtered-one", "--ppid", "\(shell.pid)") == ["4"])
            #expect(try found("--comm", "filtered-one", "--user", "65534") == ["3"])
            #expect(try found("--comm", "filtered-one", "--user", "root") == ["1", "2", "4"])
            #expect(try found("--comm", "filtered-one", "--pid", "\(other.pid)", "--user", "root") == [])
            #expect(try found("--comm", "filtered-one", "--path", "*") == [])
            #expect(try found("--comm", "filtered-one", "-n", "2") == ["3", "4"])
            #expect(try found("--comm", "filtered-one", "-r") == ["4", "3", "2", "1"])
            #expect(try found("--comm", "filtered-one", "-r", "-n", "1") == ["4"])
            #expect(try found("--comm", "filtered-one", "-n", "0") == [])
        }

        @Test("filters of deletions") func deletionFilters() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let program = try program(in: place, "filtered-two")
            let old = try place.file("old.txt")
            usleep(1_500_000)
            let new = try place.file("new.log")
            let one = try run(program, "unlink", old)
            _ = try run(program, "unlink", new)
            _ = try run(program, "unlink", place("none"))
            try recorder.settle()

            func found(_ filters: String...) throws -> [String?] {
                try recorder.recent(["deletes", "--comm", "filtered-two"] + filters).map(\.path)
            }
            #expect(try found() == [old, new])
            #expect(try found("--failed") == [old, new, place("none")])
            #expect(try found("--path", "*.log") == [new])
            #expect(try found("--path", "*.log", "--path", old) == [old, new])
            #expect(try found("--path", "new.log") == [])
            #expect(try found("--pid", "\(one.pid)") == [old])
            #expect(try found("--ppid", "\(getpid())") == [old, new])
            #expect(try found("--exe", program) == [old, new])
            #expect(try found("--user", "65534") == [])
            #expect(try found("--older-than", "1s") == [old])
            #expect(try found("--older-than", "1h") == [])
        }

        @Test("--since and --until") func interval() throws {
            let recorder = try Recorder.current
            let place = try Place()
            for name in ["a", "b", "c"] {
                let file = try place.file(name)
                #expect(Call.unlink(file) == 0)
                usleep(1_100_000)
            }
            let events = try recorder.deletions(below: place.path)
            try #require(events.count == 3)
            let times = try events.map { try #require($0.time) }
            #expect(times == times.sorted())
            func found(_ arguments: String...) throws -> [String] {
                try recorder.recent(["deletes", "--path", "\(place.path)/*"] + arguments).compactMap {
                    $0.path?.split(separator: "/").last.map(String.init)
                }
            }
            // Whole seconds lie between events that are more than a second apart.
            let between = (1...2).map { "@\(times[$0] / 1_000_000_000)" }
            #expect(try found("--since", between[0]) == ["b", "c"])
            #expect(try found("--since", between[0], "--until", between[1]) == ["b"])
            #expect(try found("--until", between[0]) == ["a"])
            #expect(try found("--since", "5m") == ["a", "b", "c"])
            #expect(try found("--until", "5m") == [])
            #expect(try found("--since", "now") == [])
        }

        @Test("tail: what was, then what comes") func tail() throws {
            let recorder = try Recorder.current
            let place = try Place()
            for name in ["a", "b", "c"] { #expect(Call.unlink(try place.file(name)) == 0) }
            try recorder.settle()
            let tail = try Child(
                recorder.ebeectlCommand(["tail", "deletes", "-n", "2", "--path", "\(place.path)/*", "-o", "json"]))
            func lines(_ count: Int) throws -> [String?] {
                tail.read(seconds: 10) { $0.outputBytes.count { $0 == 10 } >= count }
                return try tail.outputBytes.split(separator: 10).map { try Value(parsing: $0).path }
            }
            #expect(try lines(2) == [place("b"), place("c")])
            #expect(Call.unlink(try place.file("d")) == 0)
            #expect(try lines(3) == [place("b"), place("c"), place("d")])
            #expect(Call.unlink(try place.file("e")) == 0)
            #expect(try lines(4).last == place("e"))
            tail.signal(SIGINT)
            #expect(try tail.finish(seconds: 10).ending == .signalled(SIGINT))
        }

        @Test("tail exec | head -1 ends") func head() throws {
            let recorder = try Recorder.current
            let pipe = try Child([
                "sh", "-c", "\(recorder.ebeectlCommand(["tail", "exec"]).joined(separator: " ")) -o json | head -1",
            ])
            let isEnded = try wait(seconds: 20) { () -> Bool? in
                try run("/bin/true")
                return try pipe.wait(seconds: 0.05) == nil ? nil : true
            }
            #expect(isEnded == true)
            let finished = try pipe.finish(seconds: 5)
            #expect(finished.lines.count == 1)
            #expect(finished.errorText == "")
        }

        @Test("--require-complete") func completeness() throws {
            let recorder = try Recorder.current
            let whole = try recorder.ebeectl("recent", "--require-complete", "-n", "1", "-o", "json")
            #expect(whole.status == 0)
            #expect(whole.errorText.contains("complete") && !whole.errorText.contains("NOT"))
            // Nobody recorded an hour ago.
            let partly = try recorder.ebeectl("recent", "--since", "1h", "--require-complete")
            #expect(partly.status == 3)
            #expect(partly.errorText.contains("NOT complete: recording began at"))
            #expect(try recorder.ebeectl("recent", "--since", "1h").status == 0)
        }

        @Test("a table on a terminal fits it and has no control characters but colours") func table() throws {
            let recorder = try Recorder.current
            let place = try Place()
            for name in Names.hostile {
                let path = Array(place.path.utf8) + [0x2f] + name
                try makeFile(path)
                #expect(Call.unlink(path) == 0)
            }
            try recorder.settle()
            func table(_ environment: [String: String]) throws -> [UInt8] {
                let command = recorder.ebeectlCommand(["recent", "deletes", "--path", "'\(place.path)/*'"]).joined(
                    separator: " ")
                let script = ["script", "-qec", "stty cols 80 -onlcr; \(command) 2>/dev/null", "/dev/null"]
                return try run(script.map { Array($0.utf8) }, environment: environment).output
            }
            let plain = try table(["NO_COLOR": "1", "TERM": "xterm"])
            #expect(plain.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 10 })
            let text = try #require(String(validating: plain, as: UTF8.self))
            let lines = text.split(separator: "\n")
            #expect(lines.count == Names.hostile.count + 1)
            // No character of these names is wider than two columns; wide ones are checked by the client's own tests.
            #expect(lines.allSatisfy { $0.unicodeScalars.count <= 80 })
            #expect(!text.unicodeScalars.contains { (0x80...0x9f).contains($0.value) || $0.value == 0x202e })

            let colours = try table(["TERM": "xterm"])
            let stripped = String(decoding: colours, as: UTF8.self).replacing(/\u{1b}\[[0-9;]*m/, with: "")
            #expect(colours.contains(0x1b))
            #expect(stripped == text)
        }

        @Test("csv: one row for one event") func csv() throws {
            let recorder = try Recorder.current
            let place = try Place()
            let path = place("with,comma \"and\" quote")
            try makeFile(Array(path.utf8))
            #expect(Call.unlink(path) == 0)
            try recorder.settle()
            let finished = try recorder.ebeectl("recent", "deletes", "--path", "\(place.path)/*", "-o", "csv")
            #expect(finished.lines.count == 2)
            let quoted = "\"" + path.replacingOccurrences(of: "\"", with: "\"\"") + "\""
            #expect(finished.lines.last?.contains(quoted) == true)
        }
    }
}
