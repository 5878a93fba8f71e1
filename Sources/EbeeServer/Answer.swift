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
/// Records after which a step ends, so that a filter that matches nothing doesn't keep others from their turn.
private let stretchRecords = 4096

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

/// `recent` in the order of time, without a limit: one pass from the first segment that can matter.
struct ForwardAnswer: Answer {
    private let id: RequestID
    private let interval: Interval
    private var readers: [StreamReader]
    /// Where each stream ended when the question came.
    private let ends: [UInt64]
    private var matched: Int64 = 0

    init(_ id: RequestID, _ recent: Recent, _ sources: [Source]) {
        self.id = id
        let interval = Interval(recent, sources)
        self.interval = interval
        ends = sources.map { $0.window.end.position }
        readers = sources.map {
            let cursor = interval.since == 0 ? $0.window.start : $0.window.cursor(since: interval.since)
            return StreamReader(
                $0, id: id, filter: recent.filter, from: cursor, since: interval.since, until: interval.until,
                begin: interval.begin)
        }
    }

    mutating func step(_ writer: inout JSONWriter) -> Step {
        let isDone = BatchPool.withBatches { batches in
            for _ in 0..<stretchRecords {
                if writer.count >= stretch { return false }
                guard let index = earliest(batches, &writer) else { return true }
                if readers[index].take(batches[index], &writer) { matched += 1 }
            }
            return false
        }
        guard isDone else { return .more }
        let lost = readers.reduce(0) { $0 + $1.lost }
        writer.append(interval.account(matched: matched, lost: lost).line(id: id))
        return .done
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

/// `recent` with a limit, or the newest first: from the end backwards, so that the newest ten cost ten.
struct BackwardAnswer: Answer {
    private let id: RequestID
    private var interval: Interval
    private let limit: Int
    private let reverse: Bool
    private var readers: [BackwardReader]
    /// What was found and is to be written the other way round.
    private var collected: [(reader: Int, match: StreamReader.Match)] = []
    private var isCollecting = true
    private var matched: Int64 = 0

    init(_ id: RequestID, _ recent: Recent, _ sources: [Source]) {
        self.id = id
        let interval = Interval(recent, sources)
        self.interval = interval
        limit = recent.limit ?? .max
        reverse = recent.reverse
        isCollecting = !recent.reverse
        readers = sources.map {
            let end = $0.window.end
            let reader = StreamReader(
                $0, id: id, filter: recent.filter, from: end, since: interval.since, until: interval.until,
                begin: interval.begin)
            return BackwardReader(reader, before: end, since: interval.since)
        }
    }

    /// The same for the backlog of a `tail`: what is before `ends`.
    init(_ id: RequestID, backlog: Int, _ readers: [StreamReader], ends: [Window.Cursor]) {
        self.id = id
        interval = Interval(Recent(), [])
        limit = backlog
        reverse = false
        self.readers = zip(readers, ends).map { BackwardReader($0, before: $1, since: 0) }
    }

    mutating func step(_ writer: inout JSONWriter) -> Step {
        if isCollecting {
            collect()
            return .more
        }
        let isDone = reverse ? writeBackwards(&writer) : writeCollected(&writer)
        guard isDone else { return .more }
        let lost = readers.reduce(0) { $0 + $1.lost }
        writer.append(interval.account(matched: matched, lost: lost).line(id: id))
        return .done
    }

    private mutating func collect() {
        BatchPool.withBatches { batches in
            for _ in 0..<stretchRecords {
                guard matched < limit, let index = latest(batches), let match = readers[index].take() else {
                    stopCollecting()
                    return
                }
                collected.append((index, match))
                if match.isEvent { matched += 1 }
            }
        }
    }

    private mutating func stopCollecting() {
        isCollecting = false
        if matched >= limit, let oldest = collected.last { interval.narrow(to: oldest.match.time) }
        matched = 0
    }

    private mutating func writeCollected(_ writer: inout JSONWriter) -> Bool {
        while writer.count < stretch {
            guard let (index, match) = collected.popLast() else { return true }
            if readers[index].write(match, &writer), match.isEvent { matched += 1 }
        }
        return false
    }

    private mutating func writeBackwards(_ writer: inout JSONWriter) -> Bool {
        BatchPool.withBatches { batches in
            while writer.count < stretch {
                if matched >= limit { return true }
                guard let index = latest(batches), let match = readers[index].take() else { return true }
                if readers[index].write(match, &writer), match.isEvent { matched += 1 }
                if matched >= limit { interval.narrow(to: match.time) }
            }
            return false
        }
    }

    private mutating func latest(_ batches: [Batch]) -> Int? {
        var latest: (index: Int, time: UInt64)?
        for index in readers.indices {
            guard let time = readers[index].nextTime(batches[index]) else { continue }
            if time >= latest?.time ?? 0 { latest = (index, time) }
        }
        return latest?.index
    }

    /// True once what a backlog asks for is written, with nothing behind it.
    mutating func backlogStep(_ writer: inout JSONWriter) -> Bool {
        if isCollecting {
            collect()
            return false
        }
        return writeCollected(&writer)
    }
}

/// `tail`: what is in the window before the question, as far as asked for, and then everything new.
struct TailAnswer: Answer {
    private var backlog: BackwardAnswer?
    private var readers: [StreamReader]

    init(_ id: RequestID, _ tail: Tail, _ sources: [Source]) {
        let ends = sources.map { $0.window.end }
        let now = Clock.boot()
        readers = zip(sources, ends).map {
            StreamReader($0, id: id, filter: tail.filter, from: $1, since: 0, until: .max, begin: now)
        }
        if tail.backlog > 0 { backlog = BackwardAnswer(id, backlog: tail.backlog, readers, ends: ends) }
    }

    mutating func step(_ writer: inout JSONWriter) -> Step {
        if backlog?.backlogStep(&writer) == false { return .more }
        backlog = nil
        return BatchPool.withBatches { batches in
            for _ in 0..<stretchRecords {
                if writer.count >= stretch { return .more }
                var earliest: (index: Int, time: UInt64)?
                for index in readers.indices {
                    guard let time = readers[index].nextTime(batches[index], &writer) else { continue }
                    if time < earliest?.time ?? .max { earliest = (index, time) }
                }
                guard let earliest else { return .wait }
                _ = readers[earliest.index].take(batches[earliest.index], &writer)
            }
            return .more
        }
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

    init(_ recent: Recent, _ sources: [Source]) {
        let now = Clock.boot()
        self.now = now
        since = recent.since.map { Self.boot($0, now: now) } ?? 0
        until = min(now, recent.until.map { Self.boot($0, now: now) } ?? now)
        covered = sources.map(\.coveredSince).max() ?? 0
    }

    /// Boot time at which what is asked about begins.
    var begin: UInt64 { since == 0 ? covered : since }

    /// Only what happened since `time` is answered for.
    mutating func narrow(to time: UInt64) { since = max(since, time) }

    func account(matched: Int64, lost: UInt64) -> Completeness {
        Completeness(
            matched: matched, complete: begin >= covered && lost == 0, from: Clock.wall(boot: max(begin, covered)),
            to: Clock.wall(boot: until), lost: Int64(clamping: lost))
    }

    /// On boot time, so that a step of the wall clock hides nothing of what is asked for by age.
    private static func boot(_ moment: Moment, now: UInt64) -> UInt64 {
        switch moment {
        case .ago: UInt64(max(1, moment.nanoseconds(now: Int64(clamping: now))))
        case .wall(let nanoseconds): max(1, Clock.boot(wall: nanoseconds))
        }
    }
}
