import CLinux
import EbeeRecord
import Glibc

/// What became of an entry.
enum Sent {
    /// journald has it, or it lies in journald's socket.
    case taken
    /// It is not there, since journald is away: another try may help.
    case refused(String)
    /// It is not there for good, or can't be known to be there: another try would not help, or might double it.
    case lost
}

/// journald's socket, as sd_journal_sendv(3) leaves it to us to judge: that waits for ever while nobody reads, and reports success where
/// there is no socket.
struct JournalSocket: ~Copyable {
    static let path = "/run/systemd/journal/socket"

    private let deadline: UInt

    /// Sends are bounded on the thread that this is made on.
    init() throws(SystemError) {
        var made: UInt = 0
        let error = unsafe ebee_make_deadline(&made)
        guard error == 0 else { throw SystemError("make a timer", errno: error) }
        deadline = made
    }

    deinit { ebee_end_deadline(deadline) }

    /// Why entries can't be sent; nil when they can, as far as can be told without sending one.
    var absence: String? {
        if unsafe ebee_receives(Self.path) { return nil }
        return errno == 0 && identity != nil ? "nobody reads \(Self.path)" : "there is no \(Self.path)"
    }

    /// - Parameter milliseconds: how long it may wait for journald.
    func send(_ entry: borrowing JournalEntry, milliseconds: UInt32) -> Sent {
        guard let before = identity else { return .refused("there is no \(Self.path)") }
        ebee_set_deadline(deadline, milliseconds)
        let error = entry.send()
        ebee_set_deadline(deadline, 0)
        switch error {
        // Where the socket stayed the same, it was there: success was no ENOENT in disguise.
        case 0: return identity == before ? .taken : .lost
        case EINTR: return .refused("journald does not read")
        case ECONNREFUSED: return .refused("nobody reads \(Self.path)")
        case EACCES, EAGAIN, ENOBUFS, ENOMEM, EMFILE, ENFILE: return unsafe .refused(String(cString: strerror(error)))
        default: return .lost
        }
    }

    private struct Identity: Equatable {
        let device: dev_t
        let inode: ino_t
    }

    private var identity: Identity? {
        var found = stat()
        guard unsafe stat(Self.path, &found) == 0 else { return nil }
        return Identity(device: found.st_dev, inode: found.st_ino)
    }
}
