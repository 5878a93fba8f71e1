import CEvents
import CLinux
import EbeeRecord
import Synchronization

/// The recent past of one stream: a row of equal segments in one memory file, written round and round.
///
/// One thread appends (through a `Recorder`); any number read, each at a `Cursor` of its own, without a lock and without being
/// known to the writer. A reader copies a stretch of whole records and then checks that the segment they
/// came from had not been given up meanwhile; only then does it look at them.
///
/// A position is a count of bytes since the stream began: segment number × segment size + offset in it. It only grows,
/// and 0 is no record's. The first bytes of each segment are its `SegmentHeader`.
public final class Window: Sendable {
    /// What a segment says of itself, at its beginning.
    struct SegmentHeader {
        var number: UInt64
        /// Boot time of the first and newest record, 0 while there is none.
        var firstTime: UInt64
        var lastTime: UInt64
        /// How many events came before this segment.
        var firstOrdinal: UInt64
        /// Where its records end; 0 until it is sealed.
        var end: UInt64
    }

    /// No record is longer, so that a batch and a segment always hold one.
    public static let recordLimit = Int(EBEE_RECORD_MAX)
    static let headerBytes = 64

    /// Of each segment.
    public let segmentBytes: Int
    /// How many there are in memory.
    public let segmentCount: Int
    /// Nanoseconds after which a record is given up.
    public let maximumAge: UInt64
    /// Tells windows apart in the cursors that clients hold: the boot time at which this one began.
    public let identity: UInt64
    /// Rings when records were published; windows may share one.
    public let doorbell: Doorbell

    private let memory: MemoryFile
    /// Position behind the newest published record.
    private let head: Atomic<UInt64>
    /// Number of the oldest segment that may be read.
    private let oldestSegment = Atomic<UInt64>(0)
    /// How many events were ever published: stored before `head` is, and again after it, so that a reader who finds
    /// both alike knows how many are before the head that it read between them.
    private let publishing = Atomic<UInt64>(0)
    private let published = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - bytes: of memory, at most; rounded down to whole segments, at least four.
    ///   - maximumAge: in nanoseconds.
    public init(name: String, bytes: Int, maximumAge: UInt64, doorbell: Doorbell) throws(SystemError) {
        self.doorbell = doorbell
        let segmentBytes = min(1 << 20, max(2 * Self.recordLimit, bytes / 16))
        self.segmentBytes = segmentBytes
        segmentCount = max(4, bytes / segmentBytes)
        self.maximumAge = maximumAge
        identity = Clock.boot()
        memory = try MemoryFile(name: name, size: segmentBytes * segmentCount)
        head = Atomic(UInt64(Self.headerBytes))
        unsafe header(0).initialize(to: SegmentHeader(number: 0, firstTime: 0, lastTime: 0, firstOrdinal: 0, end: 0))
    }

    // MARK: - Writing, by one thread

    /// The writer's own view: what it has appended and not yet published. Owned by one thread.
    struct Writer: ~Copyable {
        let window: Window
        var position: UInt64
        var events: UInt64 = 0

        init(_ window: Window) {
            self.window = window
            position = window.head.load(ordering: .relaxed)
        }

        var segment: UInt64 { position / UInt64(window.segmentBytes) }

        /// A segment is never filled to its last byte: the position behind that would be the next segment's first.
        func fits(_ bytes: Int) -> Bool { Int(position) % window.segmentBytes + bytes < window.segmentBytes }

        /// Seals the segment and goes on in the next one, giving up the oldest when there is no other.
        mutating func advance() {
            let sealed = unsafe window.header(segment)
            unsafe sealed.pointee.end = position % UInt64(window.segmentBytes)
            let next = segment + 1
            let count = UInt64(window.segmentCount)
            if next >= count { window.evict(before: next - count + 1) }
            unsafe window.header(next).initialize(
                to: SegmentHeader(number: next, firstTime: 0, lastTime: 0, firstOrdinal: events, end: 0))
            position = next * UInt64(window.segmentBytes) + UInt64(Window.headerBytes)
        }

        /// Copies a record to the end; returns its position. It is seen by readers after `publish`.
        mutating func append(_ bytes: UnsafeRawBufferPointer, time: UInt64, isEvent: Bool) -> UInt64 {
            precondition(bytes.count <= Window.recordLimit && bytes.count % 8 == 0)
            if !fits(bytes.count) { advance() }
            let at = position
            unsafe window.address(at).copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count)
            position += UInt64(bytes.count)
            let header = unsafe window.header(segment)
            if unsafe header.pointee.firstTime == 0 { unsafe header.pointee.firstTime = time }
            unsafe header.pointee.lastTime = max(header.pointee.lastTime, time)
            if isEvent { events += 1 }
            return at
        }

        /// Makes what was appended visible and wakes readers.
        func publish() {
            window.publishing.store(events, ordering: .relaxed)
            window.head.store(position, ordering: .releasing)
            window.published.store(events, ordering: .releasing)
            window.doorbell.ring()
        }

        /// Gives up what is older than the window keeps, and begins a new segment in time for that.
        mutating func expire(now: UInt64) {
            let header = unsafe window.header(segment)
            let begun = unsafe header.pointee.firstTime
            // So that all the others together span the whole age: a segment that is begun for its age must not push
            // out what is younger.
            let span = window.maximumAge / UInt64(min(16, window.segmentCount - 2))
            if begun != 0, now > begun, now - begun > span {
                advance()
                publish()
            }
            var oldest = window.oldestSegment.load(ordering: .relaxed)
            while oldest < segment {
                let last = unsafe window.header(oldest).pointee.lastTime
                guard now > last, now - last > window.maximumAge else { break }
                oldest += 1
                window.evict(before: oldest)
            }
        }

        /// The record at `position`, in place; nil when it was given up.
        func record(at position: UInt64) -> UnsafeMutableRawBufferPointer? {
            guard position / UInt64(window.segmentBytes) >= window.oldestSegment.load(ordering: .relaxed) else {
                return nil
            }
            let address = unsafe window.address(position)
            let size = unsafe Int(address.load(as: RecordHeader.self).size)
            return unsafe UnsafeMutableRawBufferPointer(start: address, count: size)
        }
    }

    /// Readers must see the new bound before the segment's memory changes: hence the full barrier.
    private func evict(before segment: UInt64) {
        oldestSegment.store(segment, ordering: .sequentiallyConsistent)
        ebee_fence()
    }

    // MARK: - Reading

    /// The segments that may be read, the oldest first.
    public var segments: ClosedRange<UInt64> {
        let newest = head.load(ordering: .acquiring) / UInt64(segmentBytes)
        return min(oldestSegment.load(ordering: .sequentiallyConsistent), newest)...newest
    }

    /// Before the first record of a segment; nil when it was given up.
    public func cursor(segment: UInt64) -> Cursor? {
        let ordinal = unsafe header(segment).pointee.firstOrdinal
        return isHeld(segment) ? cursor(segment: segment, ordinal: ordinal) : nil
    }

    /// The segment that a cursor stands in.
    public func segment(of cursor: Cursor) -> UInt64 { cursor.position / UInt64(segmentBytes) }

    /// A place between two records. A reader holds nothing else.
    public struct Cursor: Sendable {
        /// Of the next record, in bytes since the stream began.
        public internal(set) var position: UInt64
        /// How many events came before it since the stream began.
        public internal(set) var ordinal: UInt64
    }

    /// What a reader found at its cursor.
    public enum Found {
        /// The batch holds the records behind the cursor, which moves as they are taken.
        case records
        /// Nothing newer is published.
        case end
        /// So many events were given up before they were read; the cursor stands at the oldest left.
        case evicted(UInt64)
    }

    /// Behind the newest record.
    public var end: Cursor {
        while true {
            let ordinal = published.load(ordering: .acquiring)
            let position = head.load(ordering: .acquiring)
            if publishing.load(ordering: .acquiring) == ordinal { return Cursor(position: position, ordinal: ordinal) }
        }
    }

    /// Before the oldest record.
    public var start: Cursor {
        while true {
            let oldest = oldestSegment.load(ordering: .sequentiallyConsistent)
            let ordinal = unsafe header(oldest).pointee.firstOrdinal
            if isHeld(oldest) { return cursor(segment: oldest, ordinal: ordinal) }
        }
    }

    /// Before the first segment that can hold a record of boot time `time` or later. Records are almost, not exactly, in order
    /// of time, so a second is taken off.
    public func cursor(since time: UInt64) -> Cursor {
        let time = time > 1_000_000_000 ? time - 1_000_000_000 : 0
        var cursor = start
        let newest = head.load(ordering: .acquiring) / UInt64(segmentBytes)
        while cursor.position / UInt64(segmentBytes) < newest {
            let segment = cursor.position / UInt64(segmentBytes)
            let header = unsafe self.header(segment).pointee
            guard isHeld(segment) else {
                cursor = start
                continue
            }
            guard header.lastTime < time else { break }
            cursor = self.cursor(segment: segment + 1) ?? start
        }
        return cursor
    }

    /// Copies the next records into `batch`. The cursor moves only over what is no record: the end of a segment, and what was
    /// given up.
    public func read(_ batch: Batch, at cursor: inout Cursor) -> Found {
        batch.clear()
        while true {
            let head = self.head.load(ordering: .acquiring)
            let segment = cursor.position / UInt64(segmentBytes)
            guard isHeld(segment) else {
                let oldest = start
                let missed = oldest.ordinal > cursor.ordinal ? oldest.ordinal - cursor.ordinal : 0
                cursor = oldest
                if missed == 0 { continue }
                return .evicted(missed)
            }
            if cursor.position >= head { return .end }
            let offset = Int(cursor.position % UInt64(segmentBytes))
            let isNewest = segment == head / UInt64(segmentBytes)
            let limit = isNewest ? Int(head % UInt64(segmentBytes)) : Int(unsafe header(segment).pointee.end)
            guard offset < limit, limit <= segmentBytes else {
                if !isHeld(segment) { continue }
                cursor.position = (segment + 1) * UInt64(segmentBytes) + UInt64(Self.headerBytes)
                continue
            }
            let source = unsafe UnsafeRawBufferPointer(start: address(cursor.position), count: limit - offset)
            unsafe batch.fill(from: source, position: cursor.position)
            // What was copied counts only if the writer had not begun to use the segment again.
            ebee_fence()
            guard isHeld(segment) else {
                batch.clear()
                continue
            }
            batch.index()
            return .records
        }
    }

    /// The header of the record at `position`; nil when it was given up.
    public func header(at position: UInt64) -> RecordHeader? {
        let segment = position / UInt64(segmentBytes)
        guard position > 0, isHeld(segment) else { return nil }
        let header = unsafe address(position).load(as: RecordHeader.self)
        ebee_fence()
        return isHeld(segment) ? header : nil
    }

    /// A copy of the one record at `position`; nil when it was given up.
    public func copy(at position: UInt64) -> [UInt8]? {
        let segment = position / UInt64(segmentBytes)
        guard position > 0, isHeld(segment) else { return nil }
        let offset = Int(position % UInt64(segmentBytes))
        let size = unsafe Int(address(position).load(as: RecordHeader.self).size)
        guard size >= RecordHeader.byteCount, size <= Self.recordLimit, offset + size <= segmentBytes else {
            return nil
        }
        let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: address(position), count: size))
        ebee_fence()
        return isHeld(segment) ? bytes : nil
    }

    /// What the window holds now, for whoever asks for its state.
    public struct State: Sendable {
        /// Of all segments.
        public var capacityBytes: Int
        /// From the oldest record to the newest.
        public var usedBytes: Int
        /// How many are held.
        public var events: UInt64
        /// How many were given up.
        public var evicted: UInt64
        /// Boot times of the oldest and newest record.
        public var oldest: UInt64?
        /// Nil while it is empty.
        public var newest: UInt64?
    }

    /// A look at it, as it is now.
    public var state: State {
        let end = self.end
        let start = self.start
        let oldest = unsafe header(start.position / UInt64(segmentBytes)).pointee
        let newest = newestTime
        return State(
            capacityBytes: memory.size, usedBytes: Int(end.position - start.position),
            events: end.ordinal &- start.ordinal,
            evicted: start.ordinal, oldest: oldest.firstTime == 0 ? nil : oldest.firstTime,
            newest: newest == 0 ? nil : newest)
    }

    private var newestTime: UInt64 {
        var segment = head.load(ordering: .acquiring) / UInt64(segmentBytes)
        // A segment that was begun because of its age may still be empty.
        while true {
            let last = unsafe header(segment).pointee.lastTime
            if last != 0 || segment == oldestSegment.load(ordering: .relaxed) { return last }
            segment -= 1
        }
    }

    private func isHeld(_ segment: UInt64) -> Bool { segment >= oldestSegment.load(ordering: .sequentiallyConsistent) }

    private func cursor(segment: UInt64, ordinal: UInt64) -> Cursor {
        Cursor(position: segment * UInt64(segmentBytes) + UInt64(Self.headerBytes), ordinal: ordinal)
    }

    // MARK: - Memory

    private func address(_ position: UInt64) -> UnsafeMutableRawPointer {
        unsafe memory.base + Int(position % UInt64(memory.size))
    }

    private func header(_ segment: UInt64) -> UnsafeMutablePointer<SegmentHeader> {
        unsafe address(segment * UInt64(segmentBytes)).assumingMemoryBound(to: SegmentHeader.self)
    }
}
