import EbeeProtocol
import Glibc

/// Why there is no answer: one sentence for people, and the exit code.
struct ClientFailure: Error, Equatable {
    let message: String
    var exitCode: Int32 = 1

    /// Nothing answers on the socket, or it may not be asked.
    static func unreachable(_ socket: String, errno code: Int32) -> ClientFailure {
        if code == EACCES || code == EPERM {
            return ClientFailure(
                message: "you may not ask ebeed on \(socket) (\(describe(errno: code))); "
                    + "join the group \(Defaults.group), or use sudo")
        }
        return ClientFailure(
            message: "no ebeed answers on \(socket) (\(describe(errno: code))); "
                + "start it with: sudo systemctl start ebeed")
    }

    /// The daemon went away before its answer was complete.
    static let disconnected = ClientFailure(message: "ebeed closed the connection before its answer was complete")

    /// The daemon said goodbye.
    static let stopped = ClientFailure(message: "ebeed has stopped")

    /// The daemon refused.
    static func refused(code: String, message: String) -> ClientFailure {
        ClientFailure(message: "ebeed refused: \(message) (\(code))")
    }

    /// The daemon sent what the protocol doesn't allow.
    static func malformed(_ why: String) -> ClientFailure {
        ClientFailure(message: "ebeed sent a line that is no reply: \(why)")
    }
}
