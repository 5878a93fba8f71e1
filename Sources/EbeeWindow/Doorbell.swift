import Synchronization

/// Wakes whoever waits for more records. Ringing costs nothing while nobody waits.
public final class Doorbell: Sendable {
    private let waiting = Atomic<Bool>(false)
    private let waiters = Mutex<[@Sendable () -> Void]>([])

    /// A bell that nobody waits for yet.
    public init() {}

    /// Calls `wake` once, at the next ring, from the thread that rings. The caller must look again for what it waits for
    /// after this returns: a ring just before is not repeated.
    public func notify(_ wake: @escaping @Sendable () -> Void) {
        waiters.withLock {
            $0.append(wake)
            waiting.store(true, ordering: .sequentiallyConsistent)
        }
    }

    /// Wakes everybody who waits.
    public func ring() {
        guard waiting.load(ordering: .sequentiallyConsistent) else { return }
        let woken = waiters.withLock { waiters in
            defer { waiters.removeAll(keepingCapacity: true) }
            waiting.store(false, ordering: .sequentiallyConsistent)
            return waiters
        }
        for wake in woken { wake() }
    }
}
