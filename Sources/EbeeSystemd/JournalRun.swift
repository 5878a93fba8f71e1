import CEvents
import EbeeRecord
import EbeeWindow

/// The journal writer's thread. An event that can't be written now waits in the window. Where too many wait, or where they come faster
/// than the rate, they are folded, which needs no journal: so only what the window gives up before this thread comes
/// to see it does not reach the journal in the end.
struct JournalRun: ~Copyable {
    /// How long bursts are gathered, in nanoseconds.
    private static let interval: UInt64 = 2_000_000_000
    /// How long it must be quiet until what is missing counts as one loss; and how long that is waited for.
    private static let quiet: (least: UInt64, most: UInt64) = (2_000_000_000, 60_000_000_000)

    private let streams: [JournalWriter.Stream]
    private var followers: [Follower]
    private let shared: JournalWriter.Shared
    private let doorbell: Doorbell
    private var outlet: JournalOutlet
    private let batch = Batch()
    private var settings: JournalWriter.Settings
    private var state = JournalState()
    /// Boot times at which something was first and last found missing, since an entry told of it.
    private var found: (first: UInt64, last: UInt64) = (0, 0)

    init(
        _ streams: [JournalWriter.Stream], _ shared: JournalWriter.Shared, _ doorbell: Doorbell,
        _ log: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        settings = shared.settings.withLock { $0 }
        outlet = try JournalOutlet(settings, log)
        self.streams = streams
        self.shared = shared
        self.doorbell = doorbell
        followers = streams.map { Follower($0.window) }
        // What the process before this one had to tell yet.
        if followers.contains(where: { $0.position.missing.count > 0 }) { found = (Clock.boot(), Clock.boot()) }
    }

    mutating func loop() {
        var isStopping = false
        while !isStopping {
            isStopping = shared.stopping.load(ordering: .acquiring)
            settings = shared.settings.withLock { $0 }
            // Asked before looking, so that nothing that comes in between is slept through.
            let waiter = doorbell.notify { [shared] in shared.bell.signal() }
            for index in streams.indices {
                follow(index)
                flush(index, isStopping: isStopping)
            }
            report(isStopping: isStopping)
            outlet.look(isIdle: zip(streams, followers).allSatisfy { $1.isDone(with: $0.window) })
            publish()
            let isWaiting = !outlet.isAvailable || followers.contains { $0.bursts.isOpen }
            if !isStopping { shared.bell.wait(milliseconds: isWaiting ? 250 : 1000) }
            doorbell.forget(waiter)
        }
    }

    // MARK: - Out of the window

    /// Takes what is new in a stream when this begins; what comes meanwhile is the next round's, after the other stream.
    private mutating func follow(_ index: Int) {
        let window = streams[index].window
        let end = window.end
        guard settings.events.contains(streams[index].event) else { return followers[index].skip(to: end) }
        while followers[index].cursor.position < end.position {
            let cursor = followers[index].cursor
            let isPressed = window.segments.upperBound > window.segment(of: cursor) + UInt64(window.segmentCount / 2)
            if isPressed || end.ordinal &- cursor.ordinal > settings.backlog { followers[index].fold() }
            guard followers[index].bursts.isOpen || outlet.mayTry else { return }
            switch window.read(batch, at: &followers[index].cursor) {
            case .end: return
            case .evicted(let count): followers[index].gap += count
            case .records: if !take(index) { return }
            }
            publish()
        }
    }

    /// Takes a batch; false where the rest of it has to wait.
    private mutating func take(_ index: Int) -> Bool {
        let stream = streams[index]
        let limit = processLimit
        var cursor = followers[index].cursor
        defer {
            if !followers[index].bursts.isOpen { followers[index].settle() }
        }
        while let header = batch.next {
            let isEvent = header.sequence != 0
            if isEvent || header.kind == RecordKind.lost {
                if followers[index].gap > 0 { closeGap(index, at: header.time) }
                if !followers[index].bursts.isOpen, !outlet.allowsOne(settings) { followers[index].fold() }
                followers[index].newest = header.time
            } else {
                _ = batch.take(moving: &cursor) { _, _, _ in }
                continue
            }
            if followers[index].bursts.isOpen {
                _ = batch.take(moving: &cursor) { header, bytes, position in
                    followers[index].bursts.add(header, bytes, at: position, stream.window, limit: limit)
                }
            } else {
                let sent = batch.take(moving: &cursor) { header, bytes, _ in write(header, bytes, stream) }
                switch sent {
                case .taken?: if isEvent { state.written += 1 }
                case .lost?: if isEvent { miss(index, 1, from: header.time, to: header.time) }
                case .refused?, nil: return false
                }
            }
            followers[index].cursor = cursor
            // At once: of what is in the journal, a process that is killed leaves one entry at most that is written again.
            if !followers[index].bursts.isOpen { followers[index].settle(in: stream.window) }
        }
        followers[index].cursor = cursor
        return true
    }

    /// How many processes have bursts of their own, so that what all streams write at once stays within the rate.
    private var processLimit: Int {
        let entries = Int(settings.entriesPerSecond) * Int(Self.interval / 1_000_000_000) / max(1, streams.count)
        return max(1, min(Bursts.limit, entries - 1))
    }

    // MARK: - Into the journal

    /// Puts a record of its own into words and sends them.
    private mutating func write(_ header: RecordHeader, _ bytes: RawSpan, _ stream: JournalWriter.Stream) -> Sent {
        switch header.kind {
        case RecordKind.exec:
            guard let record = try? ProcessRecord(bytes) else { return .lost }
            outlet.entry.exec(record, bytes, outlet.users)
        case RecordKind.delete:
            guard let record = try? DeleteRecord(bytes) else { return .lost }
            let process = stream.window.copy(at: record.fixed.process).flatMap { try? StoredProcess($0) }
            outlet.entry.delete(record, bytes, by: process, outlet.users)
        default:
            let mark = bytes.head(ebee_lost.self)
            var missing = Missing()
            missing.add(mark.count, from: mark.from, to: mark.to)
            outlet.entry.lost(missing, why: EventName.why(mark.why), stream: stream.event)
        }
        return outlet.send()
    }

    /// Writes the bursts of a stream when it is time.
    private mutating func flush(_ index: Int, isStopping: Bool) {
        let now = Clock.boot()
        guard let since = followers[index].bursts.since, isStopping || now - since >= Self.interval, outlet.mayTry
        else { return }
        let stream = streams[index]
        let count = followers[index].bursts.count
        while let loss = followers[index].bursts.losses.first {
            outlet.entry.lost(loss.missing, why: EventName.why(loss.why), stream: stream.event)
            if case .refused = outlet.send() { return }
            followers[index].bursts.dropLoss()
            followers[index].save(in: stream.window)
        }
        while let burst = followers[index].bursts.all.first {
            switch write(burst, stream) {
            case .taken: if burst.count == 1 { state.written += 1 } else { state.folded += burst.count }
            case .lost: miss(index, burst.count, from: burst.from, to: burst.to)
            case .refused: return
            }
            followers[index].bursts.dropBurst()
            followers[index].save(in: stream.window)
        }
        followers[index].settle()
        // It goes on until an interval brings no more than the rate and what waits is little.
        let waiting = stream.window.end.ordinal &- followers[index].cursor.ordinal
        let isCalm = count / max(1, (now - since) / 1_000_000_000) <= settings.entriesPerSecond
        followers[index].bursts.close()
        if !isCalm || waiting > settings.backlog / 2 { followers[index].fold() }
    }

    /// One event that stayed alone in its burst is written as itself, if it is still there.
    private mutating func write(_ burst: Burst, _ stream: JournalWriter.Stream) -> Sent {
        if burst.count == 1, let bytes = stream.window.copy(at: burst.first),
            let header = try? unsafe RecordHeader(checking: bytes.span.bytes)
        {
            return unsafe write(header, bytes.span.bytes, stream)
        }
        outlet.entry.burst(burst, stream: stream.event, outlet.users)
        return outlet.send()
    }

    // MARK: - What is missing

    /// The next record after a gap is there: the gap's end is known.
    private mutating func closeGap(_ index: Int, at time: UInt64) {
        miss(index, followers[index].gap, from: followers[index].newest, to: time)
        followers[index].gap = 0
    }

    private mutating func miss(_ index: Int, _ count: UInt64, from: UInt64, to: UInt64) {
        followers[index].miss(count, from: min(from, to), to: to)
        state.lost += count
        found.last = Clock.boot()
        if found.first == 0 { found.first = found.last }
    }

    /// Writes the one entry that tells what did not reach the journal, once nothing more goes missing.
    private mutating func report(isStopping: Bool) {
        let now = Clock.boot()
        let isDue = now >= found.last + Self.quiet.least || now >= found.first + Self.quiet.most
        guard found.first != 0, isDue || isStopping, outlet.mayTry else { return }
        var all = Missing()
        var concerned: [String] = []
        for (stream, follower) in zip(streams, followers) where follower.position.missing.count > 0 {
            all.add(follower.position.missing)
            concerned.append(stream.event)
        }
        // What was given up while bursts are gathered counts when they are written.
        guard all.count > 0, isStopping || followers.allSatisfy({ $0.bursts.missing.count == 0 }) else { return }
        outlet.entry.lost(all, why: "journal", stream: concerned.count == 1 ? concerned[0] : nil)
        guard case .taken = outlet.send() else { return }
        for index in followers.indices { followers[index].position.missing = Missing() }
        found = (0, 0)
    }

    private mutating func publish() {
        state.isAvailable = outlet.isAvailable
        state.progress = zip(streams, followers).map { stream, follower in
            settings.events.contains(stream.event) ? follower.progress : nil
        }
        shared.state.withLock { $0 = state }
        for index in streams.indices { followers[index].save(in: streams[index].window) }
    }
}
