import CEvents
import EbeeRecord

/// What programs recorded that are about to be detached, while those that take their place were attached too: so that an event
/// that both saw is kept once.
///
/// Both run at the same hooks, one behind the other, so the times of the two records of an event differ by what a program takes.
public final class Overlap {
    private struct Key: Hashable {
        let kind: UInt16
        let pid: UInt32
        let tid: UInt32
        let content: Int
    }

    /// Programs take microseconds, but between them an interrupt may come, or a hypervisor take the processor away. Less than what
    /// `Recorder.finish` waits between the attaching of the new and the detaching of the old: an event that the old ones
    /// alone saw and one that the new ones alone saw are never as near.
    private static let reach: UInt64 = 15_000_000

    let since: UInt64
    /// Times of those that have not been seen twice yet.
    private var times: [Key: [UInt64]] = [:]

    /// - Parameter since: boot time at which the new programs began to be attached.
    public init(since: UInt64) { self.since = since }

    /// An event of the old programs.
    public func add(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer) {
        guard header.sequence != 0, header.time >= since - min(since, Self.reach), let key = unsafe key(header, bytes)
        else {
            return
        }
        times[key, default: []].append(header.time)
    }

    /// Whether this event of the new programs is one of those, which then is none any more.
    func takes(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let key = unsafe key(header, bytes), let known = times[key] else { return false }
        let distances = known.map { $0 > header.time ? $0 - header.time : header.time - $0 }
        guard let nearest = distances.indices.min(by: { distances[$0] < distances[$1] }),
            distances[nearest] <= Self.reach
        else { return false }
        times[key]?.remove(at: nearest)
        return true
    }

    /// What is the same in both records, also where one program knows more of the file than the other.
    private func key(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer) -> Key? {
        var content = Hasher()
        let span = unsafe bytes.bytes
        switch header.kind {
        case RecordKind.exec:
            guard let record = try? ProcessRecord(span) else { return nil }
            content.combine(record.fixed.start)
            content.combine(record.fixed.result)
            content.combine(span.copy(record.arguments))
        case RecordKind.delete:
            guard let record = try? DeleteRecord(span) else { return nil }
            content.combine(record.fixed.start)
            content.combine(record.fixed.result)
            content.combine(record.fixed.how)
            content.combine(record.path(in: span))
        default: return nil
        }
        return Key(kind: header.kind, pid: header.pid, tid: header.tid, content: content.finalize())
    }
}
