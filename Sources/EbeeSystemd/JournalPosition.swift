import EbeeWindow

/// How far a stream has come on its way to the journal: all that whoever goes on after a restart has to know.
struct JournalPosition: Sendable {
    /// What is before this is in the journal, or counted in `missing`.
    var settled: Window.Cursor
    /// Events before `settled` that did not reach the journal, and of which no entry tells yet.
    var missing = Missing()
}

/// Events that did not reach the journal.
struct Missing: Sendable {
    private(set) var count: UInt64 = 0
    /// Boot times: they happened between these.
    private(set) var from: UInt64 = .max
    private(set) var to: UInt64 = 0

    mutating func add(_ count: UInt64, from: UInt64, to: UInt64) {
        self.count &+= count
        self.from = min(self.from, from)
        self.to = max(self.to, to)
    }

    mutating func add(_ other: Missing) {
        if other.count > 0 { add(other.count, from: other.from, to: other.to) }
    }
}
