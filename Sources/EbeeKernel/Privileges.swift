import CLinux
import EbeeRecord
import Glibc

/// Giving up what only the start needs. Once programs are attached and their maps are mapped, draining, answering and writing
/// to the journal need no right that an ordinary process lacks.
public enum Privileges {
    /// The calling thread, and all that it starts from then on, keeps no capability and can't gain one. On Linux each thread
    /// has its own.
    public static func dropCapabilities() throws(SystemError) {
        if ebee_drop_capabilities() != 0 { throw SystemError("give up capabilities") }
    }

    /// Every thread of the process is refused what ebeed never needs again: the list is in privileges.c. After
    /// `dropCapabilities`, which alone leaves much to who is still root: root owns most files.
    public static func refuseCalls() throws(SystemError) {
        let result = ebee_refuse_calls()
        if result < 0 { throw SystemError("limit system calls") }
        if result > 0 { throw SystemError("limit the system calls of thread \(result)", errno: EBUSY) }
    }
}
