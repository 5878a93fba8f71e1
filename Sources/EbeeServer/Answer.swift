import EbeeProtocol
import EbeeRecord
import EbeeWindow
import Synchronization

/// How an answer goes on after a step.
enum Step {
    /// There is more to write.
    case more
    /// Nothing now: wait for the doorbell.
    case wait
    /// The last line is written.
    case done
}

/// An answer being given: a few words of state, and steps that each write a bounded stretch of lines. Between steps it holds
/// no records, so a client that doesn't read costs one stretch at most.
protocol Answer {
    mutating func step(_ writer: inout JSONWriter) -> Step
}

/// Bytes of lines after which a step ends.
private let stretch = 32 * 1024

/// The time that a step has: then others get their turn, however little came of it, and whatever the filter costs. It is
/// looked at after each record.
struct Turn {
    private static let nanoseconds: UInt64 = 2_000_000
    private let end = Clock.boot() + Self.nanoseconds

    var isOver: Bool { Clock.boot() >= end }
}

/// The batches that steps use: as many as there are steps at one time.
enum BatchPool {
    private final class Box: @unchecked Sendable {
        let batches: [Batch]
        init(_ count: Int) { batches = (0..<count).map { _ in Batch() } }
    }
    private static let free = Mutex<[Box]>([])

    /// Lends two batches.
    static func withBatches<Result>(_ body: ([Batch]) -> Result) -> Result {
        let box = free.withLock { $0.popLast() } ?? Box(2)
        defer { free.withLock { if $0.count < 4 { $0.append(box) } } }
        for batch in box.batches { batch.clear() }
        return body(box.batches)
    }
}

/// Several streams read as one, in the order of time, each up to an end.
struct Merge {
    private(set) var readers: [StreamReader]
    private let ends: [UInt64]
    private(set) var matched: Int64 = 0

    init(_ readers: [StreamReader], ends: [UInt64]) {
        self.readers = readers
        self.ends = ends
    }

    /// Events that are known to be lost, of those that were read.
    var lost: UInt64 { readers.reduce(0) { $0 + $1.lost } }

    /// Writes a stretch; true when nothing is left before the ends.
    mutating func write(_ writer: inout JSONWriter) -> Bool {
        BatchPool.withBatches { batches in
            let turn = Turn()
            while writer.count < stretch {
                guard let index = earliest(batches, &writer) else { return true }
                if readers[index].take(batches[index], &writer) { matched += 1 }
                if turn.isOver { break }
            }
            return false
        }
    }

    private mutating func earliest(_ batches: [Batch], _ writer: inout JSONWriter) -> Int? {
        var earliest: (index: Int, time: UInt64)?
        for index in readers.indices {
            guard let time = readers[index].nextTime(batches[index], &writer), readers[index].position < ends[index]
            else { continue }
            if time < earliest?.time ?? .max { earliest = (index, time) }
        }
        return earliest?.index
    }
}

/// `recent` in the order of time, without a limit: one pass from the first segment that can matter.
struct ForwardAnswer: Answer {
    private let id: RequestID
    private let interval: Interval
    private var merge: Merge

    init(_ id: RequestID, _ recent: Recent, _ sources: [Source]) {
        self.id = id
        let interval = Interval(recent, sources)
        self.interval = interval
        // Where each stream ended when the question came.
        let ends = sources.map { $0.window.end.position }
        let readers = sources.map {
            let cursor = interval.since == 0 ? $0.window.start : $0.window.cursor(since: interval.since)
            return StreamReader(
                $0, id: id, filter: recent.filter, from: cursor, since: interval.since, until: interval.until,
                begin: interval.begin)
        }
        merge = Merge(readers, ends: ends)
    }

    mutating func step(_ writer: inout JSONWriter) -> Step {
        guard merge.write(&writer) else { return .more }
        writer.append(interval.account(matched: merge.matched, lost: merge.lost).line(id: id))
        return .done
    }
}

/// Finds where the newest so many matches of several streams begin. Only places are kept, so that a question for the newest
/// million costs no more memory than one for the newest ten.
struct BackwardSearch {
    private var readers: [BackwardReader]
    private let limit: Int
    private var found = 0
    private let ends: [UInt64]
    /// By stream: the oldest of the matches, the end where there is none.
    private var starts: [UInt64]
    /// Boot time of the oldest match, once as many as wanted were found.
    private(set) var reachedLimit: UInt64?

    init(_ readers: [StreamReader], ends: [Window.Cursor], since: UInt64, limit: Int) {
        self.readers = zip(readers, ends).map { BackwardReader($0, before: $1, since: since) }
        self.limit = limit
        self.ends = ends.map(\.position)
        starts = self.ends
    }

    /// Events that were given up before the search came to them.
    var lost: UInt64 { readers.reduce(0) { $0 + $1.lost } }

    /// Goes on for a while; returns what to write, in the order of time, once it is known where that begins.
    mutating func step() -> Merge? {
        BatchPool.withBatches { batches in
            let turn = Turn()
            repeat {
                switch found < limit ? latest(&readers, batches, turn) : .none {
                case .none: return Merge(located(batches), ends: ends)
                case .later: return nil
                case .match(let index, let position, let header):
                    readers[index].take()
                    starts[index] = position
                    if header.sequence != 0 { found += 1 }
                    if found == limit { reachedLimit = header.time }
                }
            } while !turn.isOver
            return nil
        }
    }

    private func located(_ batches: [Batch]) -> [StreamReader] {
        zip(readers.map(\.reader), starts).map { reader, start in
            var reader = reader
            reader.move(to: start, batches[0])
            return reader
        }
    }
}

/// What several streams have next, walking backwards.
private enum Latest {
    case match(index: Int, position: UInt64, header: RecordHeader)
    /// The turn is over before it is known.
    case later
    case none
}

private func latest(_ readers: inout [BackwardReader], _ batches: [Batch], _ turn: Turn) -> Latest {
    var latest = Latest.none
    var time: UInt64 = 0
    for index in readers.indices {
        switch readers[index].next(batches[index], turn) {
        case .none: break
        case .later: return .later
        case .match(let position, let header) where header.time >= time:
            latest = .match(index: index, position: position, header: header)
            time = header.time
        case .match: break
        }
    }
    return latest
}

/// `recent` with a limit: the newest so many, in the order of time.
struct NewestAnswer: Answer {
    private let id: RequestID
    private var interval: Interval
    private var search: BackwardSearch
    private var merge: Merge?

    init(_ id: RequestID, _ recent: Recent, limit: Int, _ sources: [Source]) {
        self.id = id
        let interval = Interval(recent, sources)
        self.interval = interval
        let ends = sources.map { $0.window.end }
        let readers = zip(sources, ends).map {
            StreamReader(
                $0, id: id, filter: recent.filter, from: $1, since: interval.since, until: interval.until,
                begin: interval.begin)
        }
        search = BackwardSearch(readers, ends: ends, since: interval.since, limit: limit)
    }

    mutating func step(_ writer: inout JSONWriter) -> Step {
        if merge == nil {
            merge = search.step()
            if let reached = search.reachedLimit { interval.narrow(to: reached) }
            return .more
        }
        guard merge?.write(&writer) != false else { return .more }
        let lost = search.lost + (merge?.lost ?? 0)
        writer.append(interval.account(matched: merge?.matched ?? 0, lost: lost).line(id: id))
        return .done
    }
}

/// `recent` with the newest first, with a limit or without.
struct ReverseAnswer: Answer {
    private let id: RequestID
    private var interval: Interval
    private let limit: Int
    private var readers: [BackwardReader]
    private var matched = 0

    init(_ id: RequestID, _ recent: Recent, _ sources: [Source]) {
        self.id = id
        let interval = Interval(recent, sources)
        self.interval = interval
        limit = recent.limit ?? .max
        readers = sources.map {
            let end = $0.window.end
            let reader = StreamReader(
                $0, id: id, filter: recent.filter, from: end, since: interval.since, until: interval.until,
                begin: interval.begin)
            return BackwardReader(reader, before: end, since: interval.since)
        }
    }

    mutating func step(_ writer: inout JSONWriter) -> Step {
        let isDone = BatchPool.withBatches { batches in
            let turn = Turn()
            while writer.count < stretch {
                switch matched < limit ? latest(&readers, batches, turn) : .none {
                case .none: return true
                case .later: return false
                case .match(let index, let position, let header):
                    readers[index].take()
                    if readers[index].write(position, &writer) { matched += 1 }
                    if matched >= limit { interval.narrow(to: header.time) }
                }
                if turn.isOver { break }
            }
            return false
        }
        guard isDone else { return .more }
        let lost = readers.reduce(0) { $0 + $1.lost }
        writer.append(interval.account(matched: Int64(matched), lost: lost).line(id: id))
        return .done
    }
}

/// `tail`: what is in the window before the question, as far as asked for, and then everything new.
struct TailAnswer: Answer {
    private var search: BackwardSearch?
    private var backlog: Merge?
    private var live: Merge

    init(_ id: RequestID, _ tail: Tail, _ sources: [Source]) {
        let ends = sources.map { $0.window.end }
        let now = Clock.boot()
        let readers = zip(sources, ends).map {
            StreamReader($0, id: id, filter: tail.filter, from: $1, since: 0, until: .max, begin: now)
        }
        live = Merge(readers, ends: readers.map { _ in .max })
        if tail.backlog > 0 { search = BackwardSearch(readers, ends: ends, since: 0, limit: tail.backlog) }
    }

    mutating func step(_ writer: inout JSONWriter) -> Step {
        if search != nil {
            backlog = search?.step()
            if backlog != nil { search = nil }
            return .more
        }
        if backlog?.write(&writer) == false { return .more }
        backlog = nil
        return live.write(&writer) ? .wait : .more
    }
}

/// The interval that a `recent` asks about, and what can be said of it.
struct Interval {
    /// Boot times; 0 where everything was asked for.
    private(set) var since: UInt64
    let until: UInt64
    private let now: UInt64
    /// Where the records of every stream asked for begin.
    private let covered: UInt64
    /// Events that were lost a moment ago, if the interval reaches until now: there is no mark of them yet.
    private let unmarked: UInt64
    private let blindness: [Blindness]
    private let scope: Scope

    /// Within this time, a loss has its mark in the window.
    private static let markedWithin: UInt64 = 1_000_000_000

    init(_ recent: Recent, _ sources: [Source]) {
        let now = Clock.boot()
        self.now = now
        scope = sources.contains { $0.view.scope == .own } ? .own : .all
        since = recent.since.map { Self.boot($0, now: now) } ?? 0
        until = min(now, recent.until.map { Self.boot($0, now: now) } ?? now)
        covered = sources.map(\.coveredSince).max() ?? 0
        blindness = sources.map(\.window.blindness)
        unmarked = now - until < Self.markedWithin ? sources.reduce(0) { $0 + $1.unmarked() } : 0
    }

    /// Boot time at which what is asked about begins.
    var begin: UInt64 { since == 0 ? covered : since }

    /// Only what happened since `time` is answered for.
    mutating func narrow(to time: UInt64) { since = max(since, time) }

    func account(matched: Int64, lost: UInt64) -> Completeness {
        let lost = lost + unmarked
        let isBlind = blindness.contains { $0.covers(from: begin, until: until) }
        return Completeness(
            matched: matched, complete: begin >= covered && lost == 0 && !isBlind,
            from: Clock.wall(boot: max(begin, covered)),
            to: Clock.wall(boot: until), lost: scope == .all ? Int64(clamping: lost) : nil, blind: isBlind)
    }

    /// On boot time, so that a step of the wall clock hides nothing of what is asked for by age.
    private static func boot(_ moment: Moment, now: UInt64) -> UInt64 {
        switch moment {
        case .ago: UInt64(max(1, moment.nanoseconds(now: Int64(clamping: now))))
        case .wall(let nanoseconds): max(1, Clock.boot(wall: nanoseconds))
        }
    }
}
