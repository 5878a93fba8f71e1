import CEvents
import EbeeProtocol
import EbeeRecord
import EbeeWindow

/// A request's filter, applied to records as the kernel wrote them: text is made only of what matches.
struct Matcher: Sendable {
    private let filter: Filter
    private let executables: [Glob]?
    private let paths: [Glob]?
    private let units: [Glob]?
    /// Names as long as the kernel keeps them.
    private let comms: [[UInt8]]?

    init(_ filter: Filter) {
        self.filter = filter
        executables = filter.exe?.map { Glob($0) }
        paths = filter.path?.map { Glob($0) }
        units = filter.unit?.map { unit in
            let hasSuffix = [".service", ".scope", ".socket", ".mount", ".swap", "*"].contains { unit.hasSuffix($0) }
            return Glob(hasSuffix ? unit : unit + ".service")
        }
        comms = filter.comm?.map { Array($0.utf8.prefix(Int(EBEE_COMM_LENGTH) - 1)) }
    }

    func matches(_ record: ProcessRecord, _ bytes: RawSpan) -> Bool {
        if record.isFailure, !filter.failed { return false }
        if filter.path != nil || filter.olderThan != nil { return false }
        return matchesIdentity(pid: record.fixed.header.pid, uid: record.fixed.uid, record.comm, bytes)
            && matchesProcess(record, bytes)
    }

    /// - Parameter process: looked up only when the filter needs it.
    func matches(_ record: DeleteRecord, _ bytes: RawSpan, by process: () -> StoredProcess?) -> Bool {
        if record.fixed.result != 0, !filter.failed { return false }
        guard matchesIdentity(pid: record.fixed.header.pid, uid: record.fixed.uid, record.comm, bytes) else {
            return false
        }
        if let paths {
            guard let path = record.path(in: bytes), Self.matches(path, paths) else { return false }
        }
        if let age = filter.olderThan {
            guard let born = record.created ?? record.modified else { return false }
            // The file's owner may have set a time that is so far off that the difference doesn't fit.
            let (reached, overflow) = Clock.wall(boot: record.fixed.header.time).subtractingReportingOverflow(born)
            if overflow ? born > 0 : reached < age { return false }
        }
        if filter.ppid == nil, filter.exe == nil, units == nil { return true }
        guard let process = process() else { return false }
        return unsafe matchesProcess(process.record, process.bytes.span.bytes)
    }

    private func matchesIdentity(pid: UInt32, uid: UInt32, _ comm: Range<Int>, _ bytes: RawSpan) -> Bool {
        if let pids = filter.pid, !pids.contains(Int32(bitPattern: pid)) { return false }
        if let uids = filter.uid, !uids.contains(uid) { return false }
        if let comms, !comms.contains(bytes.copy(comm)) { return false }
        return true
    }

    private func matchesProcess(_ record: ProcessRecord, _ bytes: RawSpan) -> Bool {
        if let ppids = filter.ppid {
            guard !record.has(EBEE_NO_PARENT), ppids.contains(Int32(bitPattern: record.fixed.ppid)) else {
                return false
            }
        }
        if let executables {
            guard let path = record.executablePath(in: bytes), Self.matches(path, executables) else { return false }
        }
        if let units {
            guard record.has(EBEE_CGROUP_KNOWN), let unit = Cgroup(bytes.extracting(record.cgroup)).unit else {
                return false
            }
            if !Self.matches(unit, units) { return false }
        }
        return true
    }

    private static func matches(_ bytes: [UInt8], _ globs: [Glob]) -> Bool {
        globs.contains { $0.matches(bytes) }
    }
}
