import EbeeTestSupport
import Foundation
import Glibc
import Synchronization

/// Takes what a service tells its manager (sd_notify(3)) as it comes; descriptors that come with it are closed, which is what a
/// barrier waits for.
final class Manager {
    private let descriptor: Int32
    private let messages = Messages()

    private final class Messages: Sendable {
        let list = Mutex<[[String]]>([])
    }

    init(_ path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.descriptor = descriptor
        let result = unsafe withUnixAddress(path) { unsafe bind(descriptor, $0, $1) }
        guard result == 0 else { throw HarnessError("bind \(path): errno \(errno)") }
        let messages = self.messages
        Thread.detachNewThread {
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
                if count <= 0 { return }
                let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n").map(String.init)
                messages.list.withLock { $0.append(lines) }
            }
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    /// What came so far is of no interest.
    func forget() { messages.list.withLock { $0.removeAll() } }

    /// The lines of the next message that has this one; nil when none comes in time.
    func next(_ line: String, seconds: Double = 15) -> [String]? {
        var lines: [String]?
        _ = next(seconds: seconds) { message in
            guard message.contains(line) else { return nil }
            lines = message
            return line
        }
        return lines
    }

    /// The next line that is such a one.
    func next(where isIt: (String) -> Bool, seconds: Double = 15) -> String? {
        next(seconds: seconds) { $0.first(where: isIt) }
    }

    private func next(seconds: Double, _ look: ([String]) -> String?) -> String? {
        let deadline = monotonic() + seconds
        while monotonic() < deadline {
            while let message = messages.list.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
                if let found = look(message) { return found }
            }
            usleep(10_000)
        }
        return nil
    }
}
