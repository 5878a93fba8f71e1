import CEvents
import EbeeRecord

/// What programs recorded that are now detached, while those that took their place were attached too: so that an event
/// that both saw is kept once.
///
/// Until the old programs are detached, they see everything, and their word counts: what the new ones saw by then is known.
/// Only near that moment an event may have been seen by either alone. There, what both saw of one thread and one file or
/// program is told apart by its order: times won't do, as a program takes about as long as the next event does to come, and
/// between the two an interrupt may come, or a hypervisor take the processor away. The order begins behind
/// the longest pause, where there is no doubt which event is which.
final class Overlap {
    /// How long after the new programs are attached the old ones stay.
    static let length: UInt64 = 100_000_000
    /// Two records of one event are never as far apart.
    private static let reach: UInt64 = 60_000_000

    private struct Key: Hashable {
        let kind: UInt16
        let pid: UInt32
        let tid: UInt32
        let content: Int
    }

    /// What the old programs saw of one thread and one file or program.
    fileprivate struct Seen {
        var times: [UInt64] = []
        /// Where the order begins: in the middle of the longest pause, and the first event behind that.
        var pause: UInt64 = 0
        var next = 0
    }

    /// Boot time until which the old programs saw everything for certain. Then they are detached one after the other, which takes
    /// its time: some still see what others miss.
    private let certain: UInt64
    private var seen: [Key: Seen] = [:]
    /// - Parameters:
    ///   - window: what the old programs recorded.
    ///   - attached: boot time from which on the new programs were attached.
    init(_ window: Window, attached: UInt64) {
        // What the window gave up meanwhile they saw, and it is no pause.
        let from = max(attached, window.coveredSince)
        certain = max(from, attached &+ Self.length)
        var end = certain
        for segment in window.segments where window.lastTime(of: segment) >= attached {
            _ = unsafe window.walk(segment) { header, bytes, _ in
                guard header.sequence != 0, header.time >= attached, let key = unsafe key(header, bytes) else { return }
                seen[key, default: Seen()].times.append(header.time)
                end = max(end, header.time)
            }
        }
        for key in seen.keys { seen[key]?.findPause(from: from, to: end) }
    }

    /// Whether the old programs saw this event of the new ones, which come here in their order.
    func takes(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer) -> Bool {
        if let key = unsafe key(header, bytes), let known = seen[key] {
            if header.time < known.pause { return true }
            if known.next < known.times.count {
                seen[key]?.next += 1
                return true
            }
        }
        return header.time < certain && certain - header.time > Self.reach
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
            // Not the arguments: how much of them is kept may have been set anew.
            content.combine(span.copy(record.executable))
            content.combine(span.copy(record.interpreter))
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

extension Overlap.Seen {
    fileprivate mutating func findPause(from: UInt64, to: UInt64) {
        var longest: UInt64 = 0
        var last = from
        for (index, time) in (times + [to]).enumerated() {
            if time > last, time - last > longest {
                longest = time - last
                pause = last + longest / 2
                next = index
            }
            last = max(last, time)
        }
    }
}
