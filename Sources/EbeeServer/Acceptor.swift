import CLinux
import EbeeRecord
import EbeeWindow
import Glibc
import Synchronization

/// Accepts connections, on a thread of its own. Not a NIO channel: a connection is looked at, and may be refused, before
/// anything reads from it, and what goes wrong with one connection, or for want of descriptors, must not end the listening.
final class Acceptor: Sendable {
    /// Closed at the end. Where systemd holds it too, those who wait in it are the next daemon's.
    private let listener: Int32
    /// Closing the end that writes ends the thread.
    private let stopWriter: Int32
    private let stopReader: Int32
    private let isStopped = Atomic<Bool>(false)

    /// How long to wait where the kernel can't give a descriptor or memory.
    private static let pause: useconds_t = 100_000
    /// How often that is told at most, in nanoseconds.
    private static let tellingInterval: UInt64 = 60_000_000_000

    init(_ listener: Int32) throws(SystemError) {
        self.listener = listener
        // A client that left again must not leave us waiting for the next one.
        let flags = fcntl(listener, F_GETFL)
        guard flags >= 0, fcntl(listener, F_SETFL, flags | O_NONBLOCK) == 0 else {
            throw SystemError("make the socket non-blocking")
        }
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw SystemError("make a pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (stopReader, stopWriter) = (ends[0], ends[1])
    }

    /// - Parameters:
    ///   - accepted: takes over each new descriptor.
    ///   - failed: is told, now and then, that there are no more descriptors or no memory.
    ///   - ended: called last.
    func start(
        accepted: @escaping @Sendable (Int32) -> Void, failed: @escaping @Sendable (SystemError) -> Void,
        ended: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        try startThread(name: "accept") {
            self.run(accepted, failed)
            close(self.stopReader)
            close(self.listener)
            ended()
        }
    }

    /// Accepts no more.
    func stop() {
        if !isStopped.exchange(true, ordering: .relaxed) { close(stopWriter) }
    }

    private func run(_ accepted: (Int32) -> Void, _ failed: (SystemError) -> Void) {
        var told: UInt64?
        while true {
            var waiting = [
                pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stopReader, events: Int16(POLLIN), revents: 0),
            ]
            guard unsafe poll(&waiting, nfds_t(waiting.count), -1) >= 0 || errno == EINTR else { return }
            if waiting[1].revents != 0 { return }
            let descriptor = ebee_accept(listener)
            if descriptor >= 0 {
                accepted(descriptor)
                continue
            }
            let error = SystemError("accept a connection")
            switch error.errno {
            case EAGAIN, EINTR, ECONNABORTED: break
            default:
                let now = Clock.boot()
                if told.map({ now - $0 > Self.tellingInterval }) ?? true {
                    failed(error)
                    told = now
                }
                usleep(Self.pause)
            }
        }
    }
}
