import Foundation
import Glibc
import Testing

/// A place in memory, and a directory for pins, both of this test alone.
final class Pinned {
    let place: Place
    let pins: String

    init() throws {
        place = try Place(in: "/dev/shm")
        // Not /sys/fs/bpf: without systemd, nothing is mounted there.
        let mount = try place.directory("bpf")
        pins = "\(mount)/pins"
        let mounted = try run("mount", "-t", "bpf", "bpf", mount)
        guard mounted.status == 0 else { throw HarnessError("mount a BPF filesystem: \(mounted.errorText)") }
    }

    deinit { _ = try? run("umount", place("bpf")) }

    func configuration(_ deletes: String = "", exec: String = "") -> String {
        """
        [handover]
        pin = "\(pins)"
        [exec]
        journal = false
        \(exec)
        [deletes]
        journal = false
        \(deletes)

        """
    }

    var kept: [String] {
        get throws {
            try run("ls", pins, place.path).lines.map(String.init).filter {
                $0.contains("-programs-") || $0.contains("-window-")
            }
        }
    }
}

extension KernelSuites {
    /// ebeed is killed, restarted, replaced: the kernel goes on recording, and the past is still there. Here hooks are pinned, as
    /// where there is no service manager; under systemd the same is left with it.
    @Suite(.requiresKernel) struct HandOver {
        /// How often it is killed; a long run has more (EBEE_KILLS=100).
        private static let kills = ProcessInfo.processInfo.environment["EBEE_KILLS"].flatMap { Int($0) } ?? 12

        /// What the load made, and what is told of it: each once, and nothing lost.
        private func expectAll(_ load: Finished, _ recorder: Recorder) throws {
            let made = try Value(parsing: load.output)
            let pid = try #require(made["pid"]?.integer)
            try recorder.settle()
            let deletions = try recorder.ebeectl("recent", "deletes", "--pid", "\(pid)", "-o", "json", seconds: 60)
            let executions = try recorder.ebeectl("recent", "exec", "--ppid", "\(pid)", "-o", "json", seconds: 60)
            // And the directory that they were in.
            #expect(
                deletions.lines.count { $0.hasPrefix(#"{"event":"delete""#) } == Int(made["deletions"]?.integer ?? -2)
                    + 1)
            #expect(
                executions.lines.count { $0.hasPrefix(#"{"event":"exec""#) } == Int(made["executions"]?.integer ?? -1))
            let all = try recorder.ebeectl("recent", "--require-complete", "-n", "1")
            #expect(all.status == 0, "\(all.errorText)")
            for stream in ["exec", "deletes"] { #expect(try recorder.stream(stream)["lost"] == .integer(0)) }
        }

        @Test("killed again and again under load: nothing is lost, nothing is doubled") func killed() throws {
            let pinned = try Pinned()
            var recorder = try Recorder(pinned.configuration(), in: pinned.place)
            let seconds = Self.kills / 2
            let load = try Child(
                [Binary.load, "--deletions", "4500", "--executions", "500", "--seconds", "\(seconds)"].map {
                    Array($0.utf8)
                })
            var longest = 0.0
            for _ in 0..<Self.kills {
                recorder.signal(SIGKILL)
                let killed = monotonic()
                _ = recorder.stop()
                recorder = try Recorder(pinned.configuration(), in: pinned.place)
                longest = max(longest, monotonic() - killed)
                usleep(.random(in: 0..<300_000))
            }
            let finished = try load.finish(seconds: 120)
            try expectAll(finished, recorder)
            let goneOn = recorder.errors.split(separator: "\n").count {
                $0.contains("without a gap since before this start")
            }
            #expect(goneOn == 2 * Self.kills)
            print(
                "\(Self.kills) kills under load, at most \(Int(longest * 1000)) ms from one to answering again: \(finished.text)"
            )
        }

        @Test("a configuration that needs other programs and another window takes over under load") func replaced()
            throws
        {
            let pinned = try Pinned()
            var recorder = try Recorder(pinned.configuration(), in: pinned.place)
            try makeFile(Array(pinned.place("before").utf8))
            _ = try must("rm", pinned.place("before"))
            let load = try Child(
                [Binary.load, "--deletions", "4500", "--executions", "450", "--seconds", "6"].map { Array($0.utf8) })
            // Deletions of other kinds, by others: some programs see more of these than their neighbors, as they are detached one by one.
            let others = try Child(
                ["sh", "-c", "while mkdir d && rmdir d && :>a && :>b; do mv -f a b; done"].map { Array($0.utf8) },
                output: .null, errors: .null, directory: pinned.place.path)
            defer { others.signal(SIGKILL) }
            usleep(500_000)
            for change in ["ring_bytes = 8388608", "window_bytes = 33554432\nfailed = false", ""] {
                recorder.signal(SIGKILL)
                _ = recorder.stop()
                recorder = try Recorder(pinned.configuration(change), in: pinned.place)
                #expect(
                    recorder.errors.contains("recording deletes through")
                        && recorder.errors.contains("took over without a gap"))
            }
            try expectAll(try load.finish(seconds: 60), recorder)
            #expect(try recorder.recent("deletes", "--path", pinned.place("before")).count == 1)
            // One set of programs for each stream, and one window.
            #expect(Set(try pinned.kept.map { $0.split(separator: "-").prefix(3).joined(separator: "-") }).count == 4)
        }

        @Test("a stop gives everything up; what is left of another kind is said and not used") func stopped() throws {
            let pinned = try Pinned()
            var recorder = try Recorder(pinned.configuration(), in: pinned.place)
            #expect(try pinned.kept.count > 20)
            #expect(recorder.stop() == .exited(0))
            #expect(try pinned.kept.isEmpty)
            recorder = try Recorder(pinned.configuration(), in: pinned.place)
            recorder.signal(SIGKILL)
            _ = recorder.stop()
            for name in ["exec-window-0", "deletes-window-0"] {
                try Data(repeating: 7, count: 1 << 20).write(to: URL(fileURLWithPath: pinned.place(name)))
            }
            recorder = try Recorder(pinned.configuration(), in: pinned.place)
            #expect(recorder.errors.contains("the window of the last ebeed could not be kept: it is no window"))
            #expect(!recorder.errors.contains("without a gap"))
            try recorder.settle()
        }

        @Test("hooks that were found blind are not gone on with, and the gap is said; those that see again are")
        func blind() throws {
            let pinned = try Pinned()
            let toml = pinned.configuration() + "[self_test]\nquiet_seconds = 1\n"
            var recorder = try Recorder(toml, in: pinned.place)
            // The log goes on too.
            func count(_ text: String) -> Int { recorder.errors.components(separatedBy: text).count - 1 }
            let found = "deletes: blind, as far as ebeed can tell"
            let kept = "without a gap since before this start"
            func blind(_ times: Int, then: () -> Void = {}) throws {
                try recorder.freezing("ebee-deletes") { () throws in
                    #expect(wait(seconds: 30) { count(found) == times ? true : nil } == true)
                    then()
                }
            }
            func restart() throws {
                recorder.signal(SIGKILL)
                _ = recorder.stop()
                recorder = try Recorder(toml, in: pinned.place)
            }
            try blind(1)
            #expect(wait(seconds: 10) { count("deletes: events come again") == 1 ? true : nil } == true)
            try restart()
            #expect(count(kept) == 2)

            try blind(2) { recorder.signal(SIGKILL) }
            try restart()
            #expect(count(kept) == 3)
            let marks = try recorder.ebeectl("recent", "deletes", "-o", "json").lines.filter {
                $0.contains(#""event":"lost""#)
            }
            let mark = try Value(parsing: Array(try only(marks).utf8))
            #expect(mark["why"] == .string("restart") && mark["count"] == nil)
            #expect(try recorder.ebeectl("recent", "deletes").text.contains("-- deletions lost "))
            #expect(try recorder.ebeectl("recent", "deletes", "--since", "1m", "--require-complete").status == 3)
            try restart()
            #expect(count(kept) == 5)
        }

        @Test("the journal goes on where it was", .requiresJournald) func journal() throws {
            let pinned = try Pinned()
            let journald = try Journald()
            try journald.start()
            let toml = pinned.configuration().replacingOccurrences(of: "journal = false", with: "")
            var recorder = try Recorder(toml, through: journald.namespace.enter, in: pinned.place)
            func remove(_ name: String, _ count: Int) throws {
                for index in 0..<count { #expect(Call.unlink(try pinned.place.file("\(name)\(index)")) == 0) }
            }
            try remove("a", 200)
            #expect(try journald.deletions(below: pinned.place.path, count: 200).count >= 200)
            recorder.signal(SIGKILL)
            _ = recorder.stop()
            try remove("b", 100)
            recorder = try Recorder(toml, through: journald.namespace.enter, in: pinned.place)
            try remove("c", 100)
            let found = try journald.deletions(below: pinned.place.path, count: 400)
                .filter { entry in
                    let name = entry["EBEE_PATH"]?.string?.split(separator: "/").last ?? ""
                    return "abc".contains(name.prefix(1)) && Int(name.dropFirst()) != nil
                }
            #expect(Set(found.compactMap { $0["EBEE_PATH"]?.string }).count == 400)
            // The one that was being written when ebeed was killed may be there twice: the journal doesn't say that it has it.
            #expect((400...401).contains(found.count))
        }

        @Test("where it can't be kept is said") func nowhere() throws {
            let place = try Place(in: "/dev/shm")
            try "[handover]\npin = \"\(place("pins"))\"\n".write(
                toFile: place("c.toml"), atomically: false, encoding: .utf8)
            let finished = try run(Binary.ebeed, "--config", place("c.toml"), "--socket", place("s"))
            #expect(finished.status == 69)
            #expect(finished.errorText.contains("is not on a BPF filesystem: mount -t bpf"))
            // Nor is a directory that nobody can make, as on sysfs where none is mounted.
            try "[handover]\npin = \"/sys/kernel/pins\"\n".write(
                toFile: place("c.toml"), atomically: false, encoding: .utf8)
            let refused = try run(Binary.ebeed, "--config", place("c.toml"), "--socket", place("s"))
            #expect(refused.status == 69)
            #expect(refused.errorText.contains("/sys/kernel/pins (handover.pin) is not on a BPF filesystem"))
        }
    }
}
