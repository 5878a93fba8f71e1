import CLinux
import Glibc

/// Something that the kernel, or a library in its name, refused: the operation, the thing and the errno.
public struct SystemError: Error, CustomStringConvertible {
    /// For example `attach rmdetect: tp/syscalls/sys_enter_unlink`.
    public let operation: String
    /// Positive.
    public let errno: Int32

    /// - Parameter errno: either sign, as libbpf and libsystemd return them.
    public init(_ operation: String, errno: Int32 = Glibc.errno) {
        self.operation = operation
        self.errno = abs(errno)
    }

    /// Operation, symbol and words, in one line.
    public var description: String {
        let name = unsafe ebee_errno_name(errno).map { unsafe String(cString: $0) } ?? "errno \(errno)"
        return unsafe "\(operation): \(name) (\(String(cString: strerror(errno))))"
    }
}
