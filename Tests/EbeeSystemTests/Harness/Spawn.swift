import Foundation
import Glibc

/// What went wrong in the harness itself, not in what is tested.
struct HarnessError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// How a process ended.
enum Ending: Equatable {
    case exited(Int32)
    case signalled(Int32)

    init(waitStatus status: Int32) {
        self = status & 0x7f == 0 ? .exited(status >> 8 & 0xff) : .signalled(status & 0x7f)
    }
}

/// What a command wrote and how it ended.
struct Finished {
    let pid: pid_t
    let ending: Ending
    let output: [UInt8]
    let errors: [UInt8]

    var text: String { String(decoding: output, as: UTF8.self) }
    var errorText: String { String(decoding: errors, as: UTF8.self) }
    var lines: [Substring] { text.split(separator: "\n") }
    /// Nil when a signal ended it.
    var status: Int32? { if case .exited(let code) = ending { code } else { nil } }
}

/// A process that this test started. Ended by its pid, and only as long as it was not reaped.
final class Child {
    let pid: pid_t
    private var ending: Ending?
    private var input: Int32
    private var output: Int32
    private var errors: Int32
    private(set) var outputBytes: [UInt8] = []
    private(set) var errorBytes: [UInt8] = []

    /// Where a standard stream of the child goes.
    enum Stream {
        case pipe
        case null
        case file(String)
    }

    /// - Parameter arguments: the program, found through PATH, and what it is given: bytes, since a name may be any.
    init(
        _ arguments: [[UInt8]], input: Stream = .null, output: Stream = .pipe, errors: Stream = .pipe,
        directory: String? = nil, environment: [String: String] = [:]
    ) throws {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        var own: [Int32] = []
        var theirs: [Int32] = []
        for (descriptor, stream) in [(Int32(0), input), (1, output), (2, errors)] {
            switch stream {
            case .null:
                unsafe posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
                own.append(-1)
            case .file(let path):
                unsafe posix_spawn_file_actions_addopen(
                    &actions, descriptor, path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
                own.append(-1)
            case .pipe:
                let (readEnd, writeEnd) = try makePipe()
                let child = descriptor == 0 ? readEnd : writeEnd
                unsafe posix_spawn_file_actions_adddup2(&actions, child, descriptor)
                theirs.append(child)
                own.append(descriptor == 0 ? writeEnd : readEnd)
            }
        }
        // posix_spawn_file_actions_addchdir_np(3) isn't in Swift's Glibc; env(1) executes the program in its place.
        let arguments = (directory.map { ["env", "--chdir=\($0)"] } ?? []).map { Array($0.utf8) } + arguments
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // The test runner may block or ignore signals; its children start with none of that.
        var none = sigset_t()
        var all = sigset_t()
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var variables = ProcessInfo.processInfo.environment
        variables["PATH"] = (variables["PATH"] ?? "/usr/bin:/bin") + ":/usr/sbin:/sbin"
        variables["LC_ALL"] = "C.UTF-8"
        variables["TZ"] = "UTC"
        variables["NO_COLOR"] = nil
        variables.merge(environment) { $1 }
        var pid = pid_t()
        let result = unsafe withVector(arguments) { argv in
            unsafe withVector(variables.map { Array("\($0)=\($1)".utf8) }) { envp in
                unsafe posix_spawnp(&pid, argv[0].unsafelyUnwrapped, &actions, &attributes, argv, envp)
            }
        }
        for descriptor in theirs { close(descriptor) }
        guard result == 0 else {
            for descriptor in own where descriptor >= 0 { close(descriptor) }
            let name = String(decoding: arguments[0], as: UTF8.self)
            throw HarnessError("can't start \(name): \(unsafe String(cString: strerror(result)))")
        }
        self.pid = pid
        (self.input, self.output, self.errors) = (own[0], own[1], own[2])
    }

    convenience init(_ arguments: [String], input: Stream = .null, errors: Stream = .pipe) throws {
        try self.init(arguments.map { Array($0.utf8) }, input: input, errors: errors)
    }

    deinit {
        if ending == nil {
            kill(pid, SIGKILL)
            _ = try? wait(seconds: 10)
        }
        closeInput()
        if output >= 0 { close(output) }
        if errors >= 0 { close(errors) }
    }

    func signal(_ number: Int32) {
        if ending == nil { kill(pid, number) }
    }

    func write(_ text: String) {
        _ = unsafe Array(text.utf8).withUnsafeBytes { unsafe Glibc.write(input, $0.baseAddress, $0.count) }
    }

    func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Reads what comes until `isEnough`, until both streams end, or until the deadline; false at the deadline.
    @discardableResult
    func read(seconds: Double, until isEnough: (Child) -> Bool = { _ in false }) -> Bool {
        let deadline = monotonic() + seconds
        while output >= 0 || errors >= 0 {
            if isEnough(self) { return true }
            let left = deadline - monotonic()
            if left <= 0 { return false }
            var wanted = [output, errors].filter { $0 >= 0 }.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard unsafe poll(&wanted, nfds_t(wanted.count), Int32(left * 1000) + 1) > 0 else { continue }
            for found in wanted where found.revents != 0 { take(from: found.fd) }
        }
        return true
    }

    private func take(from descriptor: Int32) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
        if count > 0 {
            if descriptor == output { outputBytes += buffer[..<count] } else { errorBytes += buffer[..<count] }
            return
        }
        close(descriptor)
        if descriptor == output { output = -1 } else { errors = -1 }
    }

    /// Reaps it; nil when it still runs at the deadline.
    func wait(seconds: Double) throws -> Ending? {
        let deadline = monotonic() + seconds
        while ending == nil {
            var status: Int32 = 0
            let reaped = unsafe waitpid(pid, &status, WNOHANG)
            if reaped == pid { ending = Ending(waitStatus: status) }
            if reaped < 0, errno != EINTR { throw HarnessError("waitpid \(pid): errno \(errno)") }
            if ending == nil {
                if monotonic() > deadline { return nil }
                usleep(2000)
            }
        }
        return ending
    }

    /// Everything it writes and how it ends; killed, and an error, when that takes too long.
    func finish(seconds: Double) throws -> Finished {
        closeInput()
        let deadline = monotonic() + seconds
        read(seconds: seconds)
        guard let ending = try wait(seconds: max(0, deadline - monotonic())) else {
            kill(pid, SIGKILL)
            _ = try wait(seconds: 10)
            let said = String(decoding: errorBytes.suffix(2000), as: UTF8.self)
            throw HarnessError("process \(pid) did not end within \(seconds) s; standard error: \(said)")
        }
        return Finished(pid: pid, ending: ending, output: outputBytes, errors: errorBytes)
    }
}

/// Runs a command to its end.
@discardableResult
func run(_ arguments: [[UInt8]], directory: String? = nil, environment: [String: String] = [:], seconds: Double = 30)
    throws -> Finished
{
    try Child(arguments, directory: directory, environment: environment).finish(seconds: seconds)
}

/// Runs a command to its end.
@discardableResult
func run(_ arguments: String..., directory: String? = nil, environment: [String: String] = [:], seconds: Double = 30)
    throws -> Finished
{
    try run(arguments.map { Array($0.utf8) }, directory: directory, environment: environment, seconds: seconds)
}

/// Runs a command that must succeed.
@discardableResult
func must(_ arguments: String..., directory: String? = nil, seconds: Double = 30) throws -> Finished {
    let finished = try run(arguments.map { Array($0.utf8) }, directory: directory, seconds: seconds)
    guard finished.status == 0 else {
        throw HarnessError("\(arguments.joined(separator: " ")): \(finished.ending) \(finished.errorText)")
    }
    return finished
}

/// Seconds of a clock that only goes forward.
func monotonic() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Looks again and again until there is an answer; nil when there is none in time.
func wait<Result>(seconds: Double = 10, for look: () throws -> Result?) rethrows -> Result? {
    let deadline = monotonic() + seconds
    while true {
        if let result = try look() { return result }
        if monotonic() > deadline { return nil }
        usleep(20_000)
    }
}

private func makePipe() throws -> (Int32, Int32) {
    var ends: [Int32] = [0, 0]
    guard unsafe pipe(&ends) == 0 else { throw HarnessError("pipe: errno \(errno)") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
}

/// Lends a NULL-terminated vector of strings.
private func withVector<Result>(
    _ strings: [[UInt8]], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers = unsafe strings.map { string in
        unsafe (string + [0]).withUnsafeBufferPointer { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { unsafe strdup($0.baseAddress.unsafelyUnwrapped) }
        }
    }
    unsafe pointers.append(nil)
    defer { unsafe pointers.forEach { unsafe free($0) } }
    return unsafe pointers.withUnsafeMutableBufferPointer { unsafe body($0.baseAddress.unsafelyUnwrapped) }
}
