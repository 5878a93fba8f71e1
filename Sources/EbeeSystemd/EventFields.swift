import CEvents
import EbeeRecord
import EbeeWindow

/// Events as the fields that the contract names.
extension JournalEntry {
    mutating func exec(_ record: ProcessRecord, _ bytes: RawSpan, _ users: UserNames) {
        let command = CommandLine.of(record, bytes)
        let verb = record.isFailure ? "Could not execute " : "Executed "
        start(event: "exec", id: MessageID.exec, priority: 6, message: Array(verb.utf8) + command)
        time("EBEE_TIME", record.fixed.header.time)
        if record.isFailure { field("EBEE_RESULT", EventName.result(record.fixed.result)) }
        process(record, bytes, command: command, users)
    }

    mutating func delete(_ record: DeleteRecord, _ bytes: RawSpan, by process: StoredProcess?, _ users: UserNames) {
        let fixed = record.fixed
        let path = record.path(in: bytes)
        let shown = path.map { CommandLine.text([$0[...]]) } ?? Array("a file whose name could not be read".utf8)
        let comm = CommandLine.text([bytes.copy(record.comm)[...]])
        let verb = fixed.result == 0 ? " deleted " : " could not delete "
        start(
            event: "delete", id: MessageID.delete, priority: 6,
            message: comm + Array("[\(fixed.header.pid)]\(verb)".utf8) + shown)
        time("EBEE_TIME", fixed.header.time)
        if let path { field("EBEE_PATH", path) }
        field("EBEE_HOW", EventName.how(fixed.how))
        field("EBEE_RESULT", EventName.result(fixed.result))
        if record.victimHas(EBEE_VICTIM_KNOWN) {
            field("EBEE_INODE", fixed.victim.inode)
            if !record.victimHas(EBEE_SIZE_UNKNOWN) { field("EBEE_SIZE", fixed.victim.size) }
        }
        if let process {
            let bytes = unsafe process.bytes.span.bytes
            self.process(process.record, bytes, command: CommandLine.of(process.record, bytes), users)
        } else {
            field("EBEE_PID", fixed.header.pid)
            field("EBEE_COMM", bytes.copy(record.comm))
            user(fixed.uid, users)
        }
    }

    mutating func burst(_ burst: Burst, stream: String, _ users: UserNames) {
        let from = burst.directory.map { Array(" below ".utf8) + CommandLine.text([$0[...]]) } ?? []
        start(
            event: "burst", id: MessageID.burst, priority: 5,
            message: Array("\(Self.counted(burst.count, stream)) by ".utf8) + Self.name(burst.actor) + from
                + Array(", too many to write one by one".utf8))
        field("EBEE_STREAM", stream)
        field("EBEE_COUNT", burst.count)
        time("EBEE_FROM", burst.from)
        time("EBEE_TO", burst.to)
        if let directory = burst.directory { field("EBEE_DIRECTORY", directory) }
        switch burst.actor {
        case .process(_, _, _, let process?):
            let bytes = unsafe process.bytes.span.bytes
            self.process(process.record, bytes, command: CommandLine.of(process.record, bytes), users)
        case .process(let pid, let comm, let uid, nil):
            field("EBEE_PID", pid)
            field("EBEE_COMM", comm)
            user(uid, users)
        case .children(let parent, _):
            field("EBEE_PPID", parent)
            common(burst.common, users)
        case .several: common(burst.common, users)
        }
    }

    /// What happened at least twice says so only where it was the same each time.
    private mutating func common(_ common: Common, _ users: UserNames) {
        if let comm = common.comm { field("EBEE_COMM", comm) }
        if let uid = common.uid { user(uid, users) }
        if let login = common.loginUID { field("EBEE_LOGINUID", login) }
        if let session = common.session { field("EBEE_SESSION", session) }
        if let cgroup = common.cgroup, let unit = unsafe Cgroup(cgroup.span.bytes).unit { self.unit(unit) }
    }

    private static func name(_ actor: Burst.Actor) -> [UInt8] {
        switch actor {
        case .process(let pid, let comm, _, _): CommandLine.text([comm[...]]) + Array("[\(pid)]".utf8)
        case .children(let pid, let comm):
            Array("children of ".utf8) + (comm.map { CommandLine.text([$0[...]]) } ?? []) + Array("[\(pid)]".utf8)
        case .several: Array("several processes".utf8)
        }
    }

    /// - Parameters:
    ///   - count: 0 where nobody knows how many.
    ///   - stream: nil where it concerns several.
    private static func counted(_ count: UInt64, _ stream: String?) -> String {
        let what = stream.map { $0 == "exec" ? "execution" : "deletion" } ?? "event"
        return (count == 0 ? "" : "\(count) ") + what + (count == 1 ? "" : "s")
    }

    /// - Parameters:
    ///   - missing: 0 where nobody knows how many.
    ///   - stream: nil where it concerns several.
    mutating func lost(_ missing: Missing, why: String, stream: String?) {
        let what = Self.counted(missing.count, stream)
        let message = why == "journal" ? "\(what) did not reach the journal" : "\(what) lost: \(why)"
        start(event: "lost", id: MessageID.lost, priority: 4, message: Array(message.utf8))
        if let stream { field("EBEE_STREAM", stream) }
        if missing.count > 0 { field("EBEE_COUNT", missing.count) }
        time("EBEE_FROM", missing.from)
        time("EBEE_TO", missing.to)
        field("EBEE_WHY", why)
    }

    private mutating func start(event: String, id: String, priority: Int, message: [UInt8]) {
        begin()
        field("MESSAGE", message)
        field("MESSAGE_ID", id)
        field("PRIORITY", priority)
        field("SYSLOG_IDENTIFIER", "ebeed")
        field("EBEE_EVENT", event)
    }

    private mutating func time(_ name: StaticString, _ boot: UInt64) {
        var writer = JSONWriter()
        writer.time(Clock.wall(boot: boot))
        field(name, writer.bytes)
    }

    private mutating func user(_ uid: UInt32, _ users: UserNames) {
        field("EBEE_UID", uid)
        if let name = users.name(of: uid) { field("EBEE_USER", name) }
    }

    private mutating func process(_ record: ProcessRecord, _ bytes: RawSpan, command: [UInt8], _ users: UserNames) {
        let fixed = record.fixed
        field("EBEE_PID", fixed.header.pid)
        if !record.has(EBEE_NO_PARENT) { field("EBEE_PPID", fixed.ppid) }
        field("EBEE_COMM", bytes.copy(record.comm))
        user(fixed.uid, users)
        if let path = record.executablePath(in: bytes) { field("EBEE_EXE", path) }
        if !record.has(EBEE_ARGUMENTS_UNREAD) { field("EBEE_CMDLINE", command) }
        if record.has(EBEE_DIRECTORY_KNOWN) { field("EBEE_CWD", Path.absolute(bytes.extracting(record.directory))) }
        if fixed.login_uid != EBEE_NO_ID { field("EBEE_LOGINUID", fixed.login_uid) }
        if fixed.session_id != EBEE_NO_ID { field("EBEE_SESSION", fixed.session_id) }
        if record.has(EBEE_CGROUP_KNOWN), let unit = Cgroup(bytes.extracting(record.cgroup)).unit {
            self.unit(unit)
        }
    }

    private mutating func unit(_ unit: [UInt8]) {
        field("EBEE_UNIT", unit)
        // What makes `journalctl -u UNIT` show it (systemd.journal-fields(7)).
        field("OBJECT_SYSTEMD_UNIT", unit)
    }
}

extension CommandLine {
    static func of(_ record: ProcessRecord, _ bytes: RawSpan) -> [UInt8] {
        let arguments = record.argumentRanges(in: bytes).map { bytes.copy($0)[...] }
        return text(arguments) + (record.has(EBEE_ARGUMENTS_CUT) ? Array(" …".utf8) : [])
    }
}
