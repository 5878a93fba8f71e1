import CEvents
import EbeeRecord
import EbeeWindow

/// Events of one process that one entry stands for.
struct Burst {
    let pid: UInt32
    let comm: [UInt8]
    let uid: UInt32
    let process: StoredProcess?
    let from: UInt64
    var to: UInt64
    var count: UInt64
    /// Of deletions: the directory that holds all of them.
    var directory: [UInt8]?
}

/// The bursts that are being gathered, by process. Bounded: where it is full, they are written and it starts anew.
struct Bursts {
    private struct Key: Hashable {
        let pid: UInt32
        let start: UInt64
    }

    private static let limit = 256
    private var bursts: [Key: Burst] = [:]

    var isOpen: Bool { !bursts.isEmpty }
    var isFull: Bool { bursts.count >= Self.limit }

    mutating func add(_ header: RecordHeader, _ bytes: RawSpan, _ window: Window) {
        switch header.kind {
        case RecordKind.exec:
            guard let record = try? ProcessRecord(bytes),
                let stored = try? StoredProcess(bytes.copy(0..<bytes.byteCount))
            else { return }
            // Executions of one parent belong together: a build, a shell's loop.
            let key = Key(pid: record.fixed.ppid, start: 0)
            if bursts[key] == nil {
                bursts[key] = Burst(
                    pid: header.pid, comm: bytes.copy(record.comm), uid: record.fixed.uid, process: stored,
                    from: header.time, to: header.time, count: 0)
            }
            bursts[key]?.extend(header.time, nil)
        case RecordKind.delete:
            guard let record = try? DeleteRecord(bytes) else { return }
            let key = Key(pid: header.pid, start: record.fixed.start)
            let path = record.path(in: bytes)
            if bursts[key] == nil {
                bursts[key] = Burst(
                    pid: header.pid, comm: bytes.copy(record.comm), uid: record.fixed.uid,
                    process: window.copy(at: record.fixed.process).flatMap { try? StoredProcess($0) },
                    from: header.time, to: header.time, count: 0, directory: path.map(Self.parent))
            }
            bursts[key]?.extend(header.time, path)
        default: return
        }
    }

    /// Hands over what was gathered, the earliest first.
    mutating func close() -> [Burst] {
        defer { bursts.removeAll() }
        return bursts.values.sorted { $0.from < $1.from }
    }

    static func parent(_ path: [UInt8]) -> [UInt8] {
        let slash = path.lastIndex(of: UInt8(ascii: "/")) ?? 0
        return slash == 0 ? [UInt8(ascii: "/")] : Array(path[..<slash])
    }
}

extension Burst {
    fileprivate mutating func extend(_ time: UInt64, _ path: [UInt8]?) {
        count += 1
        to = max(to, time)
        guard let path, var common = directory else { return }
        while common.count > 1,
            !(path.count > common.count && path.starts(with: common) && path[common.count] == UInt8(ascii: "/"))
        {
            common = Bursts.parent(common)
        }
        directory = common
    }
}
