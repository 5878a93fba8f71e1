/// A question to the daemon, as docs/protocol.md defines it.
public struct Request: Sendable, Equatable {
    /// Given back on every line of the reply.
    public var id: RequestID
    /// What is asked.
    public var query: Query

    /// A question with the id that its answer will carry.
    public init(id: RequestID, query: Query) {
        self.id = id
        self.query = query
    }

    /// The kinds of questions; there is none that changes anything.
    public enum Query: Sendable, Equatable {
        /// What happened, from the window.
        case recent(Recent)
        /// What happens from now on.
        case tail(Tail)
        /// How the daemon is.
        case status
    }
}

/// What happened within an interval.
public struct Recent: Sendable, Equatable {
    /// Which events.
    public var stream: EventStream
    /// Where the interval begins; nil for where the window begins.
    public var since: Moment?
    /// Where the interval ends; nil for now.
    public var until: Moment?
    /// Only the newest so many matches; nil for all.
    public var limit: Int?
    /// Newest first.
    public var reverse: Bool
    /// Only what matches.
    public var filter: Filter

    /// Everything in the window, unless told otherwise.
    public init(
        stream: EventStream = .all, since: Moment? = nil, until: Moment? = nil, limit: Int? = nil,
        reverse: Bool = false, filter: Filter = Filter()
    ) {
        self.stream = stream
        self.since = since
        self.until = until
        self.limit = limit
        self.reverse = reverse
        self.filter = filter
    }
}

/// What happens from now on.
public struct Tail: Sendable, Equatable {
    /// Which events.
    public var stream: EventStream
    /// Begin with the newest so many matches from the window.
    public var backlog: Int
    /// Only what matches.
    public var filter: Filter

    /// Everything from now on, unless told otherwise.
    public init(stream: EventStream = .all, backlog: Int = 0, filter: Filter = Filter()) {
        self.stream = stream
        self.backlog = backlog
        self.filter = filter
    }
}

/// Which events are asked for.
public enum EventStream: String, Sendable, CaseIterable {
    /// Executions.
    case exec
    /// Deletions.
    case deletes
    /// Both.
    case all
}

/// A point in time, as a request names it.
public enum Moment: Sendable, Equatable {
    /// Nanoseconds before now, at most ``Limits/relativeNanoseconds``; negative is after now. The daemon takes now
    /// from the clock that it orders events by, so that a step of the wall clock hides nothing.
    case ago(nanoseconds: Int64)
    /// A time of the wall clock, in nanoseconds since the epoch.
    case wall(nanoseconds: Int64)

    /// The time in nanoseconds since the epoch, given what time it is now. Saturates rather than overflows.
    public func nanoseconds(now: Int64) -> Int64 {
        switch self {
        case .wall(let nanoseconds): return nanoseconds
        case .ago(let nanoseconds):
            let (time, overflow) = now.subtractingReportingOverflow(nanoseconds)
            return overflow ? (nanoseconds > 0 ? .min : .max) : time
        }
    }
}

/// Which events match: all that is given must, and of each list one member. nil matches everything, an empty list
/// nothing. A glob is what ``Glob`` takes.
public struct Filter: Sendable, Equatable {
    /// The process.
    public var pid: [Int32]?
    /// Its parent.
    public var ppid: [Int32]?
    /// Its short name, exactly.
    public var comm: [String]?
    /// Its executable's path, by glob. Never holds a NUL, like all strings here.
    public var exe: [String]?
    /// The deleted file's path, by glob.
    public var path: [String]?
    /// Its real user.
    public var uid: [UInt32]?
    /// Its systemd unit, by glob; `nginx` is the same as `nginx.service`.
    public var unit: [String]?
    /// Also what failed.
    public var failed: Bool
    /// Only deleted files that were at least so many nanoseconds old; never negative.
    public var olderThan: Int64?

    /// Everything that succeeded, unless told otherwise.
    public init(
        pid: [Int32]? = nil, ppid: [Int32]? = nil, comm: [String]? = nil, exe: [String]? = nil,
        path: [String]? = nil, uid: [UInt32]? = nil, unit: [String]? = nil, failed: Bool = false,
        olderThan: Int64? = nil
    ) {
        self.pid = pid
        self.ppid = ppid
        self.comm = comm
        self.exe = exe
        self.path = path
        self.uid = uid
        self.unit = unit
        self.failed = failed
        self.olderThan = olderThan
    }
}

/// What a request is called by on every line of its reply: an integer, or a string of up to ``Limits/idBytes`` bytes.
public enum RequestID: Sendable, Hashable {
    /// An integer.
    case integer(Int64)
    /// A string.
    case string(String)

    /// The id as JSON, ready to be put on a line.
    public var json: [UInt8] {
        switch self {
        case .integer(let value): Array(String(value).utf8)
        case .string(let value): Array(JSON.quoted(value).utf8)
        }
    }
}
