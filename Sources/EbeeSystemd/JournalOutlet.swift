import EbeeRecord
import EbeeWindow

/// Where entries leave for journald: within the rate, and with an account of whether it takes them.
struct JournalOutlet: ~Copyable {
    /// Pause between two tries while journald takes nothing, and between two looks while nothing is to be written; in nanoseconds.
    private static let pause: UInt64 = 500_000_000
    /// How long journald may take for an entry before it counts as away, and when it is tried again; in milliseconds.
    private static let patience: (first: UInt32, again: UInt32) = (1000, 50)

    /// The one under way.
    var entry = JournalEntry()
    let users = UserNames()
    /// journald takes entries.
    private(set) var isAvailable = true
    private let socket: JournalSocket
    private let log: @Sendable (String) -> Void
    private var rate: EntryRate
    private var awaySince: UInt64 = 0
    private var nextTry: UInt64 = 0
    private var nextLook: UInt64 = 0

    /// On the thread that sends.
    init(_ settings: JournalWriter.Settings, _ log: @escaping @Sendable (String) -> Void) throws(SystemError) {
        socket = try JournalSocket()
        self.log = log
        rate = EntryRate(saved: settings.backlog, at: Clock.boot())
    }

    /// Whether it is worth to put something into words.
    var mayTry: Bool { isAvailable || Clock.boot() >= nextTry }

    /// Whether an event may have an entry of its own.
    mutating func allowsOne(_ settings: JournalWriter.Settings) -> Bool {
        rate.allowsOne(at: Clock.boot(), perSecond: settings.entriesPerSecond, atOnce: settings.backlog)
    }

    /// Sends the entry.
    mutating func send() -> Sent {
        guard mayTry else { return .refused("another try comes later") }
        let sent = socket.send(entry, milliseconds: isAvailable ? Self.patience.first : Self.patience.again)
        switch sent {
        case .refused(let reason): lose(reason)
        case .taken:
            rate.spend()
            find()
        case .lost: rate.spend()
        }
        return sent
    }

    /// Looks now and then whether journald is there.
    /// - Parameter isIdle: nothing waits that would be the better proof.
    mutating func look(isIdle: Bool) {
        let now = Clock.boot()
        guard now >= nextLook, isAvailable || isIdle else { return }
        nextLook = now + Self.pause
        if let absence = socket.absence { lose(absence) } else { find() }
    }

    private mutating func lose(_ reason: String) {
        nextTry = Clock.boot() + Self.pause
        guard isAvailable else { return }
        isAvailable = false
        awaySince = Clock.boot()
        log("the journal takes no entries (\(reason)): events wait in the window, and are folded where they are many")
    }

    private mutating func find() {
        guard !isAvailable else { return }
        isAvailable = true
        let seconds = (Clock.boot() - awaySince + 500_000_000) / 1_000_000_000
        log("the journal is back after \(seconds) s")
    }
}
