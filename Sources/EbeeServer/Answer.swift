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

/// Several streams read as one, in the order of time, each up to its end.
struct Merge {
    private(set) var readers: [StreamReader]
    private(set) var matched: Int64 = 0

    init(_ readers: [StreamReader]) { self.readers = readers }

    /// Events that are known to be lost, of those that were read.
    var lost: UInt64 { readers.reduce(0) { $0 &+ $1.lost } }

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
            guard let time = readers[index].nextTime(batches[index], &writer) else { continue }
            if earliest.map({ time < $0.time }) ?? true { earliest = (index, time) }
        }
        return earliest?.index
    }
}

/// `recent` in the order of time, without a limit: one pass from the first segment that can matter.
struct ForwardAnswer: Answer {
    private let id: RequestID
    private let interval: Interval
    private var merge: Merge

    init(_ question: Question) {
        id = question.id
        interval = question.interval
        merge = Merge(question.readers)
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
    private let begin: UInt64
    /// By stream: the oldest of the matches and its boot time, the end where there is none.
    private var starts: [(cursor: Window.Cursor, time: UInt64)]
    /// Boot time of the oldest match, once as many as wanted were found.
    private(set) var reachedLimit: UInt64?

    /// - Parameter begin: boot time at which what is asked about begins.
    init(_ readers: [StreamReader], since begin: UInt64, limit: Int) {
        self.readers = readers.map { BackwardReader($0) }
        self.limit = limit
        self.begin = begin
        let now = Clock.boot()
        starts = readers.map { ($0.range.to, now) }
    }

    /// Goes on for a while; returns what to write, in the order of time, once it is known where that begins.
    mutating func step() -> Merge? {
        BatchPool.withBatches { batches in
            let turn = Turn()
            repeat {
                switch found < limit ? latest(&readers, batches, turn) : .none {
                case .none: return Merge(located())
                case .later: return nil
                case .match(let index, let cursor, let header):
                    readers[index].take()
                    starts[index] = (cursor, header.time)
                    if header.sequence != 0 { found += 1 }
                    if found == limit { reachedLimit = header.time }
                }
            } while !turn.isOver
            return nil
        }
    }

    private func located() -> [StreamReader] {
        zip(readers, starts).map { backward, start in
            var reader = backward.reader
            reader.begin(
                at: start.cursor, time: start.time,
                missed: backward.evicted(since: begin, narrowedTo: reachedLimit))
            return reader
        }
    }
}

/// What several streams have next, walking backwards.
private enum Latest {
    case match(index: Int, Window.Cursor, header: RecordHeader)
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
        case .match(let cursor, let header) where header.time >= time:
            latest = .match(index: index, cursor, header: header)
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

    init(_ question: Question, limit: Int) {
        id = question.id
        interval = question.interval
        search = BackwardSearch(question.readers, since: interval.begin, limit: limit)
    }

    mutating func step(_ writer: inout JSONWriter) -> Step {
        if merge == nil {
            merge = search.step()
            if let reached = search.reachedLimit { interval.narrow(to: reached) }
            return .more
        }
        guard merge?.write(&writer) != false else { return .more }
        writer.append(interval.account(matched: merge?.matched ?? 0, lost: merge?.lost ?? 0).line(id: id))
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
    /// Boot time of the last match, once as many as wanted were found.
    private var reachedLimit: UInt64?

    init(_ question: Question, limit: Int) {
        id = question.id
        interval = question.interval
        self.limit = limit
        readers = question.readers.map { BackwardReader($0) }
    }

    mutating func step(_ writer: inout JSONWriter) -> Step {
        let isDone = BatchPool.withBatches { batches in
            let turn = Turn()
            while writer.count < stretch {
                switch matched < limit ? latest(&readers, batches, turn) : .none {
                case .none: return true
                case .later: return false
                case .match(let index, let cursor, let header):
                    if readers[index].write(cursor, &writer) { matched += 1 }
                    if matched >= limit { reachedLimit = header.time }
                }
                if turn.isOver { break }
            }
            return false
        }
        guard isDone else { return .more }
        let lost = readers.reduce(UInt64(0)) { sum, backward in
            var reader = backward.reader
            if let evicted = backward.evicted(since: interval.begin, narrowedTo: reachedLimit) {
                reader.write(evicted, &writer)
            }
            return sum &+ reader.lost
        }
        if let reachedLimit { interval.narrow(to: reachedLimit) }
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
        live = Merge(zip(sources, ends).map { StreamReader($0, id: id, filter: tail.filter, from: $1) })
        guard tail.backlog > 0 else { return }
        let readers = zip(sources, ends).map {
            StreamReader($0, id: id, filter: tail.filter, from: $0.window.start, to: $1)
        }
        search = BackwardSearch(readers, since: sources.map(\.coveredSince).min() ?? 0, limit: tail.backlog)
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

/// A `recent`, with the places in the windows that it is about.
struct Question {
    let id: RequestID
    private let recent: Recent
    let interval: Interval
    let readers: [StreamReader]

    /// - Parameters:
    ///   - now: boot time at which it came.
    ///   - arrival: of what happened until then.
    init(
        _ id: RequestID, _ recent: Recent, _ sources: [Source], now: UInt64 = Clock.boot(),
        arrival: Source.Arrival = Source.Arrival()
    ) {
        self.id = id
        self.recent = recent
        let asked = Interval.Asked(recent, now: now)
        // What is marked from here on may be counted twice, and is not overlooked.
        let isFresh = asked.isFresh || !arrival.wasThere
        let unmarked = isFresh ? sources.reduce(0) { $0 &+ $1.unmarked() } : 0
        let readers = sources.map { source in
            let start = asked.since == 0 ? source.window.start : source.window.cursor(since: asked.since)
            return StreamReader(
                source, id: id, filter: recent.filter, from: start, to: source.window.end, since: asked.since,
                until: asked.until)
        }
        self.readers = readers
        // In this order: what is given up from here on is found missing by the readers.
        let late = zip(sources, arrival.late).filter { $1 }.map { $0.0 }
        interval = Interval(asked, sources, late: late, unmarked: unmarked)
    }

    /// The answer, of the kind that is asked for.
    var answer: any Answer {
        switch (recent.reverse, recent.limit) {
        case (true, let limit): ReverseAnswer(self, limit: limit ?? .max)
        case (false, let limit?): NewestAnswer(self, limit: limit)
        case (false, nil): ForwardAnswer(self)
        }
    }
}

/// The interval that a `recent` asks about, and what can be said of it.
struct Interval {
    /// Boot times, as they were asked for.
    struct Asked {
        /// 0 where everything was asked for.
        var since: UInt64
        /// At most `now`.
        var until: UInt64
        /// When the question came.
        let now: UInt64

        init(_ recent: Recent, now: UInt64) {
            self.now = now
            since = recent.since.map { Interval.boot($0, now: now) } ?? 0
            until = min(now, recent.until.map { Interval.boot($0, now: now) } ?? now)
        }

        /// Whether a loss in this, a moment ago, may have no mark yet.
        var isFresh: Bool { now - until < Interval.markedWithin }
    }

    private var asked: Asked
    /// Where the records of every stream asked for begin.
    private let covered: UInt64
    /// Where they end, if that is before the end of what is asked about.
    private let arrived: UInt64?
    /// Events that were lost a moment ago, and that there is no mark of yet.
    private let unmarked: UInt64
    private let blindness: [Blindness]
    private let scope: Scope

    /// Within this time, a loss has its mark in the window, unless what is in the ring is held up.
    private static let markedWithin: UInt64 = 1_000_000_000

    /// - Parameter late: those of the sources in which what happened until now has not arrived.
    init(_ asked: Asked, _ sources: [Source], late: [Source], unmarked: UInt64) {
        self.asked = asked
        scope = sources.contains { $0.view.scope == .own } ? .own : .all
        covered = sources.map(\.coveredSince).max() ?? 0
        blindness = sources.map(\.window.blindness)
        self.unmarked = unmarked
        let newest = late.map { $0.window.newestTime ?? $0.window.recordingSince }.min()
        arrived = newest.flatMap { $0 <= asked.until &+ Window.disorder ? min($0, asked.until) : nil }
    }

    /// Boot time at which what is asked about begins.
    var begin: UInt64 { asked.since == 0 ? covered : asked.since }

    /// Only what happened since `time` is answered for.
    mutating func narrow(to time: UInt64) { asked.since = max(asked.since, time) }

    func account(matched: Int64, lost: UInt64) -> Completeness {
        let lost = lost &+ unmarked
        let isBlind = blindness.contains { $0.covers(from: begin, until: asked.until) }
        let to = arrived ?? asked.until
        let isCovered = begin >= covered && covered <= asked.until
        return Completeness(
            matched: matched, complete: isCovered && arrived == nil && lost == 0 && !isBlind,
            from: Clock.wall(boot: min(max(begin, covered), to)), to: Clock.wall(boot: to),
            lost: scope == .all ? Int64(clamping: lost) : nil, blind: isBlind, late: arrived != nil)
    }

    /// On boot time, so that a step of the wall clock hides nothing of what is asked for by age.
    private static func boot(_ moment: Moment, now: UInt64) -> UInt64 {
        switch moment {
        case .ago: UInt64(max(1, moment.nanoseconds(now: Int64(clamping: now))))
        case .wall(let nanoseconds): max(1, Clock.boot(wall: nanoseconds))
        }
    }
}
