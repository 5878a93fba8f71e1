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
        /// The BPF programs.
        public let programs: [Program]
        /// What the last self-test found; nil while there was none.
        public let selfTest: SelfTest?
        /// Events that there were, by the kernel's own count.
        public let generated: UInt64
        /// What is known to be lost.
        public let losses: Losses
        /// How fast it was of late; nil where it has not been recorded for long enough.
        public let rate: Pace.Rate?
        /// What lies between the kernel and ebeed.
        public let ring: Ring
        /// What it remembers.
        public let window: Window.State
        /// How far back all of it is remembered.
        public let reach: Reach
        /// In seconds.
        public let maximumAge: UInt64

        /// All of it, as it was found.
        public init(
            stream: String, rung: String, limits: [String], programs: [Program],
            selfTest: SelfTest?, generated: UInt64, losses: Losses, rate: Pace.Rate?, ring: Ring, window: Window
        ) {
            self.stream = stream
            self.rung = rung
            self.limits = limits
            self.programs = programs
            self.selfTest = selfTest
            self.generated = generated
            self.losses = losses
            self.rate = rate
            self.ring = ring
            self.window = window.state
            maximumAge = window.maximumAge / 1_000_000_000
            reach = Reach(window, rate)
        }
    }

    /// A BPF program.
    public struct Program: Sendable {
        let name: String
        let verifiedInstructions: Int?
        let recursionMisses: UInt64?

        /// - Parameters:
        ///   - name: as bpftool shows it, where that has room for it.
        ///   - verifiedInstructions: how many the verifier went through, where the kernel tells (Linux 5.16).
        ///   - recursionMisses: how often the kernel did not run it, because one was running on that cpu already, where it tells
        ///     (Linux 5.12).
        public init(name: String, verifiedInstructions: Int?, recursionMisses: UInt64?) {
            self.name = name
            self.verifiedInstructions = verifiedInstructions
            self.recursionMisses = recursionMisses
        }
    }

    /// The ring of a stream, in bytes.
    public struct Ring: Sendable {
        /// More than this is lost.
        public let capacity: Int
        /// Now.
        public let used: Int
        /// The most that ebeed found since it started.
        public let highest: Int

        /// All of it.
        public init(capacity: Int, used: Int, highest: Int) {
            self.capacity = capacity
            self.used = used
            self.highest = highest
        }
    }

    /// How far back a window reaches, in seconds.
    public struct Reach: Sendable {
        /// Now: whatever happened since is in it, or marked as lost.
        public let now: UInt64
        /// Once it is full, if events go on to come as they did of late; nil where none came, or nobody knows.
        public let atRate: UInt64?

        init(_ window: Window, _ rate: Pace.Rate?) {
            let now = Clock.boot()
            self.now = (now - min(now, window.coveredSince)) / 1_000_000_000
            guard let rate, rate.bytes > 0 else {
                atRate = nil
                return
            }
            // The segment that is written to holds no more than what came last.
            let bytes = Double(window.segmentBytes * (window.segmentCount - 1))
            let seconds = bytes / Double(rate.bytes) * Double(rate.nanoseconds) / 1e9
            atRate = UInt64(min(seconds, Double(window.maximumAge) / 1e9))
        }
    }

    /// Whether an event of ebeed's own came out of the window, or why not.
    public enum SelfTest: Sendable {
        case passed
        /// - Parameter since: boot time of the last event before it was found out; nil where it could not be tested.
        case failed(String, since: UInt64?)
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
            case .failed(let reason, let since):
                writer.bool("passed", false)
                writer.string("reason", reason)
                if scope == .all, let since { writer.time("blind_since", Clock.wall(boot: since)) }
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
        writer.number("generated", stream.generated)
        writer.number("events", stream.window.events &+ stream.window.evicted)
        writer.number("lost", stream.losses.events)
        writer.beginObject("losses")
        writer.number("ring_full", stream.losses.events &- stream.losses.missed)
        writer.number("missed", stream.losses.missed)
        writer.number("malformed", stream.losses.malformed)
        writer.endObject()
        if let rate = stream.rate {
            writer.beginObject("rate")
            writer.number("interval_ns", rate.nanoseconds)
            writer.number("events", rate.events)
            writer.number("bytes", rate.bytes)
            writer.endObject()
        }
        writer.beginObject("ring")
        writer.number("capacity_bytes", stream.ring.capacity)
        writer.number("used_bytes", stream.ring.used)
        writer.number("highest_bytes", stream.ring.highest)
        writer.endObject()
        writer.beginObject("window")
        writer.number("capacity_bytes", stream.window.capacityBytes)
        writer.number("used_bytes", stream.window.usedBytes)
        writer.number("max_age_seconds", stream.maximumAge)
        writer.number("reach_seconds", stream.reach.now)
        if let reach = stream.reach.atRate { writer.number("reach_at_rate_seconds", reach) }
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
            if let misses = program.recursionMisses { writer.number("recursion_misses", misses) }
            writer.endObject()
        }
        writer.endArray()
    }
}
