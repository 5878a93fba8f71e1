import EbeeProtocol
import EbeeRecord
import EbeeWindow

/// How the daemon is: the answer to `status`.
public struct StatusReport: Sendable {
    /// One stream.
    public struct Stream: Sendable {
        /// `exec` or `deletes`.
        public let stream: String
        /// The hook in use.
        public let rung: String
        /// What the rung misses or costs, in words.
        public let limits: [String]
        /// The BPF programs: their names, and how many instructions the verifier went through where the kernel tells.
        public let programs: [(name: String, verifiedInstructions: Int?)]
        /// What the last self-test found; nil while there was none.
        public let selfTest: SelfTest?
        /// Events that are known to be lost.
        public let lost: UInt64
        /// What it remembers.
        public let window: Window.State
        /// In seconds.
        public let maximumAge: UInt64

        /// All of it, as it was found.
        public init(
            stream: String, rung: String, limits: [String], programs: [(name: String, verifiedInstructions: Int?)],
            selfTest: SelfTest?, lost: UInt64, window: Window.State, maximumAge: UInt64
        ) {
            self.stream = stream
            self.rung = rung
            self.limits = limits
            self.programs = programs
            self.selfTest = selfTest
            self.lost = lost
            self.window = window
            self.maximumAge = maximumAge
        }
    }

    /// Whether an event of ebeed's own came out of the window, or why not.
    public enum SelfTest: Sendable {
        case passed
        case failed(String)
    }

    /// What became of the events on their way to the journal.
    public struct Journal: Sendable {
        /// Whether it takes entries.
        public var available = true
        /// Whether executions go there.
        public var exec = false
        /// Whether deletions go there.
        public var deletes = false
        /// Events with an entry of their own.
        public var written: UInt64 = 0
        /// Events that `burst` entries stand for.
        public var folded: UInt64 = 0
        /// Events that did not get there.
        public var lost: UInt64 = 0
        /// Events that wait.
        public var behind: UInt64 = 0
        /// How long the oldest of those has waited, in nanoseconds.
        public var lag: UInt64?

        /// Nothing yet.
        public init() {}
    }

    /// Of the daemon.
    public let version: String
    /// In its own pid namespace.
    public let pid: Int32
    /// Boot time.
    public let started: UInt64
    /// The release, as uname(1) has it.
    public let kernel: String
    /// Resident.
    public let memoryBytes: Int
    /// One for each that is recorded.
    public let streams: [Stream]
    /// The way to the journal.
    public let journal: Journal

    /// All of it, as it was found.
    public init(
        version: String, pid: Int32, started: UInt64, kernel: String, memoryBytes: Int, streams: [Stream],
        journal: Journal
    ) {
        self.version = version
        self.pid = pid
        self.started = started
        self.kernel = kernel
        self.memoryBytes = memoryBytes
        self.streams = streams
        self.journal = journal
    }

    /// - Parameter scope: how much whoever asks sees. Those who see their own events only learn what is recorded and what
    ///   is not, and no count.
    func write(_ writer: inout JSONWriter, clients: Int, scope: Scope) {
        writer.beginObject("status")
        writer.string("scope", scope.rawValue)
        writer.string("version", version)
        writer.number("pid", pid)
        writer.time("started", Clock.wall(boot: started))
        writer.time("now", Clock.wall(boot: Clock.boot()))
        writer.string("kernel", kernel)
        if scope == .all {
            writer.number("memory_bytes", memoryBytes)
            writer.number("clients", clients)
        }
        writer.beginArray("streams")
        for stream in streams { write(stream, &writer, scope) }
        writer.endArray()
        if scope == .all { writeJournal(&writer) }
        writer.endObject()
    }

    private func writeJournal(_ writer: inout JSONWriter) {
        writer.beginObject("journal")
        writer.bool("available", journal.available)
        writer.bool("exec", journal.exec)
        writer.bool("deletes", journal.deletes)
        writer.number("written", journal.written)
        writer.number("folded", journal.folded)
        writer.number("lost", journal.lost)
        writer.number("behind", journal.behind)
        if let lag = journal.lag { writer.number("lag_ns", lag) }
        writer.endObject()
    }

    private func write(_ stream: Stream, _ writer: inout JSONWriter, _ scope: Scope) {
        writer.beginObject()
        writer.string("stream", stream.stream)
        writer.string("rung", stream.rung)
        if let selfTest = stream.selfTest {
            writer.beginObject("self_test")
            switch selfTest {
            case .passed: writer.bool("passed", true)
            case .failed(let reason):
                writer.bool("passed", false)
                writer.string("reason", reason)
            }
            writer.endObject()
        }
        if scope == .all { writeCounts(stream, &writer) }
        writer.beginArray("cannot_see")
        for limit in stream.limits { writer.string(limit) }
        writer.endArray()
        writer.endObject()
    }

    private func writeCounts(_ stream: Stream, _ writer: inout JSONWriter) {
        writer.number("events", stream.window.events + stream.window.evicted)
        writer.number("lost", stream.lost)
        writer.beginObject("window")
        writer.number("capacity_bytes", stream.window.capacityBytes)
        writer.number("used_bytes", stream.window.usedBytes)
        writer.number("max_age_seconds", stream.maximumAge)
        writer.number("events", stream.window.events)
        writer.number("evicted", stream.window.evicted)
        if let oldest = stream.window.oldest { writer.time("oldest", Clock.wall(boot: oldest)) }
        if let newest = stream.window.newest { writer.time("newest", Clock.wall(boot: newest)) }
        writer.endObject()
        writer.beginArray("programs")
        for program in stream.programs {
            writer.beginObject()
            writer.string("name", program.name)
            if let instructions = program.verifiedInstructions { writer.number("verified_instructions", instructions) }
            writer.endObject()
        }
        writer.endArray()
    }
}
