import CEvents
import EbeeRecord
import Synchronization

/// What of a stream did not reach its window.
public struct Losses: Sendable {
    /// Events that the ring had no room for, or that the programs could not remember.
    public var events: UInt64 = 0
    /// Those of them that the kernel did not show to the programs, or that these could not remember; the ring was full for
    /// all others.
    public var missed: UInt64 = 0
    /// Those of them that the programs that are attached now have counted, lane by lane.
    public var counted: UInt64 = 0
    /// What the programs that are attached now have not counted of all that is in the window, or was in it, or is lost: less than
    /// nothing where they also counted what others had seen.
    public var earlier: Int64 = 0
    /// Records that were not what events.h says. There are none unless the kernel or we are broken.
    public var malformed: UInt64 = 0

    /// Nothing lost.
    public init() {}
}

/// The count of losses, kept by the thread that finds them and read by any other.
public final class LossCount: Sendable {
    private let losses = Mutex(Losses())

    /// What was found so far.
    public var now: Losses { losses.withLock { $0 } }

    /// No kernel counts beyond 64 bits, but what is in a record must not end ebeed: the sum then begins anew.
    func add(
        events: UInt64 = 0, missed: UInt64 = 0, counted: UInt64 = 0, earlier: Int64 = 0, malformed: UInt64 = 0
    ) {
        losses.withLock {
            $0.events &+= events
            $0.missed &+= missed
            $0.counted &+= counted
            $0.earlier &+= earlier
            $0.malformed &+= malformed
        }
    }

    func set(_ writer: borrowing Window.Writer) {
        let (lanes, events) = (writer.lanes, writer.events)
        losses.withLock { losses in
            losses.events = lanes.reduce(0) { $0 &+ $1.lost }
            losses.missed = lanes.reduce(0) { $0 &+ $1.lostMissed }
            losses.counted = lanes.dropLast().reduce(0) { $0 &+ $1.full &+ $1.missed }
            let known = lanes.reduce(0) { $0 &+ $1.sequence &+ $1.missed }
            losses.earlier = Int64(truncatingIfNeeded: events &+ losses.events &- known)
        }
    }
}

/// The writing end of a window: takes each record as the kernel wrote it and puts it where readers find it. Used by one thread,
/// the drain; nothing here allocates once it runs.
///
/// - An exit is not stored: it completes the execution it belongs to.
/// - A deletion refers to a record of its process in the same segment, which is copied there when need be. So
///   whatever segments are given up, who deleted a file that is still in the window is there too.
/// - A gap in the sequence numbers of a lane becomes a mark in its place.
public final class Recorder {
    private var writer: Window.Writer
    private var index: PositionIndex
    /// By lane: the kernel's own count at the last look. The last one stands for no lane in particular, as in the ledger.
    private var counted: [ebee_account]
    private var unpublished = 0
    /// The first record of the ring may be one that the process before this one took and could not tell the ring any more.
    private var retaken: Window.Writer.Taken?
    /// What other programs recorded before those whose records come now; see `begin(generation:after:)`.
    private var overlap: Overlap?
    /// What was marked as lost.
    public let losses = LossCount()
    /// How fast events came of late.
    public let pace = Pace()
    /// What is hidden of arguments.
    public let redactions: Redactions
    private let redactor = Redactor()

    /// Goes on where the window ends.
    /// - Parameters:
    ///   - processes: how many are remembered at one time.
    ///   - redaction: what is hidden of arguments from the first record on.
    public init(_ window: Window, processes: Int = 65536, redaction: Redaction = .nothing) {
        redactions = Redactions(redaction)
        writer = Window.Writer(window)
        index = PositionIndex(capacity: processes)
        counted = Self.accounts(writer.lanes)
        retaken = writer.resumed
        losses.set(writer)
        for segment in window.segments {
            _ = unsafe window.walk(segment) { unsafe self.remember($0, $1, $2) }
        }
        overlap = Overlap(goingOn: window, generation: writer.generation)
    }

    /// Which programs gave the sequence numbers that the window knows: counted up whenever others are attached.
    public var generation: UInt64 { writer.generation }

    /// How long what programs miss must go on to be counted after those that take their place are attached, and how long they have to stay
    /// attached then, in nanoseconds.
    public static let attachedTogether = Overlap.length

    /// What is known of the programs before others.
    public enum Predecessors: Sendable {
        /// There were none, or none whose events are known.
        case nobody
        /// They had gone when the others came: between these boot times nobody recorded.
        case gone(from: UInt64, to: UInt64)
        /// They were still there when the others were attached, at this boot time, and at least until twice `attachedTogether` later: an
        /// event that both saw stays once.
        case attachedUntil(UInt64)
    }

    /// From now on, other programs' records come: their sequence numbers begin anew.
    public func begin(generation: UInt64, after predecessors: Predecessors) {
        let window = writer.window
        if case .gone(let from, let to) = predecessors { markRestart(from: from, to: to) }
        // First, and of no effect until the generation is that.
        window.ledger.takeOver =
            if case .attachedUntil(let attached) = predecessors {
                TakeOver(
                    generation: generation, attached: attached, time: Clock.boot(), segment: writer.checkpointSegment)
            } else {
                nil
            }
        writer.begin(generation: generation)
        counted = Array(repeating: ebee_account(), count: counted.count)
        losses.set(writer)
        retaken = nil
        overlap = Overlap(goingOn: window, generation: generation)
    }

    /// Nobody recorded, so that nobody knows how many events there were.
    private func markRestart(from: UInt64, to: UInt64) {
        mark(0, from: min(from, to), to: to, why: EBEE_RESTART, lane: counted.count - 1)
        publish()
    }

    /// Goes through what another window remembers as if it came now; the counts of the programs stay as they are there.
    public func carry(over old: Window) {
        for segment in old.segments {
            _ = unsafe old.walk(segment) { header, bytes, _ in
                switch header.kind {
                case RecordKind.delete: unsafe delete(bytes, header)
                default: unsafe remember(header, bytes, writer.append(bytes, time: header.time))
                }
                writer.commit()
            }
        }
        let last = Window.Writer(old)
        writer.take(countsOf: last)
        counted = Self.accounts(writer.lanes)
        retaken = last.resumed
        overlap = Overlap(goingOn: old, generation: last.generation)
        losses.set(writer)
        let window = writer.window
        window.recordingSince = old.coveredSince
        if var bookmark = old.bookmark {
            let behind = old.end.ordinal &- bookmark.ordinal
            let end = window.end.ordinal
            bookmark.ordinal = end > behind ? end - behind : 0
            bookmark.position = 0
            // What the old window had given up is not in this one either.
            if behind > end {
                let covered = old.coveredSince
                if bookmark.missed == 0 { bookmark.missedSince = covered }
                bookmark.missed &+= behind - end
                bookmark.missedUntil = max(bookmark.missedUntil, covered)
            }
            window.bookmark = bookmark
        }
    }

    private static func accounts(_ lanes: [LaneState]) -> [ebee_account] {
        lanes.map {
            ebee_account(
                sequence: $0.sequence, lost: $0.full, missed: $0.missed, unjoined: 0, open: 0, hidden: 0,
                padding: (0, 0))
        }
    }

    /// What was lost so far. Any thread.
    public var lost: Losses { losses.now }

    /// Takes one record from the ring. Readers are woken by `publish`, or once 256 have come: under a load that never lets
    /// the ring run empty, they still see it.
    public func record(_ bytes: UnsafeRawBufferPointer) {
        unpublished += 1
        if unpublished >= 256 { publish() }
        let header: RecordHeader
        do {
            header = try unsafe RecordHeader(checking: bytes.bytes)
        } catch {
            losses.add(malformed: 1)
            return
        }
        if let first = retaken {
            retaken = nil
            if unsafe first == Window.Writer.Taken(header, bytes) { return }
        }
        if header.sequence != 0 {
            follow(header)
            if unsafe isDouble(header, bytes) { return }
        }
        switch header.kind {
        case RecordKind.exec, RecordKind.process:
            let redaction = redactions.now
            let kept = redaction.isEmpty ? unsafe bytes : unsafe redactor.redact(bytes, redaction)
            unsafe remember(header, kept, writer.append(kept, time: header.time))
        case RecordKind.exit:
            complete(unsafe bytes.load(as: ebee_exit.self))
        case RecordKind.delete:
            unsafe delete(bytes, header)
        default:
            losses.add(malformed: 1)
        }
        writer.commit()
    }

    /// Whether this event is in the window already, as the programs before these saw it.
    private func isDouble(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let overlap else { return false }
        // The old programs are detached: what comes so late they can't have seen.
        if header.time > overlap.end {
            self.overlap = nil
        } else if let key = unsafe overlap.takes(header, bytes) {
            var double = ebee_double()
            double.header = header
            double.header.size = UInt32(MemoryLayout<ebee_double>.size)
            double.header.kind = RecordKind.double
            double.header.sequence = 0
            double.sequence = header.sequence
            double.key = key
            _ = unsafe withUnsafeBytes(of: &double) { unsafe writer.append($0, time: header.time) }
            writer.commit()
            losses.add(earlier: -1)
            return true
        }
        return false
    }

    /// Where the record of a process is, for its exit and for what it deletes.
    private func remember(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer, _ position: UInt64) {
        guard header.kind == RecordKind.exec || header.kind == RecordKind.process else { return }
        let process = unsafe bytes.load(as: ebee_process.self)
        // One that failed has no exit to come: that of what ran before it is still awaited.
        if process.result != 0 || process.exit_status != 0 { return }
        index.insert(pid: header.pid, start: process.start, position: position)
    }

    /// Wakes readers.
    public func publish() {
        unpublished = 0
        writer.ring()
    }

    /// Now and then: gives up what is too old, and finds events that were lost without a later one to show the gap.
    /// - Parameters:
    ///   - accounts: by lane, as the kernel has them now; they count from the next look on, when what was under way has arrived.
    ///   - skipped: events that the kernel did not show to the programs, on whatever lane.
    ///   - hasArrived: all that was in the ring at the last look was taken. What a record that is still being written holds up is
    ///     not lost.
    ///   - isLast: nothing more will come, of what is in the ring neither.
    public func settle(
        accounts: (Int) -> ebee_account, skipped: UInt64 = 0, hasArrived: Bool = true, isLast: Bool = false, now: UInt64
    ) {
        var isMarked = false
        for lane in counted.indices.dropLast() {
            let account = accounts(lane)
            let known = isLast ? account : counted[lane]
            let own = writer.lanes[lane]
            // Both must say so: the sequence, that events are missing behind the newest one that came; the count, that they
            // found the ring full. One alone may be a record that is still being written.
            let missing = known.sequence > own.sequence ? known.sequence - own.sequence : 0
            let full = min(missing, known.lost > own.full ? known.lost - own.full : 0)
            if full > 0, hasArrived {
                mark(full, from: own.time, to: now, why: EBEE_RING_FULL, lane: lane)
                isMarked = true
            }
            let missed = account.missed > own.missed ? account.missed - own.missed : 0
            let unread = isLast ? missing - full : 0
            if missed + unread > 0 {
                mark(missed + unread, from: own.time, to: now, why: EBEE_MISSED, lane: lane)
                isMarked = true
            }
            counted[lane] = account
        }
        let anywhere = counted.count - 1
        if skipped > writer.lanes[anywhere].missed {
            mark(
                skipped - writer.lanes[anywhere].missed, from: writer.lanes[anywhere].time, to: now, why: EBEE_MISSED,
                lane: anywhere)
            isMarked = true
        }
        if isMarked { publish() }
        writer.expire(now: now)
        pace.note(now: now, events: writer.events, bytes: writer.bytes)
    }

    /// Finds what is missing before this event.
    private func follow(_ header: RecordHeader) {
        let lane = Int(header.lane)
        guard lane < counted.count - 1 else { return }
        let own = writer.lanes[lane]
        if header.sequence > own.sequence, header.sequence - own.sequence > 1 {
            mark(header.sequence - own.sequence - 1, from: own.time, to: header.time, why: EBEE_RING_FULL, lane: lane)
        }
    }

    private func mark(_ count: UInt64, from: UInt64, to: UInt64, why: ebee_why, lane: Int) {
        var lost = ebee_lost()
        lost.header.size = UInt32(MemoryLayout<ebee_lost>.size)
        lost.header.kind = RecordKind.lost
        lost.header.lane = UInt16(lane)
        lost.header.time = to
        lost.count = count
        lost.from = from
        lost.to = to
        lost.why = why.rawValue
        _ = unsafe withUnsafeBytes(of: &lost) { unsafe writer.append($0, time: to) }
        writer.commit()
        losses.add(
            events: count, missed: why == EBEE_MISSED ? count : 0, counted: lane < counted.count - 1 ? count : 0)
    }

    /// Completes the execution that an exit belongs to, if it is still in the window. Readers take the exit for known when both
    /// fields are there (`ProcessExit`).
    private func complete(_ exit: ebee_exit) {
        guard let position = index.find(pid: exit.header.pid, start: exit.start) else { return }
        index.remove(pid: exit.header.pid, start: exit.start)
        guard let record = unsafe writer.record(at: position) else { return }
        if let offset = MemoryLayout<ebee_process>.offset(of: \.exit_duration) {
            unsafe record.storeBytes(of: max(1, exit.duration), toByteOffset: offset, as: UInt64.self)
        }
        if let offset = MemoryLayout<ebee_process>.offset(of: \.exit_status) {
            unsafe record.storeBytes(
                of: UInt32(EBEE_EXITED) | exit.status & 0xffff, toByteOffset: offset, as: UInt32.self)
        }
    }

    private func delete(_ bytes: UnsafeRawBufferPointer, _ header: RecordHeader) {
        let record = unsafe bytes.load(as: ebee_delete.self)
        let start = record.start
        // Rather nobody than who the process was before: what it may do, and who may see that, can have changed.
        let isLost = record.flags & EBEE_PROCESS_LOST.rawValue != 0
        var process = isLost ? nil : index.find(pid: header.pid, start: start)
        if !writer.fits(bytes.count) { writer.advance() }
        if let known = process, known / UInt64(writer.window.segmentBytes) != writer.segment {
            process = copyForward(known, with: bytes.count, header, start)
        }
        let position = unsafe writer.append(bytes, time: header.time)
        guard let process, let offset = MemoryLayout<ebee_delete>.offset(of: \.process) else { return }
        unsafe writer.record(at: position)?.storeBytes(of: process, toByteOffset: offset, as: UInt64.self)
    }

    /// Copies a process's record into the segment that a deletion of `count` bytes is about to be written to.
    private func copyForward(_ position: UInt64, with count: Int, _ header: RecordHeader, _ start: UInt64) -> UInt64? {
        guard let record = unsafe writer.record(at: position) else { return nil }
        if !writer.fits(record.count + count) {
            writer.advance()
            // The segment just given up may be the one that held it.
            guard unsafe writer.record(at: position) != nil else { return nil }
        }
        let copy = unsafe writer.append(UnsafeRawBufferPointer(record), time: header.time)
        writer.commit()
        index.insert(pid: header.pid, start: start, position: copy)
        return copy
    }
}
