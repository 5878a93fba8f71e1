import CEvents
import CSystemd
import EbeeProtocol
import EbeeTestSupport
import Foundation

@testable import EbeeRecord
@testable import EbeeServer
@testable import EbeeSystemd

/// A record as the kernel's ring would hand it over: it is read, or refused, and what is read makes a line of JSON and an entry of the
/// journal whatever is in it.
///
/// The first byte is the kind. With its highest bit, the rest is the record as it is; otherwise the size is put right, since few of a
/// fuzzer's would be.
@Sendable func recordTarget(_ input: Input) {
    var input = input
    let bytes = record(&input, all: true)
    let raw = unsafe bytes.span.bytes
    guard let header = try? RecordHeader(checking: raw) else { return }
    require(Int(header.size) == bytes.count, "a record of another size than it says")
    let cursor = EventCursor(stream: "e", window: 1, position: 64)
    let users = UserNames.shared
    for scope in [Scope.all, .own] {
        var line = JSONWriter()
        line.beginObject()
        switch header.kind {
        case RecordKind.exec, RecordKind.process:
            guard let record = try? ProcessRecord(raw) else { return }
            line.exec(record, raw, cursor: cursor, scope: scope)
            var entry = JournalEntry()
            entry.exec(record, raw, users)
            _ = entry.send()
            for filter in filters { _ = filter.matches(record, raw) }
        case RecordKind.delete:
            guard let record = try? DeleteRecord(raw) else { return }
            // Who deletes: nobody known, and somebody.
            let deleter = try? StoredProcess(ProcessFields().bytes)
            line.delete(record, raw, by: scope == .all ? deleter : nil, cursor: cursor, scope: scope)
            var entry = JournalEntry()
            entry.delete(record, raw, by: scope == .all ? deleter : nil, users)
            _ = entry.send()
            for filter in filters { _ = filter.matches(record, raw) { deleter } }
        case RecordKind.lost:
            line.lost(raw.head(ebee_lost.self), stream: "exec", scope: scope)
        default: return
        }
        line.endObject()
        _ = parsedAlike(line.bytes)
    }
}

/// A record of the kind that the next byte says.
func record(_ input: inout Input, all: Bool = false) -> [UInt8] {
    let kind = input.byte()
    var bytes = all ? input.all() : input.string()
    if kind & 0x80 != 0 { return bytes }
    bytes += Array(repeating: 0, count: max(32 - bytes.count, 0))
    bytes += Array(repeating: 0, count: (8 - bytes.count % 8) % 8)
    bytes.put(UInt32(bytes.count), at: 0)
    bytes.put(UInt16(kind % 6), at: 4)
    return bytes
}

private let filters = [
    Matcher(Filter(failed: true)),
    Matcher(Filter(exe: ["*"], path: ["/*/a?b*"], unit: ["*"], failed: true, olderThan: 1)),
    Matcher(Filter(ppid: [1], comm: ["rm"], exe: ["/usr/*"], unit: ["ci"])),
]

extension UserNames {
    /// Names are looked up once.
    fileprivate static var shared: UserNames { UserNames() }
}

/// In the place of libsystemd's, which would hand the entry to the journal: no field but ours, each once, and a message of one line.
@_cdecl("sd_journal_sendv") public func journal(_ vectors: UnsafePointer<iovec>, _ count: Int32) -> Int32 {
    var names: Set<String> = []
    for index in 0..<Int(count) {
        let vector = unsafe vectors[index]
        let field = unsafe Array(UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len))
        guard let equals = field.firstIndex(of: UInt8(ascii: "=")) else { fatalError("a field without a name") }
        let name = String(decoding: field[..<equals], as: UTF8.self)
        require(journalFields.contains(name), "a field \(name)")
        require(names.insert(name).inserted, "two fields \(name)")
        if name == "MESSAGE" || name == "EBEE_CMDLINE" {
            require(!field.contains { $0 < 0x20 || $0 == 0x7f }, "a control character in \(name)")
        }
    }
    require(names.isSuperset(of: ["MESSAGE", "MESSAGE_ID", "EBEE_EVENT", "EBEE_TIME"]), "an entry without \(names)")
    return 0
}

private let journalFields: Set<String> = [
    "MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER", "EBEE_EVENT", "EBEE_TIME", "EBEE_RESULT", "EBEE_PATH",
    "EBEE_HOW",
    "EBEE_INODE", "EBEE_SIZE", "EBEE_PID", "EBEE_PPID", "EBEE_COMM", "EBEE_UID", "EBEE_USER", "EBEE_EXE",
    "EBEE_CMDLINE",
    "EBEE_CWD", "EBEE_LOGINUID", "EBEE_SESSION", "EBEE_UNIT", "OBJECT_SYSTEMD_UNIT",
]
