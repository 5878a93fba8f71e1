import CEvents
import EbeeRecord
import EbeeWindow
import Glibc
import Synchronization

/// What the writer has done, for `status`.
public struct JournalState: Sendable {
    /// journald takes entries.
    public var isAvailable = true
    /// Events that were written as entries of their own.
    public var written: UInt64 = 0
    /// Events that `burst` entries stand for.
    public var folded: UInt64 = 0
    /// Events that did not reach the journal.
    public var lost: UInt64 = 0
    /// Events that wait to be written.
    public internal(set) var behind: UInt64 = 0
    /// How far the writer has come in each stream, as a count of events; nil where the stream is not written.
    var taken: [UInt64?] = []
}

/// Writes events to the journal, on a thread of its own with a position of its own in each window: when journald is slow, this thread
/// waits and nothing else does. Where it falls further behind than its backlog, it folds what it catches up on
/// into `burst` entries.
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
        /// How many events may wait before they are folded.
        public var backlog: UInt64
        /// Settings within the ranges that the configuration allows.
        public init(events: Set<String>, backlog: UInt64) {
            self.events = events
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
            var run = JournalRun(streams, shared, doorbell, log)
            run.loop()
            ended()
        }
    }

    /// What it has done so far.
    /// What waits is counted when it is asked for: a writer that journald holds up counts nothing.
    public var state: JournalState {
        var state = shared.state.withLock { $0 }
        for case (let stream, let taken?) in zip(streams, state.taken) {
            let end = stream.window.end.ordinal
            if end > taken { state.behind += end - taken }
        }
        return state
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
