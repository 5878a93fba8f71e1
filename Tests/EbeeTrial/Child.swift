import Glibc

/// What could not be done, and the kernel's word for why.
public struct Failure: Error, CustomStringConvertible {
    /// The sentence.
    public let description: String

    /// - Parameter number: the errno; 0 for none.
    public init(_ what: String, _ number: Int32 = errno) {
        description = number == 0 ? what : "\(what): errno \(number)"
    }
}

/// A process that was started here, and is killed and reaped with this value.
public final class Child {
    /// Its process id.
    public let pid: pid_t
    /// As wait(2) tells it.
    private var status: Int32?

    /// - Parameters:
    ///   - words: the program's path, and its arguments. Not only its name: each try in PATH would be an event.
    ///   - output: a file for standard output; without, it is our own.
    ///   - errors: a file for standard error; without, it is our own.
    public init(_ words: [String], output: String? = nil, errors: String? = nil) throws {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for (descriptor, file) in [(Int32(1), output), (2, errors)] {
            guard let file else { continue }
            unsafe posix_spawn_file_actions_addopen(&actions, descriptor, file, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        }
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var pid = pid_t()
        let error = unsafe posix_spawn(&pid, words[0], &actions, nil, &arguments, environ)
        guard error == 0 else { throw Failure("start \(words[0])", error) }
        self.pid = pid
    }

    deinit {
        guard status == nil else { return }
        kill(pid, SIGKILL)
        _ = waitpid(pid, nil, 0)
    }

    /// Sends it a signal, unless it has ended.
    public func signal(_ number: Int32) { if status == nil { kill(pid, number) } }

    /// Its exit code, or 128 and the signal that ended it; nil while it runs.
    public func ending() throws -> Int32? {
        if status == nil {
            var status: Int32 = 0
            let reaped = unsafe waitpid(pid, &status, WNOHANG)
            if reaped < 0, errno != EINTR { throw Failure("wait for process \(pid)") }
            if reaped == pid { self.status = status }
        }
        return status.map { $0 & 0x7f == 0 ? $0 >> 8 & 0xff : 128 + $0 & 0x7f }
    }

    /// Waits for its end also while we are being stopped, as cleaning up has to. Nil after that time.
    @discardableResult
    public func end(within seconds: Double) -> Int32? {
        let deadline = monotonic() + seconds
        while monotonic() < deadline {
            if let ending = try? ending() { return ending }
            usleep(10_000)
        }
        return nil
    }

    /// Waits for its end.
    @discardableResult
    public func finish(seconds: Double, pause: Double = 0.02) throws -> Int32 {
        try wait("process \(pid) to end", seconds: seconds, pause: pause) { try ending() }
    }
}

/// Looks again and again until there is something.
@discardableResult
public func wait<Found>(
    _ what: String, seconds: Double, pause: Double = 0.02, for look: () throws -> Found?
) throws -> Found {
    let deadline = monotonic() + seconds
    while true {
        if let found = try look() { return found }
        guard monotonic() < deadline else { throw Failure("waited \(Int(seconds)) s in vain for \(what)", 0) }
        try rest(pause)
    }
}

/// Sleeps, but for a signal that ends all.
public func rest(_ seconds: Double) throws {
    try Interruption.check()
    usleep(UInt32(seconds * 1e6))
    try Interruption.check()
}

/// Seconds of a clock that only goes forward.
public func monotonic() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Ctrl-C and its kin: what was started is stopped, as on every other way out.
public enum Interruption {
    /// Written by a signal handler, which may do little else.
    nonisolated(unsafe) private static var number: sig_atomic_t = 0

    /// From here on, such a signal is noted.
    public static func arm() {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            Glibc.signal(signal) { number in unsafe Interruption.number = sig_atomic_t(number) }
        }
        signal(SIGPIPE, SIG_IGN)
    }

    /// Throws where one came.
    public static func check() throws {
        let number = unsafe number
        if number != 0 { throw Failure("stopped by signal \(number)", 0) }
    }
}

/// A directory of our own, removed with the value.
public final class Place {
    /// Its own path.
    public let path: String

    /// Makes it.
    public init(in directory: String = "/tmp") throws {
        var template = Array("\(directory)/ebee-trial-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Failure("make a directory in \(directory)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { if let remover = try? Child(["/bin/rm", "-rf", path]) { remover.end(within: 20) } }

    /// A path below it.
    public func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file.
    public func write(_ name: String, _ text: String) throws {
        let descriptor = unsafe creat(self(name), 0o644)
        guard descriptor >= 0 else { throw Failure("create \(self(name))") }
        defer { close(descriptor) }
        guard unsafe Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count else {
            throw Failure("write \(self(name))")
        }
    }

    /// The first 64 KiB of a file; none where it can't be read.
    public func read(_ name: String) -> [UInt8] { firstBytes(of: self(name)) }

    /// The first line of these, without its end.
    public func line(_ name: String) -> [UInt8] { Array(read(name).prefix { $0 != UInt8(ascii: "\n") }) }
}

/// The first 64 KiB of a file; none where it can't be read.
public func firstBytes(of path: String) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe read(descriptor, &bytes, bytes.count)
    return Array(bytes.prefix(max(0, count)))
}

/// One line on standard error that the next one replaces; nothing where nobody watches.
public func showProgress(_ text: String) {
    guard isatty(2) == 1 else { return }
    let line = "\r\u{1b}[K\(text)"
    _ = unsafe Glibc.write(2, line, line.utf8.count)
}

/// `1,000,000`
public func decimal(_ number: Int64) -> String {
    let digits = String(number.magnitude)
    let grouped = digits.enumerated().map { index, digit in
        index > 0 && (digits.count - index) % 3 == 0 ? ",\(digit)" : "\(digit)"
    }
    return (number < 0 ? "-" : "") + grouped.joined()
}
