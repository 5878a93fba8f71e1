import CEvents
import EbeeRecord

/// What programs recorded that are now detached, while those that took their place were attached too: so that an event
/// that both saw is kept once.
///
/// For a while the word of the old programs counts: what the new ones saw by then was recorded, or counted as missed. Until the old ones are
/// detached, as much later, what they miss is no longer counted, for the new ones see it; and as they are, an event may be seen by
/// either alone. There, what both saw of one thread and one file or
/// program is told apart by its order: times won't do, as a program takes about as long as the next event does to come, and
/// between the two an interrupt may come, or a hypervisor take the processor away. The order begins behind
/// the longest pause, where there is no doubt which event is which.
final class Overlap {
    /// How long after the new programs are attached the word of the old ones counts.
    static let length: UInt64 = 100_000_000
    /// Two records of one event are hardly ever as far apart: what one set alone saw must not stand for a later event.
    private static let reach: UInt64 = 60_000_000

    /// What the old programs saw of one thread and one file or program.
    fileprivate struct Seen {
        var times: [UInt64] = []
        /// Where the order begins: in the middle of the longest pause, and the first event behind that.
        var pause: UInt64 = 0
        var next = 0
    }

    /// Boot time until which the old programs saw everything, or counted what they missed.
    private let certain: UInt64
    /// Boot time from which on they saw nothing any more.
    let end: UInt64
    private var seen: [UInt64: Seen] = [:]

    /// What the window's ledger and records tell of the programs before those of this generation; nil where there were none that
    /// those took over from. What was found to be double since then is found again, in its order.
    convenience init?(goingOn window: Window, generation: UInt64) {
        guard let takeOver = window.ledger.takeOver, takeOver.generation == generation else { return nil }
        self.init(window, takeOver)
        for segment in window.segments where segment >= takeOver.segment {
            _ = unsafe window.walk(segment) { header, bytes, _ in
                guard header.kind == RecordKind.double else { return }
                _ = unsafe finds(bytes.load(as: ebee_double.self).key, at: header.time)
            }
        }
    }

    private init(_ window: Window, _ takeOver: TakeOver) {
        end = takeOver.time &+ 1_000_000_000
        let attached = takeOver.attached
        // What the window gave up meanwhile they saw, and it is no pause.
        let from = max(attached, window.coveredSince)
        certain = max(from, attached &+ Self.length)
        for segment in window.segments where segment < takeOver.segment && window.lastTime(of: segment) >= attached {
            _ = unsafe window.walk(segment) { header, bytes, _ in
                guard header.sequence != 0, header.time >= attached, let key = unsafe key(header, bytes) else { return }
                seen[key, default: Seen()].times.append(header.time)
            }
        }
        for key in seen.keys { seen[key]?.findPause(from: from, to: certain) }
    }

    /// Whether the old programs saw this event of the new ones, which come here in their order: if so, what it is known by.
    func takes(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer) -> UInt64? {
        guard let key = unsafe key(header, bytes) else { return nil }
        if finds(key, at: header.time) { return key }
        return header.time < certain ? key : nil
    }

    /// Whether one that is known by this, and not found before, is among what they saw.
    private func finds(_ key: UInt64, at time: UInt64) -> Bool {
        guard var known = seen[key] else { return false }
        if time < known.pause { return true }
        while known.next < known.times.count, known.times[known.next] &+ Self.reach < time { known.next += 1 }
        let isFound = known.next < known.times.count && known.times[known.next] <= time &+ Self.reach
        if isFound { known.next += 1 }
        seen[key] = known
        return isFound
    }

    /// What is the same in both records, also where one program knows more of the file than the other, and also in the next process.
    private func key(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer) -> UInt64? {
        var key = Fingerprint()
        let span = unsafe bytes.bytes
        key.add(number: header.kind)
        key.add(number: header.pid)
        key.add(number: header.tid)
        switch header.kind {
        case RecordKind.exec:
            guard let record = try? ProcessRecord(span) else { return nil }
            key.add(number: record.fixed.start)
            key.add(number: record.fixed.result)
            // Not the arguments: how much of them is kept may have been set anew. Not every rung sees an interpreter; of what failed, it is
            // what was asked for.
            key.add(number: record.executable.count)
            key.add(span.copy(record.executable))
            if record.fixed.result != 0 { key.add(span.copy(record.interpreter)) }
        case RecordKind.delete:
            guard let record = try? DeleteRecord(span) else { return nil }
            key.add(number: record.fixed.start)
            key.add(number: record.fixed.result)
            key.add(number: record.fixed.how)
            key.add(record.path(in: span) ?? [])
        default: return nil
        }
        return key.value
    }
}

extension Overlap.Seen {
    /// Of what came later than `to`, nobody knows whether the old programs saw it all. It is searched too where the window gave up
    /// everything before.
    fileprivate mutating func findPause(from: UInt64, to certain: UInt64) {
        let to = from < certain ? certain : times.max() ?? certain
        var longest: UInt64 = 0
        var last = from
        for (index, time) in (times + [to]).enumerated() {
            let end = min(time, to)
            if end > last, end - last > longest {
                longest = end - last
                pause = last + longest / 2
                next = index
            }
            last = max(last, end)
        }
    }
}
