import CEvents
import CLibbpf
import CLinux
import EbeeRecord
import EbeeWindow
import Glibc
import Synchronization

/// Carries one program's records from its ring to its window, on a thread of its own that does nothing else.
public final class Drain: Sendable {
    private let shared: Shared
    private let lossCount: LossCount
    private let accounts: Accounts

    /// What the thread and the rest of the daemon have in common.
    private final class Shared: Sendable {
        let stopping = Atomic<Bool>(false)
        /// Boot time at which the thread last came round; the watchdog looks at it.
        let pulse = Atomic<UInt64>(Clock.boot())
    }

    /// How long the thread waits for the first record, and how often it looks at the kernel's counts.
    private static let patience: Int32 = 100  // ms
    /// How long it lets records gather after a wake-up: a reader that keeps up with every record is woken for every record.
    private static let gathering: UInt32 = 1000  // µs

    /// Starts the thread, which owns `program` and releases it at its end.
    /// - Parameter ended: called on the thread once everything is released, with what stopped it if it was not `stop`.
    public init(
        _ program: consuming Program, into window: Window, ended: @escaping @Sendable (SystemError?) -> Void
    ) throws(SystemError) {
        let shared = Shared()
        self.shared = shared
        let accounts = try Accounts(of: program)
        self.accounts = accounts
        let run = try Run(program, window, shared, accounts)
        lossCount = run.recorder.losses
        let name = run.name
        try startThread(name: name) {
            let error = run.loop()
            run.release()
            ended(error)
        }
    }

    /// Asks the thread to end; it does within a tenth of a second, and calls `ended`.
    public func stop() { shared.stopping.store(true, ordering: .releasing) }

    /// Boot time at which the thread last came round: it does ten times a second, whatever happens.
    public var pulse: UInt64 { shared.pulse.load(ordering: .relaxed) }

    /// What was lost so far.
    public var losses: Losses { lossCount.now }

    /// Events that the kernel counts as lost and that have no mark in the window yet: a loss that no later event shows is
    /// marked within a quarter of a second.
    public var unmarked: UInt64 {
        let lost = accounts.lost
        return lost > losses.events ? lost - losses.events : 0
    }

    /// The thread's own state: made by `init`, used by the thread alone.
    @safe private final class Run: @unchecked Sendable {
        let name: String
        private var program: Program?
        let recorder: Recorder
        private let shared: Shared
        private let accounts: Accounts
        private let latest: UnsafeMutablePointer<ebee_account>
        private var ring: OpaquePointer?
        private var settled: UInt64 = 0

        init(
            _ program: consuming Program, _ window: Window, _ shared: Shared, _ accounts: Accounts
        ) throws(SystemError) {
            name = "ebee-" + program.recording.stream
            let ringMap = try program.object.map("ring")
            recorder = Recorder(window, cpus: accounts.cpus)
            self.shared = shared
            self.accounts = accounts
            unsafe latest = .allocate(capacity: accounts.cpus)
            unsafe latest.initialize(repeating: ebee_account(), count: accounts.cpus)
            self.program = consume program
            // The callback gets this object unretained: the ring is freed before it.
            let context = unsafe Unmanaged.passUnretained(self).toOpaque()
            let ring = unsafe ring_buffer__new(
                ringMap,
                { context, data, size in
                    guard let context = unsafe context, let data = unsafe data else { return -EINVAL }
                    let run = unsafe Unmanaged<Run>.fromOpaque(context).takeUnretainedValue()
                    unsafe run.recorder.record(UnsafeRawBufferPointer(start: data, count: size))
                    return run.shared.stopping.load(ordering: .relaxed) ? -ECANCELED : 0
                }, context, nil)
            guard let ring = unsafe ring else { throw SystemError("map the ring of \(name)") }
            unsafe self.ring = ring
        }

        deinit { unsafe latest.deallocate() }

        /// Runs until it is told to stop; returns what stopped it otherwise.
        func loop() -> SystemError? {
            while !shared.stopping.load(ordering: .acquiring) {
                let count = unsafe ring_buffer__poll(ring, Drain.patience)
                if count < 0, count != -EINTR, count != -ECANCELED {
                    return SystemError("poll the ring of \(name)", errno: count)
                }
                let now = Clock.boot()
                shared.pulse.store(now, ordering: .relaxed)
                if count > 0 { recorder.publish() }
                if count >= 0, now - settled >= UInt64(Drain.patience) * 1_000_000 { settle(now) }
                if count > 0 { usleep(Drain.gathering) }
            }
            return nil
        }

        /// The ring is empty but for what came this moment: time to compare with the kernel's own count.
        private func settle(_ now: UInt64) {
            settled = now
            if unsafe accounts.read(into: latest) {
                recorder.settle(accounts: { unsafe self.latest[$0] }, now: now)
            }
        }

        /// Detaches the programs, then frees the ring.
        func release() {
            if let ring = unsafe ring { unsafe ring_buffer__free(ring) }
            unsafe ring = nil
            program = nil
        }
    }
}

/// The kernel's own count of a program's events, one for each cpu; any thread may read it.
final class Accounts: Sendable {
    let cpus = Program.cpus()
    /// A descriptor of our own, since the program and its descriptors end with the drain.
    private let map: Int32

    init(of program: borrowing Program) throws(SystemError) {
        map = fcntl(try program.object.map("accounts"), F_DUPFD_CLOEXEC, 0)
        if map < 0 { throw SystemError("keep the accounts of \(program.recording.stream)") }
    }

    deinit { close(map) }

    /// Fills `accounts`, which has room for every cpu; false where the kernel refuses.
    func read(into accounts: UnsafeMutablePointer<ebee_account>) -> Bool {
        var key: UInt32 = 0
        return unsafe bpf_map_lookup_elem(map, &key, accounts) == 0
    }

    /// How many events did not get into the ring, on all cpus.
    var lost: UInt64 {
        var latest = [ebee_account](repeating: ebee_account(), count: cpus)
        let isRead = unsafe latest.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return false }
            return unsafe read(into: base)
        }
        return isRead ? latest.reduce(0) { $0 + $1.lost + $1.missed } : 0
    }
}
