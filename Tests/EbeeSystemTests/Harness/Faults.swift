import Foundation
import Glibc

/// One call that is to fail: the Nth of a function, with an errno.
struct Fault: CustomStringConvertible, Sendable {
    let function: String
    let call: UInt64

    /// As the kernel would have it where descriptors, memory or permission are missing, a disk fails or a peer goes; a call that can't
    /// fail in such a way is interrupted.
    var error: Int32 {
        switch function {
        case "open", "fopen", "perf_event_open", "epoll_create1", "socket", "accept4", "pipe", "eventfd", "timerfd":
            EMFILE
        case "epoll_wait", "poll": EINTR
        case "read": EIO
        case "write", "send", "sendmsg": EPIPE
        case "recv": ECONNRESET
        case "connect": ECONNREFUSED
        case "posix_spawn", "pthread_create", "timer_create": EAGAIN
        case "waitpid": ECHILD
        case "stat", "access", "mkdir", "chmod", "lchown", "unlink": EACCES
        case "bind": EADDRINUSE
        default: ENOMEM
        }
    }

    var description: String { "\(function):\(call):\(error)" }
}

/// ebeed with ebee-faults preloaded: one call of it fails, or none.
final class FaultyDaemon {
    let place: Place
    let socket: String
    private let child: Child
    private let counts: String
    private let errorFile: String

    init(_ fault: Fault?) throws {
        place = try Place()
        socket = place("ebeed.sock")
        counts = place("counts")
        errorFile = place("stderr")
        try Data().write(to: URL(fileURLWithPath: counts))
        try "[exec]\njournal = false\n[deletes]\njournal = false\n".write(
            toFile: place("ebeed.toml"), atomically: false, encoding: .utf8)
        var environment = ["LD_PRELOAD": Binary.faults, "EBEE_FAULT_COUNTS": counts]
        environment["EBEE_FAULT"] = fault?.description
        child = try Child(
            [Binary.ebeed, "--config", place("ebeed.toml"), "--socket", socket].map { Array($0.utf8) },
            output: .file(errorFile), errors: .file(errorFile), environment: environment)
    }

    /// What it wrote to standard error so far.
    var errors: String { (try? String(contentsOfFile: errorFile, encoding: .utf8)) ?? "" }
    /// How it ended; nil while it runs.
    var ending: Ending? { try? child.wait(seconds: 0) }
    /// How many descriptors it has open.
    var descriptors: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(child.pid)/fd")) ?? []
    }

    func signal(_ number: Int32) { child.signal(number) }

    /// How it ended after SIGTERM; nil when it did not, within a bound that is beyond its own.
    func stop() throws -> Ending? {
        child.signal(SIGTERM)
        return try child.wait(seconds: 15)
    }

    /// The lines of one answer; nil where the connection, or the daemon, went.
    func ask(_ request: String, seconds: Double = 5) -> [Value]? {
        guard let connection = try? Socket(socket), connection.send(request) else { return nil }
        return try? connection.answer(seconds: seconds)
    }

    /// How often it called each function so far, and whether the call that was to fail has.
    func calls() throws -> (calls: [(function: String, count: UInt64)], hasFailed: Bool) {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: counts)))
        guard bytes.count >= 8 else { throw HarnessError("\(Binary.faults) was not preloaded: \(errors)") }
        func number(_ offset: Int, _ count: Int) -> UInt64 {
            bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        let calls = stride(from: 8, to: bytes.count, by: 24).map { offset in
            let name = bytes[offset..<offset + 16].prefix { $0 != 0 }
            return (String(decoding: name, as: UTF8.self), number(offset + 16, 8))
        }
        return (calls, number(4, 4) != 0)
    }
}
