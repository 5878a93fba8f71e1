import CEvents
import EbeeRecord
import EbeeWindow
import Glibc

/// The journal writer's thread: its positions, and the entry under way.
struct JournalRun: ~Copyable {
    private let streams: [JournalWriter.Stream]
    private var cursors: [Window.Cursor]
    private var bursts: [Bursts]
    private let shared: JournalWriter.Shared
    private let doorbell: Doorbell
    private let log: @Sendable (String) -> Void
    private let batch = Batch()
    private var entry = JournalEntry()
    private let users = UserNames()
    private var settings: JournalWriter.Settings
    private var state = JournalState()
    /// Events that did not reach the journal since it went, and when that began (boot time).
    private var unreported: (count: UInt64, since: UInt64) = (0, 0)

    private static let socket = "/run/systemd/journal/socket"

    init(
        _ streams: [JournalWriter.Stream], _ shared: JournalWriter.Shared, _ doorbell: Doorbell,
        _ log: @escaping @Sendable (String) -> Void
    ) {
        self.streams = streams
        self.shared = shared
        self.doorbell = doorbell
        self.log = log
        // Where the process before this one came to, if there was one: what it wrote is not written again.
        let bookmarks = streams.map(\.window.bookmark)
        cursors = zip(streams, bookmarks).map { stream, bookmark in
            bookmark.map { stream.window.cursor(ordinal: $0.ordinal) } ?? stream.window.start
        }
        unreported.count = bookmarks.reduce(0) { $0 + ($1?.missed ?? 0) }
        unreported.since = bookmarks.compactMap { $0?.missedSince }.filter { $0 > 0 }.min() ?? 0
        bursts = streams.map { _ in Bursts() }
        settings = shared.settings.withLock { $0 }
        state.taken = streams.map { _ in nil }
    }

    mutating func loop() {
        var isStopping = false
        publish()
        while !isStopping {
            isStopping = shared.stopping.load(ordering: .acquiring)
            settings = shared.settings.withLock { $0 }
            checkAvailability()
            // Asked before looking, so that nothing that comes in between is slept through.
            doorbell.notify { [shared] in shared.bell.signal() }
            for index in streams.indices { follow(index) }
            publish()
            if !isStopping { shared.bell.wait(milliseconds: 1000) }
        }
    }

    /// sd_journal_sendv(3) reports success where there is no journald: its socket tells.
    private mutating func checkAvailability() {
        let isThere = unsafe access(Self.socket, W_OK) == 0
        if !isThere, state.isAvailable { lose(journal: "there is no \(Self.socket)") }
        guard isThere, !state.isAvailable else { return }
        // A socket may outlive its journald: the proof that it is back is an entry that it takes.
        let (count, since) = unreported
        if count > 0 {
            entry.lost(
                "\(count) events did not reach the journal while it was away", count: count, from: since,
                to: Clock.boot(),
                why: "journal", stream: nil)
            if entry.send() != 0 { return }
            unreported = (0, 0)
        }
        state.isAvailable = true
        log("the journal is back")
    }

    private mutating func lose(journal reason: String) {
        state.isAvailable = false
        log("the journal takes no entries (\(reason)): events are kept in the window only, and counted")
    }

    /// Writes what is new in a stream.
    private mutating func follow(_ index: Int) {
        let stream = streams[index]
        guard settings.events.contains(stream.event) else {
            cursors[index] = stream.window.end
            return
        }
        while true {
            let behind = stream.window.end.ordinal &- cursors[index].ordinal
            let isFolding = behind > settings.backlog || (bursts[index].isOpen && behind > settings.backlog / 2)
            switch stream.window.read(batch, at: &cursors[index]) {
            case .end:
                flush(index)
                return
            case .evicted(let count):
                entry.lost(
                    "\(count) events were given up before the journal took them", count: count, from: nil,
                    to: Clock.boot(),
                    why: "evicted", stream: stream.event)
                // Said here and now, or with the rest when the journal is back.
                if send() { state.lost += count } else { missed(count) }
            case .records:
                if !isFolding { flush(index) }
                take(index, stream, isFolding: isFolding)
            }
            publish()
        }
    }

    private mutating func take(_ index: Int, _ stream: JournalWriter.Stream, isFolding: Bool) {
        var cursor = cursors[index]
        while let header = batch.next {
            if header.kind == RecordKind.process {
                _ = batch.take(moving: &cursor) { _, _, _ in }
                continue
            }
            if isFolding, header.sequence != 0 {
                if bursts[index].isFull { flush(index) }
                _ = batch.take(moving: &cursor) { header, bytes, _ in bursts[index].add(header, bytes, stream.window) }
                continue
            }
            let isEvent = header.sequence != 0
            if !state.isAvailable {
                // Nothing is put into words that nobody will take.
                if isEvent { missed(1) }
                _ = batch.take(moving: &cursor) { _, _, _ in }
                continue
            }
            let isWritten = batch.take(moving: &cursor) { header, bytes, _ in write(header, bytes, stream) }
            if isEvent, isWritten == true { state.written += 1 }
            // At once: of what is in the journal, a process that is killed leaves one entry at most that is written again.
            if !bursts[index].isOpen { streams[index].window.bookmark?.ordinal = cursor.ordinal }
        }
        cursors[index] = cursor
    }

    private mutating func write(_ header: RecordHeader, _ bytes: RawSpan, _ stream: JournalWriter.Stream) -> Bool {
        switch header.kind {
        case RecordKind.exec:
            guard let record = try? ProcessRecord(bytes) else { return false }
            entry.exec(record, bytes, users)
        case RecordKind.delete:
            guard let record = try? DeleteRecord(bytes) else { return false }
            let process = stream.window.copy(at: record.fixed.process).flatMap { try? StoredProcess($0) }
            entry.delete(record, bytes, by: process, users)
        case RecordKind.lost:
            let mark = bytes.head(ebee_lost.self)
            let why = EventName.why(mark.why)
            entry.lost(
                "\(mark.count) events of the stream \(stream.event) were lost: \(why)", count: mark.count,
                from: mark.from,
                to: mark.to, why: why, stream: stream.event)
        default: return false
        }
        return send(isEvent: header.sequence != 0)
    }

    /// Writes the bursts of a stream that are being gathered.
    private mutating func flush(_ index: Int) {
        guard bursts[index].isOpen else { return }
        for burst in bursts[index].close() {
            entry.burst(burst, stream: streams[index].event, users)
            if send(isEvent: false) { state.folded += burst.count } else { missed(burst.count) }
        }
    }

    /// Sends the entry; counts an event that the journal did not take.
    private mutating func send(isEvent: Bool = false) -> Bool {
        if state.isAvailable {
            let errno = entry.send()
            if errno == 0 { return true }
            unsafe lose(journal: String(cString: strerror(errno)))
        }
        if isEvent { missed(1) }
        return false
    }

    private mutating func missed(_ count: UInt64) {
        if unreported.count == 0 { unreported.since = Clock.boot() }
        unreported.count += count
        state.lost += count
    }

    private mutating func publish() {
        for index in streams.indices {
            state.taken[index] = settings.events.contains(streams[index].event) ? cursors[index].ordinal : nil
            // What is gathered in a burst is not in the journal yet.
            if !bursts[index].isOpen {
                streams[index].window.bookmark = Bookmark(
                    ordinal: cursors[index].ordinal, missed: index == 0 ? unreported.count : 0,
                    missedSince: index == 0 ? unreported.since : 0)
            }
        }
        shared.state.withLock { $0 = state }
    }
}

/// Names of users, looked up once. A name may change, so they are forgotten when too many have come together.
final class UserNames {
    private static let limit = 1024
    private var names: [UInt32: String?] = [:]

    func name(of user: UInt32) -> String? {
        if let known = names[user] { return known }
        if names.count >= Self.limit { names.removeAll() }
        let entry = unsafe getpwuid(user)
        let name = unsafe entry.map { unsafe String(cString: $0.pointee.pw_name) }
        names[user] = .some(name)
        return name
    }
}
