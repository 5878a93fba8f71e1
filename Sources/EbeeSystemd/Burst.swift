import CEvents
import EbeeRecord
import EbeeWindow

/// Events that one entry stands for.
struct Burst {
    /// Who is behind them. Deletions are folded by the process that deletes, executions by the parent of those that execute: a
    /// build, a shell's loop.
    enum Actor {
        /// A process, as its record or the deletion's says.
        case process(pid: UInt32, comm: [UInt8], uid: UInt32, StoredProcess?)
        /// The children of a process; nil where the parent isn't known.
        case children(of: UInt32, comm: [UInt8]?)
        /// More processes than are kept apart.
        case several
    }

    let actor: Actor
    /// Where the window has the first one's record: should it stay alone, it is written as itself.
    let first: UInt64
    private(set) var count: UInt64 = 1
    /// Boot times.
    private(set) var from: UInt64
    private(set) var to: UInt64
    /// Of deletions: the directory that holds all of them.
    private(set) var directory: [UInt8]?
    /// What all the processes have in common.
    private(set) var common: Common

    init(_ actor: Actor, _ event: Folded) {
        self.actor = actor
        first = event.position
        from = event.time
        to = event.time
        directory = event.path.map(Self.parent)
        common = event.common
    }

    mutating func add(_ event: Folded) {
        count += 1
        from = min(from, event.time)
        to = max(to, event.time)
        common.narrow(to: event.common)
        guard let path = event.path, var directory else { return }
        while directory.count > 1, !Self.holds(directory, path) { directory = Self.parent(directory) }
        self.directory = directory
    }

    private static func holds(_ directory: [UInt8], _ path: [UInt8]) -> Bool {
        path.count > directory.count && path[directory.count] == UInt8(ascii: "/") && path.starts(with: directory)
    }

    private static func parent(_ path: [UInt8]) -> [UInt8] {
        let slash = path.lastIndex(of: UInt8(ascii: "/")) ?? 0
        return slash == 0 ? [UInt8(ascii: "/")] : Array(path[..<slash])
    }
}

/// What is kept of an event that is folded.
struct Folded {
    let position: UInt64
    let time: UInt64
    var path: [UInt8]?
    var common = Common()
}

/// What may be said of several processes: what is the same for all of them.
struct Common {
    var comm: [UInt8]?
    var uid: UInt32?
    var loginUID: UInt32?
    var session: UInt32?
    /// Its components, as the record has them.
    var cgroup: [UInt8]?

    mutating func narrow(to other: Common) {
        if comm != other.comm { comm = nil }
        if uid != other.uid { uid = nil }
        if loginUID != other.loginUID { loginUID = nil }
        if session != other.session { session = nil }
        if cgroup != other.cgroup { cgroup = nil }
    }
}
