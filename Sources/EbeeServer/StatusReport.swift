import EbeeRecord
import EbeeWindow

/// How the daemon is: the answer to `status`.
public struct StatusReport: Sendable {
    /// One stream.
    public struct Stream: Sendable {
        public let stream: String
        public let rung: String
        public let limits: [String]
        public let lost: UInt64
        public let window: Window.State
        /// In seconds.
        public let maximumAge: UInt64

        public init(stream: String, rung: String, limits: [String], lost: UInt64, window: Window.State, maximumAge: UInt64) {
            self.stream = stream
            self.rung = rung
            self.limits = limits
            self.lost = lost
            self.window = window
            self.maximumAge = maximumAge
        }
    }

    /// What became of the events on their way to the journal.
    public struct Journal: Sendable {
        public var available = true
        public var exec = false
        public var deletes = false
        public var written: UInt64 = 0
        public var folded: UInt64 = 0
        public var lost: UInt64 = 0
        public var behind: UInt64 = 0

        public init() {}
    }

    public let version: String
    public let pid: Int32
    /// Boot time.
    public let started: UInt64
    public let kernel: String
    public let memoryBytes: Int
    public let streams: [Stream]
    public let journal: Journal

    public init(
        version: String, pid: Int32, started: UInt64, kernel: String, memoryBytes: Int, streams: [Stream], journal: Journal
    ) {
        self.version = version
        self.pid = pid
        self.started = started
        self.kernel = kernel
        self.memoryBytes = memoryBytes
        self.streams = streams
        self.journal = journal
    }

    func write(_ writer: inout JSONWriter, clients: Int) {
        writer.beginObject("status")
        writer.string("version", version)
        writer.number("pid", pid)
        writer.time("started", Clock.wall(boot: started))
        writer.time("now", Clock.wall(boot: Clock.boot()))
        writer.string("kernel", kernel)
        writer.number("memory_bytes", memoryBytes)
        writer.number("clients", clients)
        writer.beginArray("streams")
        for stream in streams { write(stream, &writer) }
        writer.endArray()
        writer.beginObject("journal")
        writer.bool("available", journal.available)
        writer.bool("exec", journal.exec)
        writer.bool("deletes", journal.deletes)
        writer.number("written", journal.written)
        writer.number("folded", journal.folded)
        writer.number("lost", journal.lost)
        writer.number("behind", journal.behind)
        writer.endObject()
        writer.endObject()
    }

    private func write(_ stream: Stream, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.string("stream", stream.stream)
        writer.string("rung", stream.rung)
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
        writer.beginArray("cannot_see")
        for limit in stream.limits { writer.string(limit) }
        writer.endArray()
        writer.endObject()
    }
}
