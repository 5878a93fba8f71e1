import Glibc

/// One way to delete or to execute: what is there before, what is done, and what must be reported.
///
/// In every text, `{}` is the route's own directory, `{act}` the program that acts and `{chain}` the directory that
/// ``Step/chain(depth:bytes:)`` made. `%FF` is a byte, and a word that is only `%` is empty.
struct Route {
    enum Group: String { case deletions, executions }
    enum Filesystem { case tmpfs, ext4 }

    let name: String
    let group: Group
    /// Where its directory is.
    var filesystem = Filesystem.tmpfs
    /// What is there before.
    var made: [Step] = []
    /// What ebee-act is told (Tests/ebee-act/main.c), in words.
    let command: String
    /// What comes of the last thing it does.
    var errno: Int32 = 0
    /// Every event of the process that acts, and every event of a path in the directory, in their order.
    let expected: [Expected]
    /// What acts, when it isn't ebee-act from where it is.
    var program = "{act}"
    /// Words of the sentence in `cannot_see` that excuses when an event is not there.
    var unseen: [String] = []
    /// Words of the sentence that excuses when its path is another.
    var misplaced: [String] = []
    /// What an old or small kernel says to it: then the route is skipped, because it can't be made here.
    var refusals: [Int32] = []
    /// The process is there before the daemon.
    var isOlder = false
    /// It takes so long that others are made meanwhile.
    var isLong = false

    /// A route that deletes, or that only looks as if.
    static func deletion(
        _ name: String, on filesystem: Filesystem = .tmpfs, _ made: [Step] = [], _ command: String,
        fails errno: Int32 = 0,
        _ expected: [Expected], program: String = "{act}", unseen: [String] = [],
        misplaced: [String] = [], refusals: [Int32] = [], isOlder: Bool = false
    ) -> Route {
        Route(
            name: name, group: .deletions, filesystem: filesystem, made: made, command: command, errno: errno,
            expected: expected, program: program, unseen: unseen, misplaced: misplaced, refusals: refusals,
            isOlder: isOlder)
    }

    /// A route that executes; that ebee-act itself was executed is expected without being said.
    static func execution(
        _ name: String, _ made: [Step] = [], _ command: String, fails errno: Int32 = 0, _ expected: [Expected],
        program: String = "{act}", unseen: [String] = [], refusals: [Int32] = [], isLong: Bool = false
    ) -> Route {
        Route(
            name: name, group: .executions, made: made, command: command, errno: errno, expected: expected,
            program: program, unseen: unseen, refusals: refusals, isLong: isLong)
    }
}

/// One thing that is made before a route is gone; names are seen from its directory.
enum Step {
    /// Four bytes of content, so that a size of zero is no accident.
    case file(String, mode: mode_t = 0o644, owner: uid_t = 0)
    case directory(String, mode: mode_t = 0o755)
    case link(String, to: String)
    case symlink(String, to: String)
    case fifo(String)
    case socket(String)
    case device(String)
    case text(String, String)
    /// The smallest program that there is: it ends with the number of its arguments.
    case program(String, mode: mode_t = 0o755, owner: uid_t = 0, machine: TinyProgram.Machine = .native)
    /// A copy of ebee-act.
    case actor(String)
    /// Directories in directories: so many, or so that a path of so many bytes ends in `/x`.
    case chain(depth: Int = 0, bytes: Int = 0)
    case tmpfs(String)
    case readOnly(String)
    case bind(String, at: String)
    /// `merged` of `lower` and `upper`, which are there before.
    case overlay
    /// A cgroup of this path; `{cgroup}` is its directory.
    case cgroup(String, Cgroups.Version)
}

/// One event, as `ebeectl … -o json` must print it. What is nil must be absent or is not looked at, as `Judge` says.
struct Expected {
    enum Kind { case deletion, execution }
    enum Victim { case file, directory, symlink, fifo, socket, char_device }

    let kind: Kind
    var how = ""
    var path = ""
    var via = "syscall"
    var replacedBy: String?
    var type = Victim.file
    /// Words of the sentence that excuses when what the file was is not known.
    var factsUnknown: [String] = []

    var executable = ""
    var arguments = ""
    /// In place of `arguments`: these and so many bytes' worth of `x`, as `many-arguments` makes them.
    var manyArguments: (count: Int, length: Int)?
    var directory: String?
    var interpreter: String?
    var effectiveUser = 0
    /// What came of it, where it isn't what came of the last.
    var errno: Int32?
    /// In nanoseconds, at least.
    var duration = 0

    var unit: String?
    var container: String?
    var cgroup: String?

    /// A name that unlink takes away.
    static func unlink(
        _ path: String, _ type: Victim = .file, via: String = "syscall", factsUnknown: [String] = [],
        unit: String? = nil,
        container: String? = nil, cgroup: String? = nil
    ) -> Expected {
        Expected(
            kind: .deletion, how: "unlink", path: path, via: via, type: type, factsUnknown: factsUnknown, unit: unit,
            container: container, cgroup: cgroup)
    }

    static func rmdir(_ path: String, via: String = "syscall", factsUnknown: [String] = []) -> Expected {
        Expected(kind: .deletion, how: "rmdir", path: path, via: via, type: .directory, factsUnknown: factsUnknown)
    }

    /// What a rename replaces.
    static func rename(
        _ path: String, by other: String, _ type: Victim = .file, via: String = "syscall", factsUnknown: [String] = []
    ) -> Expected {
        Expected(
            kind: .deletion, how: "rename", path: path, via: via, replacedBy: other, type: type,
            factsUnknown: factsUnknown)
    }

    static func run(
        _ executable: String, _ arguments: String, directory: String? = nil, interpreter: String? = nil,
        effectiveUser: Int = 0, fails errno: Int32? = nil, lived duration: Int = 0, unit: String? = nil,
        container: String? = nil,
        cgroup: String? = nil
    ) -> Expected {
        Expected(
            kind: .execution, executable: executable, arguments: arguments, directory: directory,
            interpreter: interpreter, effectiveUser: effectiveUser, errno: errno, duration: duration, unit: unit,
            container: container, cgroup: cgroup)
    }

    /// `many-arguments` of ebee-act.
    static func runMany(_ count: Int, length: Int, as executable: String = "{act}") -> Expected {
        Expected(kind: .execution, executable: executable, manyArguments: (count, length))
    }
}
