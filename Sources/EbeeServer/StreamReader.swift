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

    /// Goes on at `cursor`.
    mutating func move(to cursor: Window.Cursor) { self.cursor = cursor }

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

    /// The positions and times in one segment of what matches, and of marks, in order, and how many events came before
    /// it; nil when it was given up.
    mutating func matches(segment: UInt64, before end: UInt64, _ batch: Batch) -> (found: [Match], ordinal: UInt64)? {
        guard var cursor = source.window.cursor(segment: segment) else { return nil }
        let ordinal = cursor.ordinal
        var found: [Match] = []
        reading: while source.window.segment(of: cursor) == segment {
            switch source.window.read(batch, at: &cursor) {
            case .records: break
            case .end: break reading
            case .evicted: return nil
            }
            while let next = batch.next, source.window.segment(of: cursor) == segment {
                let isMatch = batch.take(moving: &cursor) { header, bytes, position in
                    position < end && isWanted(header, bytes)
                }
                if isMatch == true {
                    found.append(
                        Match(
                            position: cursor.position - UInt64(next.size), time: next.time, isEvent: next.sequence != 0)
                    )
                }
            }
        }
        return (found, ordinal)
    }

    /// Writes the record at a position that `matches` found; false when it was given up since.
    mutating func write(at position: UInt64, _ writer: inout JSONWriter) -> Bool {
        guard let record = source.window.copy(at: position) else {
            lost += 1
            return false
        }
        let bytes = unsafe record.span.bytes
        _ = write(bytes.head(RecordHeader.self), bytes, position, &writer)
        return true
    }

    struct Match {
        let position: UInt64
        let time: UInt64
        /// False of a mark.
        let isEvent: Bool
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
            return matcher.matches(record, bytes)
        case RecordKind.delete:
            guard header.time >= since, header.time <= until, let record = try? DeleteRecord(bytes) else {
                return false
            }
            return matcher.matches(record, bytes) { deleter(of: record) }
        default:
            return false
        }
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
            lost += mark.count
            writer.lost(mark, stream: source.event)
        case RecordKind.exec:
            if let record = try? ProcessRecord(bytes) { writer.exec(record, bytes, cursor: eventCursor(position)) }
        case RecordKind.delete:
            if let record = try? DeleteRecord(bytes) {
                writer.delete(record, bytes, by: deleter(of: record), cursor: eventCursor(position))
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
        writer.lost(mark, stream: source.event)
        writer.endObject()
        writer.endLine()
    }
}

/// Walks a stream from its newest record to its oldest, a segment at a time.
struct BackwardReader {
    private var reader: StreamReader
    private let end: UInt64
    private let since: UInt64
    /// The segment to look at next; nil when there is none.
    private var segment: UInt64?
    /// What the last segment held and was not taken yet.
    private var matches: [StreamReader.Match] = []
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
        self.since = since
        let window = reader.source.window
        segment = window.segment(of: end)
        let start = since == 0 ? window.start : window.cursor(since: since)
        lowest = window.segment(of: start)
        begin = start.ordinal
        reached = end.ordinal
    }

    var lost: UInt64 { reader.lost + missed }

    /// Time of the next match, that is, of the one before; nil when there is none.
    mutating func nextTime(_ batch: Batch) -> UInt64? {
        while matches.isEmpty, let current = segment {
            segment = current > lowest ? current - 1 : nil
            guard let (found, ordinal) = reader.matches(segment: current, before: end, batch) else {
                segment = nil
                missed += reached > begin ? reached - begin : 0
                break
            }
            matches = found
            reached = ordinal
        }
        return matches.last?.time
    }

    mutating func take() -> StreamReader.Match? { matches.popLast() }

    mutating func write(_ match: StreamReader.Match, _ writer: inout JSONWriter) -> Bool {
        reader.write(at: match.position, &writer)
    }
}
