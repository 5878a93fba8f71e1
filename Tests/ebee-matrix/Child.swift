import Glibc

/// A process that was started here, and ended here if it doesn't end by itself.
final class Child {
    private let pid: pid_t
    private var status: Int32?

    /// - Parameters:
    ///   - arguments: the program, found through PATH, and what it is given.
    ///   - output: the file that takes what it writes; nil for where our own goes.
    init(_ arguments: [String], output: String? = nil) throws {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        if let output {
            unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
            unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        }
        var vector: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
        unsafe vector.append(nil)
        defer { unsafe vector.forEach { unsafe free($0) } }
        var pid = pid_t()
        let result = unsafe posix_spawnp(&pid, arguments[0], &actions, nil, &vector, environ)
        guard result == 0 else { throw Failure("can't start \(arguments[0]): \(errorText(result))") }
        self.pid = pid
    }

    deinit {
        if status == nil {
            kill(pid, SIGTERM)
            wait()
        }
    }

    /// Whether it has ended.
    var isOver: Bool {
        if status == nil, unsafe waitpid(pid, &waited, WNOHANG) == pid { status = waited }
        return status != nil
    }
    private var waited: Int32 = 0

    /// Waits for its end; its exit status, 128 and more where a signal ended it.
    @discardableResult
    func wait() -> Int32 {
        while status == nil {
            if unsafe waitpid(pid, &waited, 0) == pid { status = waited }
        }
        let status = status ?? 0
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    }
}

/// Why the matrix itself can't go on.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// The kernel's words for an errno.
func errorText(_ number: Int32) -> String { unsafe String(cString: strerror(number)) }

/// The text of a file; empty where there is none.
func read(_ path: String) -> String {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
        guard count > 0 else { break }
        bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
}

/// Replaces a file.
func write(_ text: String, to path: String) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Failure("can't write \(path): \(errorText(errno))") }
    defer { close(descriptor) }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { throw Failure("can't write \(path): \(errorText(errno))") }
        rest = rest.dropFirst(count)
    }
}

/// Seconds on a clock that nobody sets.
func monotonic() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
