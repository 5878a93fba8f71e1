import CEvents
import EbeeRecord
import EbeeWindow
import Glibc
import Synchronization

/// Carries one program's records from its ring to its window, on a thread of its own that does nothing else.
public final class Drain: Sendable {
    private let shared: Shared
    private let lossCount: LossCount
    private let accounts: Accounts
    private let gauge: RingGauge
    /// How fast events came of late.
    public let pace: Pace

    /// What the thread and the rest of the daemon have in common.
    private final class Shared: Sendable {
        let stopping = Atomic<Bool>(false)
        /// Boot time at which the thread last came round; the watchdog looks at it.
        let pulse = Atomic<UInt64>(Clock.boot())
    }

    /// How long the thread waits for the first record, and how often it looks at the kernel's counts.
    private static let patience: Int32 = 100  // ms
    /// How often the kernel is asked what it did not show to the programs.
    private static let askingEvery: UInt64 = 1_000_000_000  // ns
    /// How long it lets records gather after a wake-up: a reader that keeps up with every record is woken for every record.
    private static let gathering: UInt32 = 1000  // µs

    /// Starts the thread, which owns `program` and ends with it.
    /// - Parameters:
    ///   - isKept: somebody else holds the program too: at the end it stays attached.
    ///   - ended: called on the thread once everything is released, with what stopped it if it was not `stop`.
    public init(
        _ program: consuming Program, into recorder: Recorder, isKept: Bool,
        ended: @escaping @Sendable (SystemError?) -> Void
    ) throws(SystemError) {
        let shared = Shared()
        self.shared = shared
        let accounts = try Accounts(of: program)
        self.accounts = accounts
        lossCount = recorder.losses
        pace = recorder.pace
        let gauge = try RingGauge(program.handles.ring, name: program.recording.stream)
        self.gauge = gauge
        let run = try Run(program, recorder, shared, accounts, gauge, isKept: isKept)
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

    /// How full the ring is, and how full it was at most since the start of the thread.
    public var ring: (capacity: Int, used: Int, highest: Int) { (gauge.capacity, gauge.used, gauge.mark) }

    /// What was lost so far.
    public var losses: Losses { lossCount.now }

    /// Events that the kernel counts as lost and that have no mark in the window yet: a loss that no later event shows is
    /// marked within a quarter of a second.
    public var unmarked: UInt64 {
        let lost = accounts.lost
        let counted = losses.counted
        return lost > counted ? lost - counted : 0
    }

    /// The thread's own state: made by `init`, used by the thread alone.
    private final class Run: @unchecked Sendable {
        let name: String
        private var program: Program?
        private let recorder: Recorder
        private let shared: Shared
        private let accounts: Accounts
        private let isKept: Bool
        private var ring: Ring?
        private var settled: UInt64 = 0
        /// What the kernel said when it was last asked, and when that was.
        private var skipped: (count: UInt64, asked: UInt64) = (0, 0)

        init(
            _ program: consuming Program, _ recorder: Recorder, _ shared: Shared, _ accounts: Accounts,
            _ gauge: RingGauge, isKept: Bool
        ) throws(SystemError) {
            name = "ebee-" + program.recording.stream
            self.recorder = recorder
            self.shared = shared
            self.accounts = accounts
            self.isKept = isKept
            try program.serve()
            ring = unsafe try Ring(program.handles.ring, name: name, gauge: gauge) { bytes in
                unsafe recorder.record(bytes)
                return !shared.stopping.load(ordering: .relaxed)
            }
            self.program = consume program
        }

        /// Runs until it is told to stop; returns what stopped it otherwise.
        func loop() -> SystemError? {
            while !shared.stopping.load(ordering: .acquiring) {
                let count: Int
                do throws(SystemError) {
                    count = try ring?.poll(milliseconds: Drain.patience) ?? 0
                } catch {
                    return error
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
            // A system call for each program, and news of something that hardly ever happens.
            if now - skipped.asked >= Drain.askingEvery { skipped = (program?.skipped ?? 0, now) }
            let accounts = accounts
            recorder.settle(accounts: { accounts[$0] }, skipped: skipped.count, now: now)
        }

        /// Frees the ring, and detaches the programs unless they are kept.
        func release() {
            ring = nil
            if isKept { program?.leave() }
            program = nil
        }
    }
}

extension Recorder {
    /// Programs that others took the place of: detaches them, takes what their ring still holds, and makes the account of what they lost.
    /// From then on this records what the others saw.
    /// - Parameters:
    ///   - since: boot time at which the others began to be attached.
    ///   - generation: that of the others.
    ///   - release: makes whoever else holds the links of these give them up.
    public func finish(
        _ old: consuming Program, since: UInt64, generation: UInt64, release: () -> Void
    ) throws(SystemError) {
        let overlap = Overlap(since: since)
        let accounts = try Accounts(of: old)
        let ring = unsafe try Ring(old.handles.ring, name: old.recording.stream) { bytes in
            unsafe self.record(bytes)
            if let header = try? unsafe RecordHeader(checking: bytes.bytes) { unsafe overlap.add(header, bytes) }
            return true
        }
        // So long that no event's two records can be mistaken for those of two events (Overlap).
        usleep(40_000)
        let skipped = old.skipped
        old.detach()
        release()
        // A program that was running when it was detached comes to its end.
        usleep(20_000)
        while try ring.consume() > 0 {}
        // Twice: what is missing at the first look may still come, it says.
        for _ in 0..<2 { settle(accounts: { accounts[$0] }, skipped: skipped, now: Clock.boot()) }
        begin(generation: generation, after: overlap)
    }
}
