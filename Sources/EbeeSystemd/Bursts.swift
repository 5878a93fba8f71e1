import CEvents
import EbeeRecord
import EbeeWindow

/// The events of a stream that are folded at the moment, by who is behind them. Nothing that is given to it gets lost: what has no
/// burst of its own goes to the one of several processes.
struct Bursts {
    private struct Key: Hashable {
        let pid: UInt32
        let start: UInt64
    }

    /// Losses in the kernel that one entry stands for.
    struct Loss {
        let why: UInt32
        var missing: Missing
    }

    /// Most processes that are kept apart.
    static let limit = 256

    /// Since when (boot time) events are folded; nil while each is written by itself.
    private(set) var since: UInt64?
    /// How many events were folded since then.
    private(set) var count: UInt64 = 0
    /// The earliest first; that of several processes is one of them.
    private(set) var all: [Burst] = []
    private(set) var losses: [Loss] = []
    /// What was given up in the window meanwhile.
    var missing = Missing()
    /// Some of what was folded since then is in the journal already.
    private(set) var isPartlyWritten = false
    private var indices: [Key: Int] = [:]
    private var several: Int?

    var isOpen: Bool { since != nil }
    /// When the earliest of the events happened.
    var from: UInt64? { all.map(\.from).min() }

    mutating func open(at now: UInt64) {
        if since == nil { since = now }
    }

    mutating func close() { self = Bursts() }

    /// Forgets the first burst: it is in the journal, or counted as missing.
    mutating func dropBurst() {
        isPartlyWritten = true
        all.removeFirst()
        indices = indices.compactMapValues { $0 == 0 ? nil : $0 - 1 }
        several = several.flatMap { $0 == 0 ? nil : $0 - 1 }
    }

    /// Likewise the first loss.
    mutating func dropLoss() {
        isPartlyWritten = true
        losses.removeFirst()
    }

    /// - Parameter limit: how many processes are kept apart.
    mutating func add(_ header: RecordHeader, _ bytes: RawSpan, at position: UInt64, _ window: Window, limit: Int) {
        switch header.kind {
        case RecordKind.lost: add(bytes.head(ebee_lost.self))
        case RecordKind.exec:
            guard let record = try? ProcessRecord(bytes) else { return addNameless(header, position) }
            let event = Folded(position: position, time: header.time, common: Common(record, bytes))
            let parent = record.has(EBEE_NO_PARENT) ? nil : record.fixed.ppid
            add(event, Key(pid: parent ?? 0, start: 0), limit) {
                guard let parent else { return .several }
                let comm = record.fixed.ancestors > 0 ? bytes.copy(record.ancestor(0, in: bytes).comm) : nil
                return .children(of: parent, comm: comm)
            }
        case RecordKind.delete:
            guard let record = try? DeleteRecord(bytes) else { return addNameless(header, position) }
            let event = Folded(
                position: position, time: header.time, path: record.path(in: bytes), common: Common(record, bytes))
            add(event, Key(pid: header.pid, start: record.fixed.start), limit) {
                let process = window.copy(at: record.fixed.process).flatMap { try? StoredProcess($0) }
                return .process(pid: header.pid, comm: bytes.copy(record.comm), uid: record.fixed.uid, process)
            }
        default: addNameless(header, position)
        }
    }

    private mutating func add(_ event: Folded, _ key: Key, _ limit: Int, actor: () -> Burst.Actor) {
        if let index = indices[key] {
            count += 1
            return all[index].add(event)
        }
        guard indices.count < limit else { return addToSeveral(event) }
        count += 1
        indices[key] = all.count
        all.append(Burst(actor(), event))
    }

    private mutating func addNameless(_ header: RecordHeader, _ position: UInt64) {
        addToSeveral(Folded(position: position, time: header.time))
    }

    private mutating func addToSeveral(_ event: Folded) {
        count += 1
        if let several { return all[several].add(event) }
        several = all.count
        all.append(Burst(.several, event))
    }

    private mutating func add(_ mark: ebee_lost) {
        if let index = losses.firstIndex(where: { $0.why == mark.why }) {
            losses[index].missing.add(mark.count, from: mark.from, to: mark.to)
        } else {
            var missing = Missing()
            missing.add(mark.count, from: mark.from, to: mark.to)
            losses.append(Loss(why: mark.why, missing: missing))
        }
    }
}

extension Common {
    fileprivate init(_ record: ProcessRecord, _ bytes: RawSpan) {
        let fixed = record.fixed
        comm = bytes.copy(record.comm)
        uid = fixed.uid
        loginUID = fixed.login_uid == EBEE_NO_ID ? nil : fixed.login_uid
        session = fixed.session_id == EBEE_NO_ID ? nil : fixed.session_id
        cgroup = record.has(EBEE_CGROUP_KNOWN) ? bytes.copy(record.cgroup) : nil
    }

    fileprivate init(_ record: DeleteRecord, _ bytes: RawSpan) {
        comm = bytes.copy(record.comm)
        uid = record.fixed.uid
    }
}
