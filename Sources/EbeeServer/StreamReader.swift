import CEvents
import EbeeProtocol
import EbeeRecord
import EbeeWindow

/// Finds a stream's matching records, at a position of its own, and writes them as lines.
struct StreamReader {
    let source: Source
    private let matcher: Matcher
    private let id: [UInt8]
    /// What is not asked about, by boot time: before and behind these.
    private let since: UInt64
    private let until: UInt64
    private var cursor: Window.Cursor
    /// The process that the last deletion referred to: mostly also the next one's.
    private var process: (position: UInt64, record: StoredProcess?)?
    /// Boot time of the last record that was looked at.
    private var lastTime: UInt64

    /// Events that were given up before this reader came to them.
    private(set) var lost: UInt64 = 0

    /// - Parameter begin: boot time from which on what is given up is missed.
    init(
        _ source: Source, id: RequestID, filter: Filter, from cursor: Window.Cursor, since: UInt64, until: UInt64,
        begin: UInt64
    ) {
        self.source = source
        matcher = Matcher(filter)
        self.id = id.json
        self.cursor = cursor
        self.since = since
        self.until = until
        lastTime = begin
    }

    var position: UInt64 { cursor.position }

    /// Fills the batch when it is empty; returns the time of the next record, nil when there is none. What this reader has come
    /// too late for is written as a mark.
    mutating func nextTime(_ batch: Batch, _ writer: inout JSONWriter) -> UInt64? {
        while true {
            if let next = batch.next { return next.time }
            switch source.window.read(batch, at: &cursor) {
            case .records: continue
            case .end: return nil
            case .evicted(let count): markEvicted(count, &writer)
            }
        }
    }

    /// Takes the next record of the batch and writes it if it matches. Returns whether an event was written.
    mutating func take(_ batch: Batch, _ writer: inout JSONWriter) -> Bool {
        var cursor = cursor
        let matched = batch.take(moving: &cursor) { header, bytes, position in
            write(header, bytes, position, &writer)
        }
        self.cursor = cursor
        return matched ?? false
    }

    /// A look through one segment.
    struct Scan {
        let segment: UInt64
        /// How many events came before the segment.
        let ordinal: UInt64
        /// Where what matches is, marks included, in order: bytes from the segment's beginning, which keeps a walk
        /// backwards small.
        fileprivate(set) var found: [UInt32] = []
        fileprivate var cursor: Window.Cursor
    }

    /// How far a scan got.
    enum Progress {
        case whole
        case part
        case evicted
    }

    /// Begins to look through a segment; nil when it was given up.
    func scan(segment: UInt64) -> Scan? {
        source.window.cursor(segment: segment).map { Scan(segment: segment, ordinal: $0.ordinal, cursor: $0) }
    }

    /// Looks on, at what is before `end`, until the turn is over.
    mutating func go(on scan: inout Scan, before end: UInt64, _ batch: Batch, _ turn: Turn) -> Progress {
        let begin = scan.segment * UInt64(source.window.segmentBytes)
        batch.clear()
        while source.window.segment(of: scan.cursor) == scan.segment {
            guard batch.next != nil else {
                switch source.window.read(batch, at: &scan.cursor) {
                case .records: continue
                case .end: return .whole
                case .evicted: return .evicted
                }
            }
            let position = scan.cursor.position
            let isMatch = batch.take(moving: &scan.cursor) { header, bytes, position in
                position < end && isWanted(header, bytes)
            }
            if isMatch == true { scan.found.append(UInt32(position - begin)) }
            if turn.isOver { return .part }
        }
        return .whole
    }

    /// Goes on at the record at `position`, or at the oldest one left.
    mutating func move(to position: UInt64, _ batch: Batch) {
        guard var cursor = source.window.cursor(segment: position / UInt64(source.window.segmentBytes)) else {
            // Read as given up: what was there is counted, and marked.
            return
        }
        while cursor.position < position, case .records = source.window.read(batch, at: &cursor) {
            while batch.next != nil, cursor.position < position { _ = batch.take(moving: &cursor) { _, _, _ in } }
        }
        batch.clear()
        self.cursor = cursor
    }

    /// Writes the record at a position that `matches` found; returns whether an event was written, nil when it was given up.
    mutating func write(at position: UInt64, _ writer: inout JSONWriter) -> Bool? {
        guard let record = source.window.copy(at: position) else {
            lost += 1
            return nil
        }
        let bytes = unsafe record.span.bytes
        return write(bytes.head(RecordHeader.self), bytes, position, &writer)
    }

    // MARK: - One record

    private mutating func isWanted(_ header: RecordHeader, _ bytes: RawSpan) -> Bool {
        lastTime = header.time
        switch header.kind {
        case RecordKind.lost:
            let mark = bytes.head(ebee_lost.self)
            return mark.to >= since && mark.from <= until
        case RecordKind.exec:
            guard header.time >= since, header.time <= until, let record = try? ProcessRecord(bytes) else {
                return false
            }
            return isOwn(record) && matcher.matches(record, bytes)
        case RecordKind.delete:
            guard header.time >= since, header.time <= until, let record = try? DeleteRecord(bytes) else {
                return false
            }
            if let owner = source.view.owner, record.fixed.uid != owner { return false }
            // Whose it is comes first: what is hidden must not be found out through a filter.
            return isOwn(record) && matcher.matches(record, bytes) { deleter(of: record) }
        default:
            return false
        }
    }

    /// Whether a process ran as the user whose events are shown: with no other rights than theirs. Programs that are
    /// set-user-id and servers that act for a user for a while are not the user's.
    private func isOwn(_ record: ProcessRecord) -> Bool {
        guard let owner = source.view.owner else { return true }
        return record.fixed.uid == owner && record.fixed.euid == owner
    }

    /// A deletion has the real user alone. Where the rest isn't known, it may be one of theirs: it isn't shown, and the answer
    /// isn't complete.
    private mutating func isOwn(_ record: DeleteRecord) -> Bool {
        guard source.view.owner != nil else { return true }
        guard let process = deleter(of: record) else {
            lost += 1
            return false
        }
        return isOwn(process.record)
    }

    /// Returns whether an event, not a mark, was written.
    private mutating func write(
        _ header: RecordHeader, _ bytes: RawSpan, _ position: UInt64, _ writer: inout JSONWriter
    ) -> Bool {
        guard isWanted(header, bytes) else { return false }
        writer.beginObject()
        writer.json("id", id)
        switch header.kind {
        case RecordKind.lost:
            let mark = bytes.head(ebee_lost.self)
            lost &+= mark.count
            writer.lost(mark, stream: source.event, scope: source.view.scope)
        case RecordKind.exec:
            if let record = try? ProcessRecord(bytes) {
                writer.exec(record, bytes, cursor: eventCursor(position), scope: source.view.scope)
            }
        case RecordKind.delete:
            if let record = try? DeleteRecord(bytes) {
                writer.delete(
                    record, bytes, by: deleter(of: record), cursor: eventCursor(position), scope: source.view.scope)
            }
        default: break
        }
        writer.endObject()
        writer.endLine()
        return header.kind != RecordKind.lost
    }

    private mutating func deleter(of record: DeleteRecord) -> StoredProcess? {
        let position = record.fixed.process
        guard position != 0 else { return nil }
        if let process, process.position == position { return process.record }
        let stored = source.window.copy(at: position).flatMap { try? StoredProcess($0) }
        process = (position, stored)
        return stored
    }

    private func eventCursor(_ position: UInt64) -> EventCursor {
        EventCursor(stream: source.event.first ?? "?", window: source.window.identity, position: position)
    }

    private mutating func markEvicted(_ count: UInt64, _ writer: inout JSONWriter) {
        var mark = ebee_lost()
        mark.count = count
        mark.from = lastTime
        mark.to = max(lastTime, source.window.state.oldest ?? Clock.boot())
        mark.why = EBEE_EVICTED.rawValue
        lost += count
        writer.beginObject()
        writer.json("id", id)
        writer.lost(mark, stream: source.event, scope: source.view.scope)
        writer.endObject()
        writer.endLine()
    }
}

/// Walks a stream from its newest record to its oldest, a segment at a time.
struct BackwardReader {
    private(set) var reader: StreamReader
    private let end: UInt64
    /// The segment to look at next; nil when there is none.
    private var segment: UInt64?
    /// A look through that segment that is not at its end.
    private var scan: StreamReader.Scan?
    /// Where what the last segment held begins, and what of it was not taken yet.
    private var base: UInt64 = 0
    private var matches: [UInt32] = []
    /// The oldest segment there was when the question came.
    private let lowest: UInt64
    /// How many events came before what is asked about, and before what was looked at.
    private let begin: UInt64
    private var reached: UInt64
    /// Events that were given up before this reader came to them.
    private var missed: UInt64 = 0

    init(_ reader: StreamReader, before end: Window.Cursor, since: UInt64) {
        self.reader = reader
        self.end = end.position
        let window = reader.source.window
        segment = window.segment(of: end)
        let start = since == 0 ? window.start : window.cursor(since: since)
        lowest = window.segment(of: start)
        begin = start.ordinal
        reached = end.ordinal
    }

    var lost: UInt64 { reader.lost + missed }

    /// What `next` found.
    enum Found {
        case match(position: UInt64, header: RecordHeader)
        /// The turn is over before it is known.
        case later
        case none
    }

    /// The next match, that is, the one before.
    mutating func next(_ batch: Batch, _ turn: Turn) -> Found {
        while true {
            while let offset = matches.last {
                if let header = reader.source.window.header(at: base + UInt64(offset)) {
                    return .match(position: base + UInt64(offset), header: header)
                }
                // Given up since it was found, and all before it too.
                missed += UInt64(matches.count)
                matches.removeAll()
                return giveUp()
            }
            guard let current = segment else { return .none }
            guard var scan = scan ?? reader.scan(segment: current) else { return giveUp() }
            switch reader.go(on: &scan, before: end, batch, turn) {
            case .evicted: return giveUp()
            case .part:
                self.scan = scan
                return .later
            case .whole:
                self.scan = nil
                segment = current > lowest ? current - 1 : nil
                base = current * UInt64(reader.source.window.segmentBytes)
                matches = scan.found
                reached = scan.ordinal
            }
        }
    }

    private mutating func giveUp() -> Found {
        scan = nil
        segment = nil
        missed += reached > begin ? reached - begin : 0
        return .none
    }

    /// Moves on behind the match that `next` returned.
    mutating func take() { _ = matches.popLast() }

    /// Writes a match; returns whether an event was written.
    mutating func write(_ position: UInt64, _ writer: inout JSONWriter) -> Bool {
        reader.write(at: position, &writer) ?? false
    }
}
