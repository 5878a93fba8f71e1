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
                if header.kind == RecordKind.double { unsafe count(bytes.load(as: ebee_double.self)) }
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
        for key in seen.keys { seen[key]?.findPause(from: from, certain: certain) }
    }

    /// Whether the old programs saw this event of the new ones, which come here in their order: if so, what it is known by.
    func takes(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer) -> UInt64? {
        guard let key = unsafe key(header, bytes) else { return nil }
        if let known = seen[key] {
            if header.time < known.pause { return key }
            if known.next < known.times.count {
                seen[key]?.next += 1
                return key
            }
        }
        return header.time < certain && certain - header.time > Self.reach ? key : nil
    }

    /// Does what `takes` did when it found this.
    private func count(_ double: ebee_double) {
        guard let known = seen[double.key], double.header.time >= known.pause, known.next < known.times.count else {
            return
        }
        seen[double.key]?.next += 1
    }

    /// What is the same in both records, also where one program knows more of the file than the other; in short (FNV-1a, 64 bits), and
    /// the same in the next process.
    private func key(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer) -> UInt64? {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ bytes: some Sequence<UInt8>) {
            for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        func add(_ number: some FixedWidthInteger) {
            let number = UInt64(truncatingIfNeeded: number)
            for shift in stride(from: 0, to: 64, by: 8) {
                add(CollectionOfOne(UInt8(truncatingIfNeeded: number >> shift)))
            }
        }
        let span = unsafe bytes.bytes
        add(header.kind)
        add(header.pid)
        add(header.tid)
        switch header.kind {
        case RecordKind.exec:
            guard let record = try? ProcessRecord(span) else { return nil }
            add(record.fixed.start)
            add(record.fixed.result)
            // Not the arguments: how much of them is kept may have been set anew.
            add(record.executable.count)
            add(span.copy(record.executable))
            add(span.copy(record.interpreter))
        case RecordKind.delete:
            guard let record = try? DeleteRecord(span) else { return nil }
            add(record.fixed.start)
            add(record.fixed.result)
            add(record.fixed.how)
            add(record.path(in: span) ?? [])
        default: return nil
        }
        return hash
    }
}

extension Overlap.Seen {
    /// Behind what is certain, only these times tell that the old programs still saw such events: others see others for longer.
    fileprivate mutating func findPause(from: UInt64, certain: UInt64) {
        let to = max(certain, times.max() ?? 0)
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
