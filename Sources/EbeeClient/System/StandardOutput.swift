import Glibc

/// Standard output: collects bytes, and writes them out when told to.
struct StandardOutput {
    private var buffer: [UInt8] = []

    /// Why nothing more can be written.
    enum Failure: Error {
        /// Nobody reads any more: `ebeectl … | head -1`.
        case closed
        /// The disk is full, and so on.
        case failed(errno: Int32)
    }

    /// Adds bytes. Writes them only where that many have come together that memory would grow.
    mutating func append(_ bytes: some Sequence<UInt8>) throws(Failure) {
        buffer.append(contentsOf: bytes)
        if buffer.count > 256 * 1024 { try flush() }
    }

    /// Writes everything; waits for a slow reader.
    mutating func flush() throws(Failure) {
        var start = 0
        while start < buffer.count {
            let count = unsafe buffer.withUnsafeBytes { bytes in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[start...])
                return unsafe write(STDOUT_FILENO, rest.baseAddress, rest.count)
            }
            if count >= 0 {
                start += count
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: _ = Self.poll(for: Int16(POLLOUT), milliseconds: 1000)
            case EPIPE: throw .closed
            case let code: throw .failed(errno: code)
            }
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// True where nobody reads any more. A pipe says so only to who asks: without a write there is no SIGPIPE.
    static var isClosed: Bool {
        poll(for: 0, milliseconds: 0) & Int16(POLLERR | POLLHUP | POLLNVAL) != 0
    }

    private static func poll(for events: Int16, milliseconds: Int32) -> Int16 {
        var descriptor = pollfd(fd: STDOUT_FILENO, events: events, revents: 0)
        return unsafe Glibc.poll(&descriptor, 1, milliseconds) > 0 ? descriptor.revents : 0
    }
}

/// Writes a line for people to standard error. There is nobody to tell where that fails.
func tell(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
