import EbeeRecord
import Glibc

/// ebeed, executed once more as a child, for what the daemon can't do itself.
enum OwnChild {
    /// Starts it.
    /// - Parameters:
    ///   - arguments: all but the name.
    ///   - input: what it reads; its own standard input where there is none.
    ///   - output: what it writes to; its own standard output where there is none.
    ///   - errors: likewise.
    static func start(
        _ arguments: [String], input: Int32? = nil, output: Int32? = nil, errors: Int32? = nil
    ) throws(SystemError) -> pid_t {
        let pointers = unsafe (["ebeed"] + arguments).map { unsafe strdup($0) }
        defer { unsafe pointers.forEach { unsafe free($0) } }
        var files = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&files)
        defer { unsafe posix_spawn_file_actions_destroy(&files) }
        for (file, standard) in [(input, STDIN_FILENO), (output, STDOUT_FILENO), (errors, STDERR_FILENO)] {
            if let file { unsafe posix_spawn_file_actions_adddup2(&files, file, standard) }
        }
        var child: pid_t = 0
        // By its path, so that the child has its name; by the link itself where an upgrade has replaced it, or where the path
        // leads through a directory that is closed to who has no capabilities.
        let link = "/proc/self/exe"
        var error = ENOENT
        for program in [path(of: link), link] where error != 0 {
            error = unsafe posix_spawn(&child, program, &files, nil, pointers + [nil], environ)
        }
        if error != 0 { throw SystemError("execute \(link)", errno: error) }
        return child
    }

    private static func path(of link: String) -> String {
        guard let path = unsafe realpath(link, nil) else { return link }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }
}
