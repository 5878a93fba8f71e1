/// Where in the window the newest record of a process is, by its identity: pid and start time. A table of fixed size, allocated
/// once: eight places for each value of a hash, and where all are taken, the oldest position gives way.
struct PositionIndex: ~Copyable {
    private struct Entry {
        var start: UInt64 = 0
        var position: UInt64 = 0  // 0 is no record's
        var pid: UInt32 = 0
    }

    private static let ways = 8
    private let sets: Int
    private var entries: [Entry]

    init(capacity: Int) {
        sets = max(1, capacity / Self.ways)
        entries = Array(repeating: Entry(), count: sets * Self.ways)
    }

    func find(pid: UInt32, start: UInt64) -> UInt64? {
        for slot in slots(pid)
        where entries[slot].pid == pid && entries[slot].start == start && entries[slot].position != 0 {
            return entries[slot].position
        }
        return nil
    }

    mutating func insert(pid: UInt32, start: UInt64, position: UInt64) {
        var chosen = slots(pid).lowerBound
        for slot in slots(pid) {
            if entries[slot].pid == pid, entries[slot].start == start {
                chosen = slot
                break
            }
            if entries[slot].position < entries[chosen].position { chosen = slot }
        }
        entries[chosen] = Entry(start: start, position: position, pid: pid)
    }

    mutating func remove(pid: UInt32, start: UInt64) {
        for slot in slots(pid) where entries[slot].pid == pid && entries[slot].start == start {
            entries[slot] = Entry()
        }
    }

    private func slots(_ pid: UInt32) -> Range<Int> {
        let set = Int(pid) % sets
        return set * Self.ways..<(set + 1) * Self.ways
    }
}
