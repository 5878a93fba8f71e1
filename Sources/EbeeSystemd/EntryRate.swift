/// How many entries may still be written: so many a second, and what a quiet time has saved up.
struct EntryRate {
    private var saved: Double
    private var time: UInt64

    /// - Parameter time: boot time, as everywhere here.
    init(saved: UInt64, at time: UInt64) {
        self.saved = Double(saved)
        self.time = time
    }

    /// Whether there is room for one more. Entries that stand for many are written anyway, and what they take is missing afterwards.
    mutating func allowsOne(at now: UInt64, perSecond: UInt64, atOnce: UInt64) -> Bool {
        saved = min(Double(atOnce), saved + Double(now - min(now, time)) / 1e9 * Double(perSecond))
        time = now
        return saved >= 1
    }

    mutating func spend() { saved -= 1 }
}
