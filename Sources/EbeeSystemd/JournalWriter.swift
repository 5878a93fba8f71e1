import CEvents
import EbeeRecord
import EbeeWindow
import Glibc
import Synchronization

/// What the writer has done, for `status`.
public struct JournalState: Sendable {
    /// journald takes entries.
    public internal(set) var isAvailable = true
    /// Events that were written as entries of their own.
    public internal(set) var written: UInt64 = 0
    /// Events that `burst` entries stand for.
    public internal(set) var folded: UInt64 = 0
    /// Events that did not reach the journal.
    public internal(set) var lost: UInt64 = 0
    /// Events that wait to be written.
    public internal(set) var behind: UInt64 = 0
    /// How long the oldest of them has waited, in nanoseconds; nil where none does.
    public internal(set) var lag: UInt64?
    /// How far the writer has come in each stream; nil where the stream is not written.
    var progress: [Progress?] = []

    struct Progress {
        let cursor: Window.Cursor
        /// Count of the events that are in the journal or accounted for.
        let settled: UInt64
        /// Events before the cursor that are lost: those not counted as such yet, and those counted since `settled`.
        let gap: UInt64
        let missing: UInt64
        /// Boot time of the oldest event that is folded and not yet written.
        let oldest: UInt64?
    }
}

/// Writes events to the journal, on a thread of its own with a position of its own in each window: when journald is slow, this thread
/// waits and nothing else does. What comes faster than its rate, or waits in a number beyond its backlog, it folds into `burst` entries.
public final class JournalWriter: Sendable {
    /// A stream that may be written.
    public struct Stream: Sendable {
        let event: String
        let window: Window
        /// - Parameter event: `exec` or `delete`.
        public init(event: String, window: Window) {
            self.event = event
            self.window = window
        }
    }

    /// What can be changed while it runs.
    public struct Settings: Sendable, Equatable {
        /// The events (`exec`, `delete`) that are written.
        public var events: Set<String>
        /// How many entries may be written in the long run.
        public var entriesPerSecond: UInt64
        /// How many may be written at once after a quiet time, and how many events may wait, before they are folded.
        public var backlog: UInt64
        /// Settings within the ranges that the configuration allows.
        public init(events: Set<String>, entriesPerSecond: UInt64, backlog: UInt64) {
            self.events = events
            self.entriesPerSecond = entriesPerSecond
            self.backlog = backlog
        }
    }

    private let streams: [Stream]
    private static let niceness: Int32 = 10

    private let shared: Shared
    private let doorbell: Doorbell

    final class Shared: Sendable {
        let settings: Mutex<Settings>
        let state = Mutex(JournalState())
        let stopping = Atomic<Bool>(false)
        let bell = Semaphore()

        init(_ settings: Settings) { self.settings = Mutex(settings) }
    }

    /// Starts the thread.
    /// - Parameters:
    ///   - doorbell: rings for every stream.
    ///   - log: told, once each time, when journald goes and comes.
    ///   - ended: called on the thread at its end.
    public init(
        _ streams: [Stream], settings: Settings, doorbell: Doorbell, log: @escaping @Sendable (String) -> Void,
        ended: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        let shared = Shared(settings)
        self.streams = streams
        self.shared = shared
        self.doorbell = doorbell
        try startThread(name: "ebee-journal") {
            // Where processors are short, the journal waits, and folds: whoever causes the events and the drains that record them
            // come first. On Linux this is the priority of the thread (setpriority(2)).
            setpriority(Int32(PRIO_PROCESS.rawValue), 0, Self.niceness)
            do {
                var run = try JournalRun(streams, shared, doorbell, log)
                run.loop()
            } catch {
                shared.state.withLock { $0.isAvailable = false }
                log("nothing is written to the journal: \(error)")
            }
            ended()
        }
    }

    /// What it has done so far. What waits is found when it is asked for: a writer that journald holds up counts nothing.
    public var state: JournalState {
        var state = shared.state.withLock { $0 }
        let now = Clock.boot()
        for case (let stream, let progress?) in zip(streams, state.progress) {
            let end = stream.window.end.ordinal
            let start = stream.window.start.ordinal
            let gone = progress.gap + (start > progress.cursor.ordinal ? start - progress.cursor.ordinal : 0)
            state.lost += gone
            let accounted = progress.settled + gone + progress.missing
            if end > accounted { state.behind += end - accounted }
            let oldest = progress.oldest ?? Self.firstEvent(in: stream.window, from: progress.cursor)
            if let oldest { state.lag = max(state.lag ?? 0, now - min(oldest, now)) }
        }
        return state
    }

    /// Boot time of the first event behind a cursor.
    private static func firstEvent(in window: Window, from cursor: Window.Cursor) -> UInt64? {
        let batch = Batch()
        var cursor = cursor
        while true {
            switch window.read(batch, at: &cursor) {
            case .end: return nil
            case .evicted: continue
            case .records:
                while let header = batch.next {
                    if header.sequence != 0 { return header.time }
                    _ = batch.take(moving: &cursor) { _, _, _ in }
                }
            }
        }
    }

    /// Takes effect with the next events.
    public func set(_ settings: Settings) { shared.settings.withLock { $0 = settings } }

    /// Asks the thread to write what is there and end. Should journald hang, it does not end: whoever waits must have a deadline.
    public func stop() {
        shared.stopping.store(true, ordering: .releasing)
        shared.bell.signal()
    }
}

/// A POSIX semaphore that a thread can wait on for a while.
@safe final class Semaphore: @unchecked Sendable {
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        unsafe semaphore = .allocate(capacity: 1)
        unsafe sem_init(semaphore, 0, 0)
    }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    func signal() { _ = unsafe sem_post(semaphore) }

    /// Returns at a signal, or after so many milliseconds.
    func wait(milliseconds: Int) {
        var until = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &until)
        let nanoseconds = until.tv_nsec + (milliseconds % 1000) * 1_000_000
        until.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
        until.tv_nsec = nanoseconds % 1_000_000_000
        _ = unsafe sem_timedwait(semaphore, &until)
    }
}
