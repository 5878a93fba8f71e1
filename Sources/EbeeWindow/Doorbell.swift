import Synchronization

/// Wakes whoever waits for more records. Ringing costs nothing while nobody waits.
public final class Doorbell: Sendable {
    private let waiting = Atomic<Bool>(false)
    private let waiters = Mutex(Waiters())

    private struct Waiters {
        var next: UInt64 = 0
        var wakes: [UInt64: @Sendable () -> Void] = [:]
    }

    /// A bell that nobody waits for yet.
    public init() {}

    /// Calls `wake` once, at the next ring, from the thread that rings. The caller must look again for what it waits for
    /// after this returns: a ring just before is not repeated. Returns what `forget` takes.
    @discardableResult
    public func notify(_ wake: @escaping @Sendable () -> Void) -> UInt64 {
        waiters.withLock {
            $0.next += 1
            $0.wakes[$0.next] = wake
            waiting.store(true, ordering: .sequentiallyConsistent)
            return $0.next
        }
    }

    /// Does not wake who waits no longer.
    public func forget(_ waiter: UInt64) { waiters.withLock { $0.wakes[waiter] = nil } }

    /// Wakes everybody who waits.
    public func ring() {
        guard waiting.load(ordering: .sequentiallyConsistent) else { return }
        let woken = waiters.withLock { waiters in
            waiting.store(false, ordering: .sequentiallyConsistent)
            return exchange(&waiters.wakes, with: [:])
        }
        for wake in woken.values { wake() }
    }
}
