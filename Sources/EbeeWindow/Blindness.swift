import Synchronization

/// When a stream seems to have seen nothing: what an answer covers is then not certain, though no event is known to be lost.
public final class Blindness: Sendable {
    /// More are kept as one that reaches over the oldest two.
    private static let stretches = 32

    private let kept = Mutex<[ClosedRange<UInt64>]>([])

    /// Seen as of boot time `since`, and until it is said otherwise.
    public func begin(since: UInt64) {
        kept.withLock { kept in
            if kept.last?.upperBound == .max { return }
            kept.append(since...UInt64.max)
            if kept.count > Self.stretches {
                kept.replaceSubrange(0..<2, with: [kept[0].lowerBound...kept[1].upperBound])
            }
        }
    }

    /// At boot time `now`, events come again.
    public func end(now: UInt64) {
        kept.withLock { kept in
            guard let last = kept.last, last.upperBound == .max else { return }
            kept[kept.count - 1] = last.lowerBound...max(last.lowerBound, now)
        }
    }

    /// Whether something of this interval may not have been seen.
    public func covers(from: UInt64, until: UInt64) -> Bool {
        kept.withLock { $0.contains { $0.lowerBound <= until && $0.upperBound >= from } }
    }
}
