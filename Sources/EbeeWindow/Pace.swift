import Synchronization

/// How fast a stream was of late: kept by the thread that writes its window, read by any other.
public final class Pace: Sendable {
    /// What came within a stretch of time.
    public struct Rate: Sendable, Equatable {
        /// How long the stretch is.
        public var nanoseconds: UInt64
        /// Events of it.
        public var events: UInt64
        /// Of all their records in the window.
        public var bytes: UInt64
    }

    private struct Sample {
        var time: UInt64 = 0
        var events: UInt64 = 0
        var bytes: UInt64 = 0
    }

    private struct Samples {
        /// A minute of them, and one more, behind which that minute begins.
        var kept = Array(repeating: Sample(), count: 13)
        var count = 0
        var latest = Sample()
    }

    private static let step: UInt64 = 5_000_000_000
    /// A shorter stretch says nothing.
    private static let shortest: UInt64 = 1_000_000_000

    private let samples = Mutex(Samples())

    /// Nothing yet.
    public init() {}

    /// What there was in all, at boot time `now`. Allocates nothing.
    func note(now: UInt64, events: UInt64, bytes: UInt64) {
        samples.withLock { samples in
            samples.latest = Sample(time: now, events: events, bytes: bytes)
            let size = samples.kept.count
            if samples.count > 0, now &- samples.kept[(samples.count - 1) % size].time < Self.step { return }
            samples.kept[samples.count % size] = samples.latest
            samples.count += 1
        }
    }

    /// Of the last minute, or of less where it has not been recorded for so long; nil where that is no second.
    public var rate: Rate? {
        samples.withLock { samples in
            let size = samples.kept.count
            guard samples.count > 0 else { return nil }
            let first = samples.kept[samples.count > size ? samples.count % size : 0]
            let latest = samples.latest
            guard latest.time &- first.time >= Self.shortest else { return nil }
            return Rate(
                nanoseconds: latest.time &- first.time, events: latest.events &- first.events,
                bytes: latest.bytes &- first.bytes)
        }
    }
}
