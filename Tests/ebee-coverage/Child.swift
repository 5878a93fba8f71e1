import Glibc

/// A process that was started here, and is killed and reaped with this value.
final class Child {
    /// How it ended, as wait(2) tells it.
    struct Ending: Equatable, CustomStringConvertible {
        let code: Int64?
        let signal: Int64?

        init(_ status: Int32) {
            let number = status & 0x7f
            code = number == 0 ? Int64(status >> 8 & 0xff) : nil
            signal = number == 0 ? nil : Int64(number)
        }

        var description: String { code.map { "exit code \($0)" } ?? "signal \(signal ?? 0)" }
    }

    let pid: pid_t
    let started = monotonic()
    private(set) var ended = 0.0
    /// What it wrote to standard output, and to standard error.
    private(set) var output: [UInt8] = []
    private(set) var errors: [UInt8] = []
    private(set) var ending: Ending?
    private var input: Int32
    private var ends: [pollfd]

    /// - Parameter file: what it writes goes there.
    init(_ words: [[UInt8]], file: [UInt8]? = nil) throws {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        let (readsInput, writesInput) = try Self.pipe()
        let (readsOutput, writesOutput) = try Self.pipe()
        let (readsErrors, writesErrors) = try Self.pipe()
        unsafe posix_spawn_file_actions_adddup2(&actions, readsInput, 0)
        if let file {
            for descriptor: Int32 in [1, 2] {
                unsafe posix_spawn_file_actions_addopen(
                    &actions, descriptor, cString(file), O_WRONLY | O_CREAT | O_APPEND, 0o644)
            }
        } else {
            unsafe posix_spawn_file_actions_adddup2(&actions, writesOutput, 1)
            unsafe posix_spawn_file_actions_adddup2(&actions, writesErrors, 2)
        }
        // What this process ignores, its children don't.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))

        var arguments = unsafe words.map { unsafe strdup(cString($0)) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var pid = pid_t()
        let error = unsafe posix_spawn(&pid, cString(words[0]), &actions, &attributes, &arguments, environ)
        for descriptor in [readsInput, writesOutput, writesErrors] { close(descriptor) }
        self.pid = pid
        input = writesInput
        ends = [readsOutput, readsErrors].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard error == 0 else { throw Failure("start \(shown(words[0]))", error) }
    }

    deinit {
        if pid > 0, ending == nil {
            kill(pid, SIGKILL)
            var status: Int32 = 0
            _ = unsafe waitpid(pid, &status, 0)
        }
        closeInput()
        for end in ends where end.fd >= 0 { close(end.fd) }
    }

    private static func pipe() throws -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        guard unsafe Glibc.pipe(&ends) == 0 else { throw Failure("make a pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    func say(_ text: String) {
        _ = unsafe write(input, text, text.utf8.count)
    }

    private func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Takes what it writes, until there is enough or no more; throws where that takes too long, or at a signal.
    func listen(seconds: Double = 60, until isEnough: (Child) -> Bool = { _ in false }) throws {
        let deadline = monotonic() + seconds
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while ends.contains(where: { $0.fd >= 0 }), !isEnough(self) {
            let left = deadline - monotonic()
            guard left > 0 else { throw Failure("process \(pid) still runs after \(seconds) s", 0) }
            // A signal ends the wait.
            if unsafe poll(&ends, nfds_t(ends.count), Int32(left * 1000) + 1) < 0 { try Interruption.check() }
            for index in ends.indices where ends[index].revents != 0 {
                let count = unsafe read(ends[index].fd, &buffer, buffer.count)
                if count <= 0 {
                    close(ends[index].fd)
                    ends[index].fd = -1
                } else if index == 0 {
                    output += buffer[..<count]
                } else {
                    errors += buffer[..<count]
                }
            }
        }
    }

    /// Whether it has ended.
    func reap() throws -> Ending? {
        if ending == nil {
            var status: Int32 = 0
            let reaped = unsafe waitpid(pid, &status, WNOHANG)
            if reaped < 0 { throw Failure("wait for process \(pid)") }
            if reaped == pid {
                ended = monotonic()
                ending = Ending(status)
            }
        }
        return ending
    }

    /// Everything that it writes, and how it ends.
    @discardableResult
    func finish(seconds: Double = 60) throws -> Ending {
        closeInput()
        try listen(seconds: seconds)
        return try wait("process \(pid) to end", seconds: seconds) { try reap() }
    }

    func stop(_ number: Int32) { if ending == nil { kill(pid, number) } }
}

/// Looks again and again until there is something.
@discardableResult
func wait<Found>(_ what: String, seconds: Double, pause: UInt32 = 1000, for look: () throws -> Found?) throws -> Found {
    let deadline = monotonic() + seconds
    while true {
        if let found = try look() { return found }
        try Interruption.check()
        guard monotonic() < deadline else { throw Failure("waited \(seconds) s in vain for \(what)", 0) }
        usleep(pause)
    }
}

/// Ctrl-C and its kin: what was made is undone, as on every other way out.
enum Interruption {
    /// Written by a signal handler, which may do little else.
    nonisolated(unsafe) private static var number: sig_atomic_t = 0

    static func arm() {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            Glibc.signal(signal) { number in unsafe Interruption.number = sig_atomic_t(number) }
        }
        signal(SIGPIPE, SIG_IGN)
    }

    static func check() throws {
        let number = unsafe number
        if number != 0 { throw Failure("stopped by signal \(number)", 0) }
    }
}
