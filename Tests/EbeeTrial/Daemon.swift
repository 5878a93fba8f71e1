import EbeeProtocol
import EbeeTestSupport
import Glibc

/// An ebeed of our own, asked on its socket: ebeectl would be an execution more with each question.
public final class Daemon {
    private var child: Child
    /// Where its hooks outlive it. Ahead of the directory that this is in, which goes after it.
    private let mount: Mount?
    /// Its directory, which goes with it.
    public let place: Place
    /// Where it listens.
    public let socket: String
    /// What its hooks outlive it with; nothing without.
    private let handOver: String
    private var buffer = [UInt8](repeating: 0, count: 1 << 18)

    /// Starts it, and waits until it has tested itself.
    /// - Parameter outlives: its hooks do, in a BPF filesystem of their own.
    public init(_ ebeed: String, configuration: String, outlives: Bool = false) throws {
        place = try Place(in: outlives ? "/dev/shm" : "/tmp")
        socket = place("ebeed.sock")
        let pins = place("bpf")
        handOver = outlives ? "[handover]\npin = \"\(pins)/ebee\"\n" : ""
        mount = outlives ? try Mount(pins) : nil
        child = try Self.start(ebeed, place, handOver + configuration)
        try awaitSelfTest()
    }

    private static func start(_ ebeed: String, _ place: Place, _ configuration: String) throws -> Child {
        try place.write("ebeed.toml", configuration)
        let log = place("ebeed.log")
        return try Child(
            [ebeed, "--config", place("ebeed.toml"), "--socket", place("ebeed.sock")], output: log, errors: log)
    }

    /// Kills it, and starts another one, which goes on where this one was.
    public func replace(_ ebeed: String, configuration: String) throws {
        child.signal(SIGKILL)
        try child.finish(seconds: 20)
        child = try Self.start(ebeed, place, handOver + configuration)
        try awaitSelfTest()
        guard said.contains("took over without a gap") else {
            throw Failure("nothing was taken over; ebeed said: \(said)", 0)
        }
    }

    private func awaitSelfTest() throws {
        do {
            // The verifier takes its time.
            try wait("ebeed to answer", seconds: 120) {
                if let ending = try child.ending() { throw Failure("ebeed ended at once with \(ending)", 0) }
                return try connect().map { close($0) }
            }
            // Its self-test makes events too.
            try wait("ebeed's self-test", seconds: 60, pause: 0.1) {
                try streams().allSatisfy { $0["self_test"]?["passed"] != nil } ? true : nil
            }
        } catch {
            throw Failure("\(error); ebeed said: \(said)", 0)
        }
    }

    deinit { stop() }

    /// What it wrote to standard error.
    public var said: String { String(decoding: place.read("ebeed.log").suffix(4000), as: UTF8.self) }

    /// Its process id.
    public var pid: pid_t { child.pid }

    /// Sends it a signal.
    public func signal(_ number: Int32) { child.signal(number) }

    private func stop() {
        child.signal(SIGTERM)
        child.signal(SIGCONT)
        // It removes its socket.
        child.end(within: 20)
    }

    private func connect() throws -> Int32? {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure("make a socket") }
        if unsafe withUnixAddress(socket, { unsafe Glibc.connect(descriptor, $0, $1) }) == 0 { return descriptor }
        close(descriptor)
        return nil
    }

    /// What `status` says of each.
    public func streams() throws -> [JSON] {
        var streams: [JSON] = []
        try ask("\"request\":\"status\"") { line in
            if let status = try Self.parsed(line)["status"] { streams = status["streams"]?.array ?? [] }
        }
        return streams
    }

    /// What it says of each stream.
    public func account() throws -> [Stream: Account] {
        var accounts: [Stream: Account] = [:]
        for stream in try streams() {
            guard let name = stream["stream"]?.string.flatMap(Stream.init) else { continue }
            accounts[name] = try Account(stream)
        }
        guard accounts.count == Stream.allCases.count else { throw Failure("status lacks a stream", 0) }
        return accounts
    }

    /// Counts the lines of an answer.
    /// - Parameter filter: members of the protocol's filter.
    public func rows(_ stream: Stream, _ filter: String) throws -> Rows {
        var rows = Rows()
        let event = Array("{\"id\":1,\"event\":\"\(stream.event)\"".utf8)
        let lost = Array("{\"id\":1,\"event\":\"lost\"".utf8)
        try ask("\"request\":\"recent\",\"stream\":\"\(stream)\",\"filter\":{\"failed\":true\(filter)}") { line in
            if line.starts(with: event) { return rows.events += 1 }
            if line.starts(with: lost) {
                let mark = try Self.parsed(line)
                if mark["why"]?.string != "evicted" { rows.marked += mark["count"]?.integer ?? 0 }
            }
        }
        return rows
    }

    private static func parsed(_ line: ArraySlice<UInt8>) throws -> JSON {
        do { return try JSON(parsing: Array(line)) } catch { throw Failure("a line of ebeed is not JSON: \(error)", 0) }
    }

    /// On a connection of its own: a storm takes longer than one may be idle. Lines of events are counted, never parsed: there
    /// are hundreds of thousands.
    private func ask(_ members: String, _ take: (ArraySlice<UInt8>) throws -> Void) throws {
        guard let connection = try connect() else { throw Failure("connect to ebeed") }
        defer { close(connection) }
        let request = "{\"id\":1,\(members)}\n"
        guard unsafe send(connection, request, request.utf8.count, Int32(MSG_NOSIGNAL)) == request.utf8.count else {
            throw Failure("send a request")
        }
        let done = Array("{\"id\":1,\"done\"".utf8)
        let error = Array("{\"id\":1,\"error\"".utf8)
        var rest: [UInt8] = []
        while true {
            try Interruption.check()
            let count = unsafe recv(connection, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure("read an answer", count < 0 ? errno : 0) }
            rest += buffer[..<count]
            var start = 0
            while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = rest[start..<end]
                start = end + 1
                if line.starts(with: done) { return }
                if line.starts(with: error) {
                    throw Failure("ebeed answers \(String(decoding: line, as: UTF8.self))", 0)
                }
                try take(line)
            }
            rest.removeSubrange(..<start)
        }
    }
}

/// A BPF filesystem, unmounted with the value.
private final class Mount {
    private let path: String

    init(_ path: String) throws {
        self.path = path
        guard unsafe mkdir(path, 0o700) == 0 else { throw Failure("make \(path)") }
        let code = try Child(["/bin/mount", "-t", "bpf", "bpf", path]).finish(seconds: 20)
        guard code == 0 else { throw Failure("mount a BPF filesystem: \(code)", 0) }
    }

    deinit { if let unmounting = try? Child(["/bin/umount", path]) { unmounting.end(within: 20) } }
}

/// What an answer holds.
public struct Rows: Equatable {
    /// Its events.
    public var events: Int64 = 0
    /// Events that its marks say were lost.
    public var marked: Int64 = 0
}

/// What `status` says of a stream.
public struct Account: Equatable {
    /// By the kernel's own count.
    public let generated: Int64
    /// In the window, or in it once.
    public let delivered: Int64
    /// And not.
    public let lost: Int64
    /// Of the lost.
    public let ringFull: Int64
    /// Of the lost.
    public let missed: Int64
    /// Likewise.
    public let malformed: Int64
    /// Given up by the window.
    public let evicted: Int64

    init(_ stream: JSON) throws {
        func number(_ value: JSON?, _ name: String) throws -> Int64 {
            guard let number = value?.integer else { throw Failure("status lacks \(name)", 0) }
            return number
        }
        generated = try number(stream["generated"], "generated")
        delivered = try number(stream["events"], "events")
        lost = try number(stream["lost"], "lost")
        ringFull = try number(stream["losses"]?["ring_full"], "ring_full")
        missed = try number(stream["losses"]?["missed"], "missed")
        malformed = try number(stream["losses"]?["malformed"], "malformed")
        evicted = try number(stream["window"]?["evicted"], "evicted")
    }

    /// What is unaccounted for.
    public var difference: Int64 { generated - delivered - lost }
}

/// As `status` calls them.
public enum Stream: String, CaseIterable, Sendable {
    /// Executions.
    case exec
    /// Deletions.
    case deletes

    /// What an event of it says it is.
    var event: String { self == .exec ? "exec" : "delete" }
}
