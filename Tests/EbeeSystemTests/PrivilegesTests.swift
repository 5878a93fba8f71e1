import CTestSupport
import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Once it records, ebeed can't do what only its start needs, in whatever thread.
    @Suite(.requiresKernel) struct Privileges {
        /// What each thread of a process says of itself in /proc/PID/task/TID/status.
        private static func threads(_ pid: pid_t) throws -> [(id: pid_t, status: [String: String])] {
            let directory = "/proc/\(pid)/task"
            return try FileManager.default.contentsOfDirectory(atPath: directory).compactMap { name in
                guard let id = pid_t(name),
                    let text = try? String(contentsOfFile: "\(directory)/\(name)/status", encoding: .utf8)
                else { return nil }
                let lines = text.split(separator: "\n").compactMap { line -> (String, String)? in
                    let parts = line.split(separator: ":", maxSplits: 1)
                    return parts.count == 2 ? (String(parts[0]), parts[1].trimmingCharacters(in: .whitespaces)) : nil
                }
                return (id, Dictionary(lines) { $1 })
            }
        }

        /// What a line of ebee-tries says: by the name of a call, its errno, 0 where it succeeded.
        private static func parse(_ line: Substring) -> (thread: pid_t, tries: [String: Int32]) {
            let words = line.split(separator: " ")
            let tries = words.dropFirst().compactMap { word -> (String, Int32)? in
                let parts = word.split(separator: "=")
                return parts.count == 2 ? Int32(parts[1]).map { (String(parts[0]), $0) } : nil
            }
            return (words.first.flatMap { pid_t($0) } ?? 0, Dictionary(tries) { $1 })
        }

        /// The errno of whatever is not permitted; elsewhere, what it is in place of EPERM.
        private static let others = [
            "clone3": ENOSYS, "newer": ENOSYS, "open": EACCES, "inet": EAFNOSUPPORT, "netlink": EAFNOSUPPORT,
            "packet": EAFNOSUPPORT,
            "unix": 0,
        ]

        @Test("no thread can do what only the start needs, and ebeed still sees, answers and tests itself")
        func nothingLeft() throws {
            let place = try Place()
            let (output, foreign) = (place("tries"), try place.file("foreign"))
            try Data().write(to: URL(fileURLWithPath: output))
            #expect(Call.chmod(foreign, 0) == 0)
            try must("chown", "nobody", foreign)
            let stranger = try Child(
                ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sleep", "600"].map { Array($0.utf8) })
            defer { stranger.signal(SIGKILL) }
            let environment = [
                "LD_PRELOAD": Binary.tries, "EBEE_TRIES": output, "EBEE_TRIES_FILE": foreign,
                "EBEE_TRIES_PROCESS": "\(stranger.pid)",
            ]
            func lines() throws -> [(thread: pid_t, tries: [String: Int32])] {
                try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n").map(Self.parse)
            }

            // What root can do where nothing was given up: otherwise nothing is proved by what follows.
            let free = try Child([Array("true".utf8)], environment: environment.merging(["EBEE_TRIES_NOW": "1"]) { $1 })
            #expect(try free.wait(seconds: 10) == .exited(0))
            let freely = try #require(try lines().first).tries
            for call in [
                "bpf", "perf_event_open", "userfaultfd", "chroot", "unshare", "user_namespace", "process_vm_readv",
                "kill",
                "setuid", "setresuid", "setresgid", "open", "open_to_write", "utime_own", "chmod_own", "rename",
                "chmod",
                "chown", "inet", "netlink", "unix", "settimeofday",
            ] { #expect(freely[call] == 0, "\(call)") }

            try "[exec]\njournal = false\n[deletes]\njournal = false\n".write(
                toFile: place("ebeed.toml"), atomically: false, encoding: .utf8)
            let (socket, errors) = (place("s"), place("errors"))
            let daemon = try Child(
                [Binary.ebeed, "--config", place("ebeed.toml"), "--socket", socket].map { Array($0.utf8) },
                output: .file(errors), errors: .file(errors), environment: environment)
            defer { daemon.signal(SIGKILL) }
            func ask(_ request: String) throws -> [Value]? {
                guard let connection = try? Socket(socket), connection.send(request) else { return nil }
                return try connection.answer(seconds: 10)
            }
            func tests() throws -> Int {
                let question = #"{"id":1,"request":"recent","filter":{"ppid":[\#(daemon.pid)]}}"#
                return try ask(question)?.count { $0["event"] == .string("exec") } ?? 0
            }
            // Threads come and go as there is something to do.
            let tails = try (0..<8).map { _ in
                let tail = try #require(wait(seconds: 30) { try? Socket(socket) })
                tail.send(#"{"id":1,"request":"tail"}"#)
                return tail
            }
            #expect(try wait(seconds: 30) { try tests() > 0 ? true : nil } == true)

            let threads = try Self.threads(daemon.pid)
            #expect(threads.count > 4)
            for thread in threads {
                for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                    #expect(thread.status[set] == "0000000000000000", "\(set) of \(thread.status["Name"] ?? "?")")
                }
                #expect(thread.status["NoNewPrivs"] == "1" && thread.status["Seccomp"] == "2", "\(thread.status)")
                #expect([0, -ESRCH].contains(ebee_signal_thread(daemon.pid, thread.id, SIGTRAP)))
            }
            let found = try wait(seconds: 10) { () -> [(thread: pid_t, tries: [String: Int32])]? in
                let found = try lines().filter { line in threads.contains { $0.id == line.thread } }
                let alive = try Self.threads(daemon.pid).map(\.id).filter { id in threads.contains { $0.id == id } }
                return alive.allSatisfy { id in found.contains { $0.thread == id } } ? found : nil
            }
            for (thread, tries) in try #require(found) {
                #expect(Set(tries.keys) == Set(freely.keys))
                for (call, error) in tries {
                    #expect(error == Self.others[call] ?? EPERM, "\(call) in \(thread): \(error)")
                }
            }

            // Nothing of what it is for went with it.
            let before = try tests()
            try "[self_test]\nquiet_seconds = 1\n".write(
                toFile: place("ebeed.toml"), atomically: false, encoding: .utf8)
            daemon.signal(SIGHUP)
            // One for the reload, and then by itself.
            #expect(try wait(seconds: 30) { try tests() >= before + 4 ? true : nil } == true)
            let victim = try place.file("victim")
            #expect(Call.unlink(victim) == 0)
            let isSeen = try wait(seconds: 10) { () -> Bool? in
                try ask(#"{"id":1,"request":"recent","filter":{"path":["\#(victim)"]}}"#)?.isEmpty == false ? true : nil
            }
            #expect(isSeen == true)
            let status = try #require(try ask(#"{"id":1,"request":"status"}"#)?.first)
            let streams = try #require(status["status", "streams"]?.array)
            #expect(streams.count == 2 && streams.allSatisfy { $0["self_test", "passed"] == .bool(true) })
            #expect(tails.allSatisfy { !$0.isEnded })
            daemon.signal(SIGTERM)
            #expect(try daemon.wait(seconds: 15) == .exited(0))
        }
    }
}
