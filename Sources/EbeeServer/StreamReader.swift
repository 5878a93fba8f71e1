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
    /// Where it ends; what comes after that is not the question's.
    private let end: Window.Cursor
    /// The process that the last deletion referred to: mostly also the next one's.
    private var process: (position: UInt64, record: StoredProcess?)?
    /// Boot time of the last record that was looked at.
    private var lastTime: UInt64

    /// Events that are known to be lost, of those that were read; and those that were given up before this reader came to them.
    private(set) var lost: UInt64 = 0
    /// Of the latter, those that a look backwards came too late for and that are to be told of first.
    private var untold: Evicted?

    /// Events that were given up, at most so many, and the boot times between which they happened.
    struct Evicted {
        var count: UInt64
        var from: UInt64
        var to: UInt64
    }

    /// - Parameters:
    ///   - cursor: where it begins.
    ///   - end: where it ends; nil: never.
    init(
        _ source: Source, id: RequestID, filter: Filter, from cursor: Window.Cursor, to end: Window.Cursor? = nil,
        since: UInt64 = 0, until: UInt64 = .max
    ) {
        self.source = source
        matcher = Matcher(filter)
        self.id = id.json
        self.cursor = cursor
        self.end = end ?? Window.Cursor(position: .max, ordinal: .max)
        self.since = since
        self.until = until
        lastTime = end == nil ? Clock.boot() : max(since, source.window.coveredSince)
    }

    /// Fills the batch when it is empty; returns the time of the next record, nil when there is none. What this reader has come
    /// too late for is written as a mark.
    mutating func nextTime(_ batch: Batch, _ writer: inout JSONWriter) -> UInt64? {
        if let untold { write(untold, &writer) }
        untold = nil
        while true {
            if let next = batch.next { return cursor.position < end.position ? next.time : nil }
            let ordinal = cursor.ordinal
            switch source.window.read(batch, at: &cursor) {
            case .records: continue
            case .end: return nil
            case .evicted(let count): miss(min(count, end.ordinal &- min(ordinal, end.ordinal)), &writer)
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

    /// A record that matches, marks included, by how many bytes and events of its segment come before it: which keeps a walk
    /// backwards small.
    struct Match {
        let bytes: UInt32
        let events: UInt32
    }

    /// A look through one segment.
    struct Scan {
        let segment: UInt64
        /// Before its first record.
        let begin: Window.Cursor
        /// In order.
        fileprivate(set) var found: [Match] = []
        /// Boot time of its first record; 0 where it has none.
        fileprivate(set) var firstTime: UInt64 = 0
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
        source.window.cursor(segment: segment).map { Scan(segment: segment, begin: $0, cursor: $0) }
    }

    /// Looks on until the turn is over.
    mutating func go(on scan: inout Scan, _ batch: Batch, _ turn: Turn) -> Progress {
        batch.clear()
        while source.window.segment(of: scan.cursor) == scan.segment {
            guard batch.next != nil else {
                switch source.window.read(batch, at: &scan.cursor) {
                case .records: continue
                case .end: return .whole
                case .evicted: return .evicted
                }
            }
            let cursor = scan.cursor
            let isMatch = batch.take(moving: &scan.cursor) { header, bytes, position in
                if scan.firstTime == 0 { scan.firstTime = header.time }
                return position < end.position && isWanted(header, bytes)
            }
            if isMatch == true {
                scan.found.append(
                    Match(
                        bytes: UInt32(cursor.position - scan.begin.position),
                        events: UInt32(cursor.ordinal - scan.begin.ordinal)))
            }
            if turn.isOver { return .part }
        }
        return .whole
    }

    /// Between which places this looks.
    var range: (from: Window.Cursor, to: Window.Cursor) { (cursor, end) }

    /// Goes on at a record that was found, of boot time `time`; the one there may be given up meanwhile, as any other. First, it tells
    /// what a look backwards came too late for.
    mutating func begin(at found: Window.Cursor, time: UInt64, missed: Evicted?) {
        cursor = found
        lastTime = time
        untold = missed
    }

    /// Writes the record at a position that was found; returns whether an event was written, nil when it was given up.
    mutating func write(at position: UInt64, _ writer: inout JSONWriter) -> Bool? {
        guard let record = source.window.copy(at: position) else { return nil }
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
            if let owner = source.view.owner, record.fixed.uid != owner || record.fixed.euid != owner { return false }
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

    /// Of a deletion that was asked for with the rights of that user and no others. Where its process isn't known, it isn't shown, and
    /// the answer isn't complete.
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

    /// So many were given up behind the last record that was looked at.
    private mutating func miss(_ count: UInt64, _ writer: inout JSONWriter) {
        // Those that happened after what is asked about are not missed.
        guard count > 0, until == .max || lastTime <= until + Window.disorder else { return }
        let to = max(lastTime, min(until, source.window.state.oldest ?? Clock.boot()))
        write(Evicted(count: count, from: lastTime, to: to), &writer)
    }

    /// Writes a mark in place of events that were given up.
    mutating func write(_ evicted: Evicted, _ writer: inout JSONWriter) {
        var mark = ebee_lost()
        mark.count = evicted.count
        mark.from = evicted.from
        mark.to = evicted.to
        mark.why = EBEE_EVICTED.rawValue
        lost &+= evicted.count
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
    /// Where the walk ends, and where it began.
    private let start: Window.Cursor
    private let end: Window.Cursor
    /// The segment to look at next; nil when there is none.
    private var segment: UInt64?
    /// The oldest segment there was when the question came.
    private let lowest: UInt64
    /// A look through that segment that is not at its end.
    private var scan: StreamReader.Scan?
    /// Where the segment begins that was looked through last, and what of it was not taken yet.
    private var base: Window.Cursor
    private var matches: [StreamReader.Match] = []
    /// Boot time back to which all was looked at.
    private var reached: UInt64 = .max
    /// Events that were given up before this reader came to them.
    private var missed: UInt64 = 0

    /// Over what `reader` would read.
    init(_ reader: StreamReader) {
        self.reader = reader
        (start, end) = reader.range
        base = end
        segment = reader.source.window.segment(of: end)
        lowest = reader.source.window.segment(of: start)
    }

    /// What `next` found.
    enum Found {
        case match(Window.Cursor, header: RecordHeader)
        /// The turn is over before it is known.
        case later
        case none
    }

    /// The next match, that is, the one before.
    mutating func next(_ batch: Batch, _ turn: Turn) -> Found {
        while true {
            if let match = matches.last {
                let cursor = Window.Cursor(
                    position: base.position + UInt64(match.bytes), ordinal: base.ordinal + UInt64(match.events))
                if let header = reader.source.window.header(at: cursor.position) {
                    return .match(cursor, header: header)
                }
                // Given up since it was found, and all before it too.
                reached = .max
                return giveUp(before: cursor.ordinal + 1)
            }
            guard let current = segment else { return .none }
            guard var scan = scan ?? reader.scan(segment: current) else { return giveUp(before: base.ordinal) }
            switch reader.go(on: &scan, batch, turn) {
            case .evicted: return giveUp(before: base.ordinal)
            case .part:
                self.scan = scan
                return .later
            case .whole:
                self.scan = nil
                segment = current > lowest ? current - 1 : nil
                base = scan.begin
                matches = scan.found
                if scan.firstTime != 0 { reached = min(reached, scan.firstTime) }
            }
        }
    }

    private mutating func giveUp(before ordinal: UInt64) -> Found {
        scan = nil
        segment = nil
        matches.removeAll()
        missed += ordinal > start.ordinal ? ordinal - start.ordinal : 0
        return .none
    }

    /// Moves on behind the match that `next` returned.
    mutating func take() { _ = matches.popLast() }

    /// Writes the match that `next` returned and moves on; returns whether an event was written.
    mutating func write(_ match: Window.Cursor, _ writer: inout JSONWriter) -> Bool {
        take()
        if let isEvent = reader.write(at: match.position, &writer) { return isEvent }
        missed += 1
        reached = .max
        return false
    }

    /// What it came too late for, with `time` where nothing before that boot time is asked about any more.
    /// - Parameter begin: boot time at which what is asked about begins.
    func evicted(since begin: UInt64, narrowedTo time: UInt64?) -> StreamReader.Evicted? {
        if missed == 0 { return nil }
        if let time, reached <= time, time - reached >= Window.disorder { return nil }
        let to = reached < .max ? reached : reader.source.window.coveredSince
        return StreamReader.Evicted(count: missed, from: min(begin, to), to: to)
    }
}
