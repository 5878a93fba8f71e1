import CEvents
import CLinux
import EbeeProtocol

/// Where a record stands in a stream's window, as a client sees it: opaque, and of this daemon's window only.
public struct EventCursor {
    let stream: Character
    let window: UInt64
    let position: UInt64

    /// A place in the window that began at boot time `window`.
    public init(stream: Character, window: UInt64, position: UInt64) {
        self.stream = stream
        self.window = window
        self.position = position
    }

    var text: String { "\(stream)-\(String(window, radix: 16))-\(String(position, radix: 16))" }
}

/// The process that a deletion's record refers to: a copy of its `EBEE_PROCESS` record.
public struct StoredProcess {
    /// The record as it was read.
    public let record: ProcessRecord
    /// Its bytes.
    public let bytes: [UInt8]

    /// Checks and reads a copy of a record.
    public init(_ bytes: [UInt8]) throws(MalformedRecord) {
        self.bytes = bytes
        _ = try unsafe RecordHeader(checking: bytes.span.bytes)
        record = try unsafe ProcessRecord(bytes.span.bytes)
    }
}

/// Events as the contract's JSON: the members of one object, without its braces, so that a reply can put its id first.
extension JSONWriter {
    /// An execution, with its exit where that is known.
    /// - Parameter scope: how much whoever asks sees.
    public mutating func exec(_ record: ProcessRecord, _ bytes: RawSpan, cursor: EventCursor, scope: Scope = .all) {
        string("event", "exec")
        time("time", Clock.wall(boot: record.fixed.header.time))
        self.cursor(cursor, scope)
        if record.isFailure { string("result", EventName.result(record.fixed.result)) }
        beginObject("process")
        let fixed = record.fixed
        process(record, bytes, Doer(tid: fixed.header.tid, uid: fixed.uid, euid: fixed.euid), scope)
        endObject()
    }

    /// A deletion and, where it is still known, the process that asked for it.
    /// - Parameter scope: how much whoever asks sees.
    public mutating func delete(
        _ record: DeleteRecord, _ bytes: RawSpan, by process: StoredProcess?, cursor: EventCursor, scope: Scope = .all
    ) {
        let fixed = record.fixed
        string("event", "delete")
        time("time", Clock.wall(boot: fixed.header.time))
        self.cursor(cursor, scope)
        string("how", EventName.how(fixed.how))
        string("via", EventName.via(fixed.via))
        string("result", EventName.result(fixed.result))
        if let source = record.source(in: bytes) {
            text("replaced_by", source, raw: "replaced_by_raw")
            if record.has(EBEE_SOURCE_BASE_CUT) { bool("replaced_by_truncated", true) }
        }
        beginObject("file")
        if let path = record.path(in: bytes) { text("path", path, raw: "path_raw") }
        if record.has(EBEE_BASE_CUT) { bool("path_truncated", true) }
        if record.victimHas(EBEE_VICTIM_KNOWN) { victim(record) }
        endObject()
        beginObject("process")
        if let process {
            let doer = Doer(tid: fixed.header.tid, uid: fixed.uid, euid: fixed.euid)
            unsafe self.process(process.record, process.bytes.span.bytes, doer, scope)
        } else {
            number("pid", fixed.header.pid)
            number("tid", fixed.header.tid)
            time("start", Clock.wall(boot: fixed.start))
            text("name", bytes.extracting(record.comm), raw: "name_raw")
            user("user", fixed.uid)
            user("effective_user", fixed.euid)
        }
        endObject()
    }

    /// - Parameters:
    ///   - stream: as events name it, `exec` or `delete`.
    ///   - scope: how much whoever asks sees.
    public mutating func lost(_ lost: ebee_lost, stream: String, scope: Scope = .all) {
        string("event", "lost")
        string("stream", stream)
        // Whose events they were isn't known; nor how many, where nobody recorded.
        if scope == .all, lost.why != EBEE_RESTART.rawValue { number("count", lost.count) }
        time("from", Clock.wall(boot: lost.from))
        time("to", Clock.wall(boot: lost.to))
        string("why", EventName.why(lost.why))
    }

    /// A cursor tells how many bytes of records there have been, whoever's they are.
    private mutating func cursor(_ cursor: EventCursor, _ scope: Scope) {
        if scope == .all { string("cursor", cursor.text) }
    }

    private mutating func user(_ key: StaticString, _ id: UInt32) {
        beginObject(key)
        number("id", id)
        endObject()
    }

    private mutating func victim(_ record: DeleteRecord) {
        let victim = record.fixed.victim
        string("type", EventName.fileType(victim.mode))
        number("inode", victim.inode)
        string("device", "\(victim.device >> 20):\(victim.device & 0xfffff)")
        if !record.victimHas(EBEE_SIZE_UNKNOWN) { number("size", victim.size) }
        let octal = String(victim.mode & 0o7777, radix: 8)
        string("mode", String(repeating: "0", count: max(0, 4 - octal.utf8.count)) + octal)
        number("owner", victim.owner)
        number("group", victim.group)
        if record.victimHas(EBEE_LINKS_KNOWN) { number("links", victim.links) }
        if let modified = record.modified { time("mtime", modified) }
        if let created = record.created { time("created", created) }
    }

    /// The thread of a process that did it, and as whom: another one may be somebody else.
    private struct Doer {
        let tid: UInt32
        let uid: UInt32
        let euid: UInt32
    }

    private mutating func process(_ record: ProcessRecord, _ bytes: RawSpan, _ doer: Doer, _ scope: Scope) {
        let fixed = record.fixed
        number("pid", fixed.header.pid)
        number("tid", doer.tid)
        time("start", Clock.wall(boot: fixed.start))
        text("name", bytes.extracting(record.comm), raw: "name_raw")
        if let path = record.executablePath(in: bytes) {
            text("executable", path, raw: "executable_raw")
            if record.has(EBEE_EXECUTABLE_CUT) { bool("executable_truncated", true) }
        }
        arguments(record, bytes)
        if record.has(EBEE_DIRECTORY_KNOWN) {
            let path = Path.absolute(bytes.extracting(record.directory))
            text("working_directory", path, raw: "working_directory_raw")
            if record.has(EBEE_DIRECTORY_CUT) { bool("working_directory_truncated", true) }
        }
        ancestors(record, bytes, scope)
        user("user", doer.uid)
        user("effective_user", doer.euid)
        user("group", fixed.gid)
        if fixed.login_uid != EBEE_NO_ID { user("login_user", fixed.login_uid) }
        if fixed.session_id != EBEE_NO_ID { number("session_id", fixed.session_id) }
        if !record.tty.isEmpty { text("tty", bytes.extracting(record.tty), raw: "tty_raw") }
        if record.has(EBEE_CGROUP_KNOWN) { cgroup(record, bytes) }
        beginObject("namespaces")
        number("pid", fixed.pid_namespace)
        number("mnt", fixed.mnt_namespace)
        endObject()
        if record.has(EBEE_INTERPRETER_KNOWN) {
            text("interpreter", bytes.extracting(record.interpreter), raw: "interpreter_raw")
        }
        if let exit = ProcessExit(fixed) {
            switch exit.status {
            case .code(let code): number("exit_code", code)
            case .signal(let signal): number("exit_signal", signal)
            }
            number("duration_ns", exit.duration)
        }
    }

    private mutating func arguments(_ record: ProcessRecord, _ bytes: RawSpan) {
        if !record.has(EBEE_ARGUMENTS_UNREAD) {
            let ranges = record.argumentRanges(in: bytes)
            var isText = true
            beginArray("args")
            for range in ranges where !text(bytes.extracting(range)) { isText = false }
            endArray()
            if !isText {
                beginArray("args_raw")
                for range in ranges { raw(bytes.extracting(range)) }
                endArray()
            }
        }
        if let count = record.argumentCount(in: bytes) { number("args_count", count) }
        if record.has(EBEE_ARGUMENTS_CUT) { bool("args_truncated", true) }
        if record.has(EBEE_ARGUMENTS_REDACTED) { bool("args_redacted", true) }
    }

    private mutating func ancestors(_ record: ProcessRecord, _ bytes: RawSpan, _ scope: Scope) {
        guard record.fixed.ancestors > 0 else { return }
        beginObject("parent")
        if scope == .own {
            // What getppid(2) told the process itself. Who its ancestors ran as, the record doesn't say.
            number("pid", record.ancestor(0, in: bytes).pid)
            endObject()
            return
        }
        ancestor(record.ancestor(0, in: bytes), bytes)
        endObject()
        beginArray("ancestors")
        for index in 0..<Int(record.fixed.ancestors) {
            beginObject()
            ancestor(record.ancestor(index, in: bytes), bytes)
            endObject()
        }
        endArray()
    }

    private mutating func ancestor(_ ancestor: (pid: UInt32, comm: Range<Int>), _ bytes: RawSpan) {
        number("pid", ancestor.pid)
        text("name", bytes.extracting(ancestor.comm), raw: "name_raw")
    }

    private mutating func cgroup(_ record: ProcessRecord, _ bytes: RawSpan) {
        let cgroup = Cgroup(bytes.extracting(record.cgroup))
        text("cgroup", cgroup.path, raw: "cgroup_raw")
        if record.has(EBEE_CGROUP_CUT) { bool("cgroup_truncated", true) }
        if let unit = cgroup.unit { text("unit", unit, raw: "unit_raw") }
        if let container = cgroup.container {
            beginObject("container")
            text("id", container)
            endObject()
        }
    }
}

/// How a process ended, once that is known.
public struct ProcessExit {
    /// As wait(2) tells it.
    public enum Status {
        case code(UInt32)
        case signal(UInt32)
    }
    /// Its exit code, or the signal that killed it.
    public let status: Status
    /// Nanoseconds from the execution to the exit.
    public let duration: UInt64

    /// Nil while the process runs. Both fields are checked because the daemon stores them one after the other into a record
    /// that others may be copying.
    public init?(_ fixed: ebee_process) {
        guard fixed.exit_status & UInt32(EBEE_EXITED) != 0, fixed.exit_duration > 0 else { return nil }
        let signal = fixed.exit_status & 0x7f
        status = signal == 0 ? .code(fixed.exit_status >> 8 & 0xff) : .signal(signal)
        duration = fixed.exit_duration
    }
}

/// The contract's words for the numbers in a record.
public enum EventName {
    /// `unlink`, `rmdir` or `rename`.
    public static func how(_ how: UInt16) -> String {
        switch UInt32(how) {
        case EBEE_UNLINK.rawValue: "unlink"
        case EBEE_RMDIR.rawValue: "rmdir"
        case EBEE_RENAME.rawValue: "rename"
        default: "unknown"
        }
    }

    /// `syscall` or `io_uring`.
    public static func via(_ via: UInt16) -> String {
        switch UInt32(via) {
        case EBEE_SYSCALL.rawValue: "syscall"
        case EBEE_IO_URING.rawValue: "io_uring"
        default: "unknown"
        }
    }

    /// `success`, or the name of the errno.
    public static func result(_ result: Int32) -> String {
        if result == 0 { return "success" }
        guard let name = unsafe ebee_errno_name(0 &- result) else { return "errno \(result.magnitude)" }
        return unsafe String(cString: name)
    }

    /// Why events are missing.
    public static func why(_ why: UInt32) -> String {
        switch why {
        case EBEE_RING_FULL.rawValue: "ring_full"
        case EBEE_MISSED.rawValue: "missed"
        case EBEE_EVICTED.rawValue: "evicted"
        case EBEE_RESTART.rawValue: "restart"
        default: "unknown"
        }
    }

    /// From st_mode (inode(7)).
    static func fileType(_ mode: UInt32) -> String {
        switch mode & 0o170000 {
        case 0o100000: "file"
        case 0o040000: "directory"
        case 0o120000: "symlink"
        case 0o010000: "fifo"
        case 0o140000: "socket"
        case 0o060000: "block_device"
        case 0o020000: "char_device"
        default: "unknown"
        }
    }
}
