import CTestSupport
import EbeeTestSupport
import Foundation
import Glibc

/// A connection that speaks the protocol by hand.
final class Socket {
    private(set) var descriptor: Int32
    private var buffer: [UInt8] = []
    /// The last line, as it came.
    private(set) var lastBytes: [UInt8] = []
    /// The daemon closed its side.
    private(set) var isEnded = false

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let result = unsafe withUnixAddress(path) { unsafe connect(descriptor, $0, $1) }
        guard result == 0 else {
            let error = errno
            close()
            throw HarnessError("connect to \(path): errno \(error)")
        }
    }

    /// As another user, with these groups and no others.
    init(_ path: String, as uid: uid_t, _ gid: gid_t, groups: [gid_t] = []) throws {
        descriptor = unsafe ebee_connect_as(path, uid, gid, groups, UInt32(groups.count))
        guard descriptor >= 0 else { throw HarnessError("connect to \(path) as \(uid): errno \(0 - descriptor)") }
    }

    deinit { close() }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Says that no more requests come; answers can still be read.
    func endRequests() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends bytes; false when the daemon takes no more.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool { Self.send(bytes, to: descriptor) }

    static func send(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var start = 0
        while start < bytes.count {
            let count = unsafe bytes[start...].withUnsafeBytes { rest in
                unsafe Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            start += count
        }
        return true
    }

    @discardableResult
    func send(_ line: String) -> Bool { send(Array((line + "\n").utf8)) }

    /// The next line, parsed; nil at the end of the connection, or when none comes in time.
    func line(seconds: Double = 10) throws -> Value? {
        let deadline = monotonic() + seconds
        while true {
            if let end = buffer.firstIndex(of: 10) {
                let line = Array(buffer[..<end])
                buffer.removeSubrange(...end)
                lastBytes = line
                return try Value(parsing: line)
            }
            if isEnded { return nil }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = deadline - monotonic()
            guard left > 0, unsafe poll(&wanted, 1, Int32(left * 1000) + 1) > 0 else { return nil }
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
            if count > 0 { buffer += bytes[..<count] } else { isEnded = true }
        }
    }

    /// The line with `done` or `error` of an answer that is too long to look at; nil when it doesn't come in time.
    func lastLine(seconds: Double) throws -> Value? {
        let deadline = monotonic() + seconds
        var tail: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        while monotonic() < deadline {
            let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
            guard count > 0 else { return nil }
            tail = Array((tail + bytes[..<count]).suffix(4096))
            guard tail.last == 10 else { continue }
            let line = tail.dropLast().split(separator: 10).last ?? []
            guard line.starts(with: Array("{\"id\":".utf8)), let value = try? Value(parsing: line) else { continue }
            if value["done"] != nil || value["error"] != nil { return value }
        }
        return nil
    }

    /// All that comes until a line with `done` or `error`, as it is.
    func rawAnswer(seconds: Double = 20) throws -> [UInt8] {
        let deadline = monotonic() + seconds
        var bytes: [UInt8] = []
        var isEnded = false
        while !isEnded, monotonic() < deadline, let line = try line(seconds: seconds) {
            isEnded = line["done"] != nil || line["error"] != nil
            bytes += lastBytes + [10]
        }
        return bytes
    }

    /// The lines of one answer, up to `done` or `error`.
    func answer(seconds: Double = 20) throws -> [Value] {
        var lines: [Value] = []
        while let line = try line(seconds: seconds) {
            lines.append(line)
            if line["done"] != nil || line["error"] != nil { return lines }
        }
        throw HarnessError("the answer does not end: \(lines.suffix(2))")
    }

    func ask(_ request: String) throws -> [Value] {
        send(request)
        return try answer()
    }
}
