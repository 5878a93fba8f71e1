import CEvents
import CLinux
import EbeeRecord

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
    /// Records are almost, not exactly, in the order of time: in nanoseconds, how far they may be apart from it.
    public static let disorder: UInt64 = 1_000_000_000

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
    /// When its programs seem to have seen nothing.
    public let blindness = Blindness()

    private let memory: MemoryFile
    /// What the file says of itself, ahead of its segments.
    let ledger: Ledger
    private let ledgerBytes: Int

    /// How many lanes the machine can have.
    public var lanes: Int { ledger.lanes }

    /// - Parameters:
    ///   - bytes: of segments, at most; rounded down to whole ones, at least four.
    ///   - maximumAge: in nanoseconds.
    ///   - lanes: how many the machine can have.
    ///   - file: an empty file in memory, to take in place of an anonymous one; the window owns it.
    public init(
        name: String, bytes: Int, maximumAge: UInt64, lanes: Int, doorbell: Doorbell, file: Int32? = nil
    ) throws(SystemError) {
        self.doorbell = doorbell
        self.maximumAge = maximumAge
        (segmentBytes, segmentCount) = Self.geometry(bytes)
        identity = Clock.boot()
        memory = try MemoryFile(
            name: name, size: Ledger.byteCount(lanes: lanes) + segmentBytes * segmentCount, file: file)
        ledger = unsafe Ledger(memory.base, lanes: lanes)
        ledgerBytes = Ledger.byteCount(lanes: lanes)
        ledger.heading = Ledger.Heading(
            lanes: UInt64(lanes), segmentBytes: UInt64(segmentBytes), segmentCount: UInt64(segmentCount),
            identity: identity)
        unsafe header(0).initialize(to: SegmentHeader(number: 0, firstTime: 0, lastTime: 0, firstOrdinal: 0, end: 0))
        ledger.save(Array(repeating: LaneState(time: identity), count: lanes + 1), generation: 0, segment: 0)
        ledger.head.store(UInt64(Self.headerBytes))
        ledger.recordingSince.store(identity)
    }

    /// Goes on with the window that an earlier process left in a memory file, which this one owns from now on.
    /// - Throws: `UnusableWindow` when it is none, or of another layout, or damaged.
    public init(adopting descriptor: Int32, maximumAge: UInt64, lanes: Int, doorbell: Doorbell) throws {
        memory = try MemoryFile(adopting: descriptor)
        guard memory.size >= Ledger.byteCount(lanes: lanes) else { throw UnusableWindow("it is too short") }
        ledger = unsafe Ledger(memory.base, lanes: lanes)
        ledgerBytes = Ledger.byteCount(lanes: lanes)
        let heading = ledger.heading
        self.doorbell = doorbell
        self.maximumAge = maximumAge
        segmentBytes = Int(clamping: heading.segmentBytes)
        segmentCount = Int(clamping: heading.segmentCount)
        identity = heading.identity
        try checkAdopted(lanes: lanes)
    }

    private func checkAdopted(lanes: Int) throws(UnusableWindow) {
        let own = Ledger.Heading(
            lanes: UInt64(lanes), segmentBytes: UInt64(segmentBytes), segmentCount: UInt64(segmentCount),
            identity: identity)
        let found = ledger.heading
        guard found.magic == own.magic else { throw UnusableWindow("it is no window") }
        guard found.version == own.version, found.layout == own.layout else {
            throw UnusableWindow(
                "its records have layout \(found.version).\(found.layout), this ebeed's have \(own.version).\(own.layout)"
            )
        }
        guard found == own, (2 * Self.recordLimit...1 << 20).contains(segmentBytes),
            (4...1 << 20).contains(segmentCount),
            memory.size == Ledger.byteCount(lanes: lanes) + segmentBytes * segmentCount
        else { throw UnusableWindow("it is damaged, or of another machine") }
        let head = ledger.head.load()
        let (newest, oldest) = (head / UInt64(segmentBytes), ledger.oldestSegment.load())
        guard head < 1 << 62, Int(head % UInt64(segmentBytes)) >= Self.headerBytes, oldest <= newest,
            newest - oldest < UInt64(segmentCount)
        else { throw UnusableWindow("it is damaged: where it ends can't be") }
        var events = unsafe header(oldest).pointee.firstOrdinal
        guard events < 1 << 62, oldest > 0 || events == 0 else {
            throw UnusableWindow("it is damaged: so many events there can't be")
        }
        for segment in oldest...newest {
            let isCounted = unsafe header(segment).pointee.firstOrdinal == events
            guard isCounted, unsafe walk(segment, { header, _, _ in if header.sequence != 0 { events += 1 } }) else {
                throw UnusableWindow("segment \(segment) of it is damaged")
            }
        }
    }

    /// Whether a window of `bytes` has the segments that this one has.
    public func hasGeometry(of bytes: Int) -> Bool { (segmentBytes, segmentCount) == Self.geometry(bytes) }

    private static func geometry(_ bytes: Int) -> (segmentBytes: Int, segmentCount: Int) {
        let segmentBytes = min(1 << 20, max(2 * recordLimit, bytes / 16))
        return (segmentBytes, max(4, bytes / segmentBytes))
    }

    /// The memory file, to be handed to who keeps it for the next process. Valid as long as this window.
    public var descriptor: Int32 { memory.descriptor }

    /// Boot time since which every event is in the window, or was in it, or is marked as lost.
    public var recordingSince: UInt64 {
        get { ledger.recordingSince.load() }
        set { ledger.recordingSince.store(newValue) }
    }

    /// Boot time from which on every event is in the window still, or is marked as lost.
    public var coveredSince: UInt64 { max(recordingSince, ledger.evictedUntil.load() &+ 1) }

    /// How far the reader has come that outlives the process; one thread sets it.
    public var bookmark: Bookmark? {
        get { ledger.bookmark }
        set { ledger.bookmark = newValue }
    }

    /// Calls `body` with each record of a segment that nobody writes to, and its position; false if it is damaged.
    func walk(_ segment: UInt64, _ body: (RecordHeader, UnsafeRawBufferPointer, UInt64) -> Void) -> Bool {
        let start = segment * UInt64(segmentBytes)
        let head = ledger.head.load()
        let end =
            head / UInt64(segmentBytes) == segment
            ? Int(head % UInt64(segmentBytes)) : Int(clamping: unsafe header(segment).pointee.end)
        guard unsafe header(segment).pointee.number == segment, end <= segmentBytes else { return false }
        var offset = Self.headerBytes
        while offset < end {
            let record = unsafe address(start + UInt64(offset))
            let size = unsafe Int(record.load(as: RecordHeader.self).size)
            guard size >= RecordHeader.byteCount, offset + size <= end else { return false }
            let bytes = unsafe UnsafeRawBufferPointer(start: record, count: size)
            guard let header = try? unsafe RecordHeader(checking: bytes.bytes) else { return false }
            unsafe body(header, bytes, start + UInt64(offset))
            offset += size
        }
        return offset == end
    }

    // MARK: - Writing, by one thread

    /// The writer's own view. Owned by one thread.
    ///
    /// Each record is made part of the window by itself, by one store, before the ring learns that it was taken: whenever the
    /// process is killed, the next one finds a whole window, and in the ring what is not in it.
    struct Writer: ~Copyable {
        let window: Window
        private(set) var position: UInt64
        private(set) var events: UInt64
        /// Of all records that this writer wrote.
        private(set) var bytes: UInt64 = 0
        private(set) var lanes: [LaneState]
        /// Of the programs that give the sequence numbers.
        private(set) var generation: UInt64
        /// The newest event of the newest segment, as the writer found it: the ring may hold it still.
        let resumed: Taken?

        /// An event that was taken from the ring, by what tells it apart.
        struct Taken: Equatable {
            var lane: UInt16
            var sequence: UInt64
            var time: UInt64

            /// Nil where the record is no event's; in place of one, there may be a record that it is in the window already.
            init?(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer) {
                (lane, sequence, time) = (header.lane, header.sequence, header.time)
                if header.kind == RecordKind.double { sequence = unsafe bytes.load(as: ebee_double.self).sequence }
                if sequence == 0 { return nil }
            }
        }

        init(_ window: Window) {
            self.window = window
            position = window.ledger.head.load()
            let segment = position / UInt64(window.segmentBytes)
            (lanes, generation) = window.ledger.load(segment: segment)
            events = unsafe window.header(segment).pointee.firstOrdinal
            var lanes = self.lanes
            var (events, last) = (self.events, Taken?.none)
            _ = unsafe window.walk(segment) { header, bytes, _ in
                unsafe Self.note(header, bytes, &lanes)
                if header.sequence != 0 { events += 1 }
                last = unsafe Taken(header, bytes) ?? last
            }
            self.lanes = lanes
            self.events = events
            resumed = last
            commit()
        }

        var segment: UInt64 { position / UInt64(window.segmentBytes) }

        /// A segment is never filled to its last byte: the position behind that would be the next segment's first.
        func fits(_ bytes: Int) -> Bool { Int(position) % window.segmentBytes + bytes < window.segmentBytes }

        /// What a record tells of its lane. The same when it is written and when it is found again.
        private static func note(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer, _ lanes: inout [LaneState]) {
            let lane = Int(header.lane)
            guard lane < lanes.count else { return }
            if let taken = unsafe Taken(header, bytes) {
                // One that was overtaken on its way into the ring is already marked as lost.
                guard taken.sequence > lanes[lane].sequence else { return }
                lanes[lane].sequence = taken.sequence
                lanes[lane].time = taken.time
            } else if header.kind == RecordKind.lost {
                let mark = unsafe bytes.load(as: ebee_lost.self)
                // A damaged window may hold any count.
                lanes[lane].lost &+= mark.count
                if mark.why == EBEE_RING_FULL.rawValue {
                    lanes[lane].sequence &+= mark.count
                    lanes[lane].full &+= mark.count
                    lanes[lane].time = mark.to
                } else if mark.why == EBEE_MISSED.rawValue {
                    lanes[lane].missed &+= mark.count
                    lanes[lane].lostMissed &+= mark.count
                    // Of a lane, the time is that of its newest event.
                    if lane == lanes.count - 1 { lanes[lane].time = mark.to }
                }
            }
        }

        /// Seals the segment and goes on in the next one, giving up the oldest when there is no other.
        mutating func advance() {
            let sealed = unsafe window.header(segment)
            unsafe sealed.pointee.end = position % UInt64(window.segmentBytes)
            let next = segment + 1
            let count = UInt64(window.segmentCount)
            if next >= count { window.evict(before: next - count + 1) }
            unsafe window.header(next).initialize(
                to: SegmentHeader(number: next, firstTime: 0, lastTime: 0, firstOrdinal: events, end: 0))
            window.ledger.save(lanes, generation: generation, segment: next)
            position = next * UInt64(window.segmentBytes) + UInt64(Window.headerBytes)
        }

        /// Copies a record to the end; returns its position. Readers see it after `commit`.
        mutating func append(_ bytes: UnsafeRawBufferPointer, time: UInt64) -> UInt64 {
            precondition(bytes.count <= Window.recordLimit && bytes.count % 8 == 0)
            if !fits(bytes.count) { advance() }
            let at = position
            unsafe window.address(at).copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count)
            position += UInt64(bytes.count)
            self.bytes += UInt64(bytes.count)
            let header = unsafe window.header(segment)
            if unsafe header.pointee.firstTime == 0 { unsafe header.pointee.firstTime = time }
            unsafe header.pointee.lastTime = max(header.pointee.lastTime, time)
            let record = unsafe bytes.load(as: RecordHeader.self)
            unsafe Self.note(record, bytes, &lanes)
            if record.sequence != 0 { events += 1 }
            return at
        }

        /// Makes what was appended part of the window.
        func commit() {
            window.ledger.publishing.store(events)
            window.ledger.head.store(position)
            window.ledger.published.store(events)
        }

        /// Wakes readers.
        func ring() { window.doorbell.ring() }

        /// Makes what is known of the lanes last, apart from what the records tell.
        private mutating func checkpoint() {
            if segment == checkpointSegment {
                // The one in force says nothing.
                window.ledger.save(lanes, generation: generation, segment: segment)
            } else {
                advance()
                commit()
            }
        }

        /// The segment that would begin with a checkpoint that is made now.
        var checkpointSegment: UInt64 { position == UInt64(Window.headerBytes) ? segment : segment + 1 }

        /// From now on, other programs give the sequence numbers: from 1.
        mutating func begin(generation: UInt64) {
            self.generation = generation
            lanes = lanes.map { LaneState(time: Clock.boot(), lost: $0.lost, lostMissed: $0.lostMissed) }
            checkpoint()
        }

        /// The programs go on whose counts another window has.
        mutating func take(countsOf other: borrowing Writer) {
            generation = other.generation
            lanes = other.lanes
            checkpoint()
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
                commit()
            }
            var oldest = window.ledger.oldestSegment.load()
            while oldest < segment {
                let last = unsafe window.header(oldest).pointee.lastTime
                guard now > last, now - last > window.maximumAge else { break }
                oldest += 1
                window.evict(before: oldest)
            }
        }

        /// The record at `position`, in place; nil when it was given up.
        func record(at position: UInt64) -> UnsafeMutableRawBufferPointer? {
            guard position / UInt64(window.segmentBytes) >= window.ledger.oldestSegment.load() else {
                return nil
            }
            let address = unsafe window.address(position)
            let size = unsafe Int(address.load(as: RecordHeader.self).size)
            return unsafe UnsafeMutableRawBufferPointer(start: address, count: size)
        }
    }

    /// Readers must see the new bound before the segment's memory changes: hence the full barrier.
    private func evict(before segment: UInt64) {
        // What was given up for its age may be more than the row of segments asks for.
        var given = ledger.oldestSegment.load()
        guard segment > given else { return }
        var last = ledger.evictedUntil.load()
        while given < segment {
            last = max(last, lastTime(of: given))
            given += 1
        }
        ledger.evictedUntil.store(last)
        ledger.oldestSegment.storeFirst(segment)
        ebee_fence()
    }

    // MARK: - Reading

    /// The segments that may be read, the oldest first.
    public var segments: ClosedRange<UInt64> {
        let newest = ledger.head.load() / UInt64(segmentBytes)
        return min(ledger.oldestSegment.load(), newest)...newest
    }

    /// Boot time of a segment's newest record, 0 while there is none; for the writer.
    func lastTime(of segment: UInt64) -> UInt64 { unsafe header(segment).pointee.lastTime }

    /// Before the first record of a segment; nil when it was given up.
    public func cursor(segment: UInt64) -> Cursor? {
        let ordinal = unsafe header(segment).pointee.firstOrdinal
        ebee_fence()
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
        /// A place that was found before; nothing is asked of it until it is read at.
        public init(position: UInt64, ordinal: UInt64) {
            self.position = position
            self.ordinal = ordinal
        }
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
            let ordinal = ledger.published.load()
            let position = ledger.head.load()
            if ledger.publishing.load() == ordinal { return Cursor(position: position, ordinal: ordinal) }
        }
    }

    /// Before the oldest record.
    public var start: Cursor {
        while true {
            let oldest = ledger.oldestSegment.load()
            let ordinal = unsafe header(oldest).pointee.firstOrdinal
            ebee_fence()
            if isHeld(oldest) { return cursor(segment: oldest, ordinal: ordinal) }
        }
    }

    /// Where a reader of before stood. Where some of the events behind it were given up, it stands where they were, so that they
    /// count as missed by whoever reads from there.
    public func cursor(_ bookmark: Bookmark) -> Cursor {
        var cursor = start
        guard bookmark.ordinal >= cursor.ordinal else { return Cursor(position: 0, ordinal: bookmark.ordinal) }
        for segment in segments {
            guard let next = self.cursor(segment: segment), next.ordinal <= bookmark.ordinal else { break }
            // Marks at the end of a segment belong to what is before the first event of the next.
            if next.ordinal == bookmark.ordinal, next.position > bookmark.position { break }
            cursor = next
        }
        let batch = Batch()
        func isBefore(_ record: RecordHeader, _ cursor: Cursor) -> Bool {
            cursor.ordinal < bookmark.ordinal || record.sequence == 0 && cursor.position < bookmark.position
        }
        while case .records = read(batch, at: &cursor) {
            while let record = batch.next {
                guard isBefore(record, cursor) else { return cursor }
                _ = batch.take(moving: &cursor) { _, _, _ in }
            }
        }
        return cursor
    }

    /// Before the first segment that can hold a record of boot time `time` or later.
    public func cursor(since time: UInt64) -> Cursor {
        let time = time > Self.disorder ? time - Self.disorder : 0
        var cursor = start
        let newest = ledger.head.load() / UInt64(segmentBytes)
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
            let head = ledger.head.load()
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
        // In this order, so that the end is behind the start.
        let start = self.start
        let end = self.end
        let oldest = unsafe header(start.position / UInt64(segmentBytes)).pointee
        let newest = newestTime
        return State(
            capacityBytes: segmentBytes * segmentCount, usedBytes: Int(end.position - start.position),
            events: end.ordinal &- start.ordinal,
            evicted: start.ordinal, oldest: oldest.firstTime == 0 ? nil : oldest.firstTime, newest: newest)
    }

    /// Boot time of the newest record; nil while there is none.
    public var newestTime: UInt64? {
        var segment = ledger.head.load() / UInt64(segmentBytes)
        // A segment that was begun because of its age may still be empty.
        while true {
            let last = unsafe header(segment).pointee.lastTime
            if last != 0 { return last }
            if segment <= ledger.oldestSegment.load() { return nil }
            segment -= 1
        }
    }

    private func isHeld(_ segment: UInt64) -> Bool { segment >= ledger.oldestSegment.load() }

    private func cursor(segment: UInt64, ordinal: UInt64) -> Cursor {
        Cursor(position: segment * UInt64(segmentBytes) + UInt64(Self.headerBytes), ordinal: ordinal)
    }

    // MARK: - Memory

    private func address(_ position: UInt64) -> UnsafeMutableRawPointer {
        unsafe memory.base + ledgerBytes + Int(position % UInt64(segmentBytes * segmentCount))
    }

    private func header(_ segment: UInt64) -> UnsafeMutablePointer<SegmentHeader> {
        unsafe address(segment * UInt64(segmentBytes)).assumingMemoryBound(to: SegmentHeader.self)
    }
}
