import CEvents
import EbeeRecord
import Synchronization

/// What of a stream did not reach its window.
public struct Losses: Sendable {
    /// Events that the ring had no room for, or that the programs could not remember.
    public var events: UInt64 = 0
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

    func add(events: UInt64 = 0, malformed: UInt64 = 0) {
        losses.withLock {
            $0.events += events
            $0.malformed += malformed
        }
    }
}

/// The writing end of a window: takes each record as the kernel wrote it and puts it where readers find it. Used by one thread,
/// the drain; nothing here allocates once it runs.
///
/// - An exit is not stored: it completes the execution it belongs to.
/// - A deletion refers to a record of its process in the same segment, which is copied there when need be. So
///   whatever segments are given up, who deleted a file that is still in the window is there too.
/// - A gap in the sequence numbers of a cpu becomes a mark in its place.
public final class Recorder {
    private var writer: Window.Writer
    private var index: PositionIndex
    /// By cpu: sequence number and time of the newest event.
    private var newest: [(sequence: UInt64, time: UInt64)]
    /// By cpu: the kernel's own count at the last look.
    private var counted: [ebee_account]
    /// By cpu: how many events were marked as lost because the ring was full.
    private var marked: [UInt64]
    private var unpublished = 0
    /// What was marked as lost.
    public let losses = LossCount()

    /// - Parameters:
    ///   - cpus: how many cpus the machine can have.
    ///   - processes: how many are remembered at one time.
    public init(_ window: Window, cpus: Int, processes: Int = 65536) {
        writer = Window.Writer(window)
        index = PositionIndex(capacity: processes)
        newest = Array(repeating: (0, Clock.boot()), count: cpus)
        counted = Array(repeating: ebee_account(), count: cpus)
        marked = Array(repeating: 0, count: cpus)
    }

    /// What was lost so far. Any thread.
    public var lost: Losses { losses.now }

    /// Takes one record from the ring. It is visible after `publish`, or once 256 have come: under a load that never lets
    /// the ring run empty, readers still see it.
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
        if header.sequence != 0 { follow(header) }
        switch header.kind {
        case RecordKind.exec:
            let process = unsafe bytes.load(as: ebee_process.self)
            let position = unsafe writer.append(bytes, time: header.time, isEvent: true)
            // One that failed has no exit to come: that of what ran before it is still awaited.
            if process.result == 0 { index.insert(pid: header.pid, start: process.start, position: position) }
        case RecordKind.exit:
            complete(unsafe bytes.load(as: ebee_exit.self))
        case RecordKind.process:
            let process = unsafe bytes.load(as: ebee_process.self)
            let position = unsafe writer.append(bytes, time: header.time, isEvent: false)
            index.insert(pid: header.pid, start: process.start, position: position)
        case RecordKind.delete:
            unsafe delete(bytes, header)
        default:
            losses.add(malformed: 1)
        }
    }

    /// Makes what was recorded visible to readers.
    public func publish() {
        unpublished = 0
        writer.publish()
    }

    /// Now and then, when the ring is empty: gives up what is too old, and finds events that were lost without a later one to
    /// show the gap. `accounts` is by cpu, as the kernel has them now; they count from the next look on, when
    /// what was under way has arrived.
    public func settle(accounts: (Int) -> ebee_account, now: UInt64) {
        var isMarked = false
        for cpu in newest.indices {
            let account = accounts(cpu)
            let known = counted[cpu]
            // Both must say so: the sequence, that events are missing behind the newest one that came; the count, that they
            // found the ring full. One alone may be a record that is still being written.
            let missing = known.sequence > newest[cpu].sequence ? known.sequence - newest[cpu].sequence : 0
            let full = min(missing, known.lost > marked[cpu] ? known.lost - marked[cpu] : 0)
            if full > 0 {
                mark(full, from: newest[cpu].time, to: now, why: EBEE_RING_FULL, cpu: cpu)
                marked[cpu] += full
                newest[cpu] = (newest[cpu].sequence + full, now)
                isMarked = true
            }
            if account.missed > known.missed {
                mark(account.missed - known.missed, from: newest[cpu].time, to: now, why: EBEE_MISSED, cpu: cpu)
                isMarked = true
            }
            counted[cpu] = account
        }
        if isMarked { writer.publish() }
        writer.expire(now: now)
    }

    /// Finds what is missing before this event.
    private func follow(_ header: RecordHeader) {
        let cpu = Int(header.cpu)
        guard cpu < newest.count else { return }
        let expected = newest[cpu].sequence + 1
        if header.sequence > expected {
            let gap = header.sequence - expected
            mark(gap, from: newest[cpu].time, to: header.time, why: EBEE_RING_FULL, cpu: cpu)
            marked[cpu] += gap
        }
        newest[cpu] = (header.sequence, header.time)
    }

    private func mark(_ count: UInt64, from: UInt64, to: UInt64, why: ebee_why, cpu: Int) {
        var lost = ebee_lost()
        lost.header.size = UInt32(MemoryLayout<ebee_lost>.size)
        lost.header.kind = RecordKind.lost
        lost.header.cpu = UInt16(cpu)
        lost.header.time = to
        lost.count = count
        lost.from = from
        lost.to = to
        lost.why = why.rawValue
        _ = unsafe withUnsafeBytes(of: &lost) { unsafe writer.append($0, time: to, isEvent: false) }
        losses.add(events: count)
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
        let start = unsafe bytes.load(as: ebee_delete.self).start
        var process = index.find(pid: header.pid, start: start)
        if !writer.fits(bytes.count) { writer.advance() }
        if let known = process, known / UInt64(writer.window.segmentBytes) != writer.segment {
            process = copyForward(known, with: bytes.count, header, start)
        }
        let position = unsafe writer.append(bytes, time: header.time, isEvent: true)
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
        let copy = unsafe writer.append(UnsafeRawBufferPointer(record), time: header.time, isEvent: false)
        index.insert(pid: header.pid, start: start, position: copy)
        return copy
    }
}
