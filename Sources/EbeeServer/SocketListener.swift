import CLinux
import EbeeRecord
import Glibc

/// The listening socket: one that systemd handed over, or one made here and removed again.
public struct SocketListener: Sendable {
    /// Listening, or bound and about to.
    public let descriptor: Int32
    /// The path to remove at the end; nil where systemd owns the socket.
    private let created: String?

    /// Takes over a socket that is already listening.
    public init(activated descriptor: Int32) {
        self.descriptor = descriptor
        created = nil
    }

    /// Makes the socket at `path`, for those that `access` lets in. A socket that is there already is removed only if nobody
    /// answers on it.
    public init(path: String, access: Access, backlog: Int32) throws(SocketError) {
        try Self.makeDirectory(of: path)
        var descriptor = unsafe ebee_listen(path, 0o600, backlog)
        if descriptor < 0, errno == EADDRINUSE {
            try Self.removeStale(path)
            descriptor = unsafe ebee_listen(path, 0o600, backlog)
        }
        if descriptor < 0 { throw .system(SystemError("listen on \(path)")) }
        self.descriptor = descriptor
        created = path
        do {
            try open(to: access)
        } catch {
            remove()
            throw .system(error)
        }
    }

    /// Lets those connect that may ask, if the socket was made here; where the system has no such group, root alone besides
    /// those who see their own events.
    private func open(to access: Access) throws(SystemError) {
        guard let path = created else { return }
        if let group = access.group, unsafe lchown(path, uid_t.max, group) != 0 {
            throw SystemError("give \(path) to the group \(access.groupName)")
        }
        if unsafe chmod(path, access.socketMode) != 0 { throw SystemError("set the mode of \(path)") }
    }

    /// Whether the mode of the socket lets those connect that may ask; that of a socket that was not made here is its maker's affair.
    func letsIn(_ access: Access) -> Bool {
        guard let path = created else { return true }
        var status = stat()
        return unsafe stat(path, &status) != 0 || status.st_mode & access.socketMode == access.socketMode
    }

    /// Removes the socket, if it was made here.
    public func remove() {
        if let created { _ = unsafe unlink(created) }
    }

    /// Only the last component: `/run/ebee` on a machine where nothing has made it yet.
    private static func makeDirectory(of path: String) throws(SocketError) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let directory = String(path[..<slash])
        if unsafe mkdir(directory, 0o755) == 0 {
            // Whatever the umask is: who may ask is up to the socket.
            _ = unsafe chmod(directory, 0o755)
        } else if errno != EEXIST {
            throw .system(SystemError("make \(directory)"))
        }
    }

    private static func removeStale(_ path: String) throws(SocketError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path) }
        errno = 0
        if unsafe ebee_answers(path) { throw .inUse(path) }
        if errno != 0 { throw .system(SystemError("ask who listens on \(path)")) }
        if unsafe unlink(path) != 0, errno != ENOENT { throw .system(SystemError("remove the stale socket \(path)")) }
    }
}

/// Why there is no socket.
public enum SocketError: Error, CustomStringConvertible {
    case inUse(String)
    case notASocket(String)
    case system(SystemError)

    /// One sentence that says what to do.
    public var description: String {
        switch self {
        case .inUse(let path):
            "another ebeed answers on \(path): stop it first (systemctl stop ebeed), or give this one its own --socket"
        case .notASocket(let path):
            "\(path) exists and is not a socket: it is left alone; remove it or choose another --socket"
        case .system(let error): error.description
        }
    }
}
