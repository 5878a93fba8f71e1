import CEvents
import EbeeRecord
import EbeeWindow
import Glibc
import Synchronization

/// Carries one program's records from its ring to its window, on a thread of its own that does nothing else.
public final class Drain: Sendable {
    private let shared: Shared
    private let recorder: RecorderOfThread
    private let name: String

    /// What the thread and the rest of the daemon have in common.
    private final class Shared: Sendable {
        let stopping = Atomic<Bool>(false)
        /// Boot time at which the thread last came round; the watchdog looks at it.
        let pulse = Atomic<UInt64>(Clock.boot())
        let accounts: Mutex<Accounts>
        /// What the thread is to go on with, one after the other.
        let successors = Mutex<[Successor]>([])

        init(_ accounts: Accounts) { self.accounts = Mutex(accounts) }
    }

    /// The thread's alone, but for its counts.
    private struct RecorderOfThread: @unchecked Sendable {
        let recorder: Recorder
    }

    /// Programs and what it takes to read them: made by whoever has the right to, used by the thread alone.
    private final class Source: @unchecked Sendable {
        var program: Program?
        let accounts: Accounts
        let ring: Ring

        init(_ program: consuming Program, _ recorder: Recorder, _ name: String, _ isStopping: @escaping () -> Bool)
            throws(SystemError)
        {
            accounts = try Accounts(of: program)
            try program.serve()
            ring = unsafe try Ring(program.handles.ring, name: name) { bytes in
                unsafe recorder.record(bytes)
                return !isStopping()
            }
            self.program = consume program
        }

        var skipped: UInt64 { program?.skipped ?? 0 }
    }

    /// Programs that take the place of those that are drained.
    private struct Successor: Sendable {
        let source: Source
        /// Boot time from which on they were attached.
        let attached: UInt64
        let generation: UInt64
        let done: @Sendable () -> Void
    }

    /// How long the thread waits for the first record, and how often it looks at the kernel's counts.
    private static let patience: Int32 = 100  // ms
    /// How long it lets records gather after a wake-up: a reader that keeps up with every record is woken for every record.
    private static let gathering: UInt32 = 1000  // µs

    /// Starts the thread, which owns `program` and `recorder` and ends with them. It keeps no capability.
    /// - Parameters:
    ///   - isKept: somebody else holds the program too: at the end it stays attached.
    ///   - ended: called on the thread once everything is released, with what stopped it if it was not `stop`.
    public init(
        _ program: consuming Program, into recorder: Recorder, isKept: Bool,
        ended: @escaping @Sendable (SystemError?) -> Void
    ) throws(SystemError) {
        name = "ebee-" + program.recording.stream
        let shared = Shared(try Accounts(of: program))
        self.shared = shared
        self.recorder = RecorderOfThread(recorder: recorder)
        let run = Run(try Self.source(program, recorder, name, shared), recorder, shared, isKept: isKept)
        try startThread(name: name) {
            var error: SystemError?
            do throws(SystemError) {
                try Privileges.dropCapabilities()
                try run.loop()
            } catch let failure {
                error = failure
            }
            run.release()
            ended(error)
        }
    }

    private static func source(
        _ program: consuming Program, _ recorder: Recorder, _ name: String, _ shared: Shared
    ) throws(SystemError) -> Source {
        try Source(program, recorder, name) { shared.stopping.load(ordering: .relaxed) }
    }

    /// Other programs take the place of those that are drained: these are detached, and what their ring still holds goes to the
    /// window first. Takes a tenth of a second.
    /// - Parameters:
    ///   - attached: boot time from which on the others were attached.
    ///   - generation: that of the others.
    ///   - release: makes whoever else holds the links of those that are drained give them up.
    ///   - done: called on the thread once nothing more can come from them.
    public func replace(
        with program: consuming Program, attached: UInt64, generation: UInt64, release: () -> Void,
        done: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        let source = try Self.source(program, recorder.recorder, name, shared)
        let until = attached + Recorder.attachedTogether
        let now = Clock.boot()
        if now < until { usleep(UInt32((until - now) / 1000) + 1) }
        release()
        shared.successors.withLock {
            $0.append(Successor(source: source, attached: attached, generation: generation, done: done))
        }
    }

    /// Asks the thread to end; it does within a tenth of a second, and calls `ended`.
    public func stop() { shared.stopping.store(true, ordering: .releasing) }

    /// Boot time at which the thread last came round: it does ten times a second, whatever happens.
    public var pulse: UInt64 { shared.pulse.load(ordering: .relaxed) }

    /// What was lost so far.
    public var losses: Losses { recorder.recorder.losses.now }

    /// Events that the kernel counts as lost and that have no mark in the window yet: a loss that no later event shows is
    /// marked within a quarter of a second.
    public var unmarked: UInt64 {
        let lost = shared.accounts.withLock { $0.lost }
        let counted = losses.counted
        return lost > counted ? lost - counted : 0
    }

    /// The thread's own state: made by `init`, used by the thread alone.
    private final class Run: @unchecked Sendable {
        private var source: Source?
        private let recorder: Recorder
        private let shared: Shared
        private let isKept: Bool
        private var settled: UInt64 = 0

        init(_ source: Source, _ recorder: Recorder, _ shared: Shared, isKept: Bool) {
            self.source = source
            self.recorder = recorder
            self.shared = shared
            self.isKept = isKept
        }

        /// Runs until it is told to stop.
        func loop() throws(SystemError) {
            while let source, !shared.stopping.load(ordering: .acquiring) {
                let count = try source.ring.poll(milliseconds: Drain.patience)
                let now = Clock.boot()
                shared.pulse.store(now, ordering: .relaxed)
                if count > 0 { recorder.publish() }
                if count >= 0, now - settled >= UInt64(Drain.patience) * 1_000_000 { settle(source, now) }
                if let successor = shared.successors.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
                    try goOn(with: successor, after: source)
                }
                if count > 0 { usleep(Drain.gathering) }
            }
        }

        /// The ring is empty but for what came this moment: time to compare with the kernel's own count.
        private func settle(_ source: Source, _ now: UInt64) {
            settled = now
            recorder.settle(accounts: { source.accounts[$0] }, skipped: source.skipped, now: now)
        }

        private func goOn(with successor: Successor, after source: Source) throws(SystemError) {
            let skipped = source.skipped
            source.program?.detach()
            // A program that was running when it was detached comes to its end.
            usleep(20_000)
            while try source.ring.consume() > 0 {}
            // Twice: what is missing at the first look may still come, it says.
            for _ in 0..<2 {
                recorder.settle(accounts: { source.accounts[$0] }, skipped: skipped, now: Clock.boot())
            }
            // What the ring still holds, the next process takes.
            if shared.stopping.load(ordering: .acquiring) { return }
            recorder.begin(generation: successor.generation, attached: successor.attached)
            shared.accounts.withLock { $0 = successor.source.accounts }
            self.source = successor.source
            successor.done()
        }

        /// Frees the ring, and detaches the programs unless they are kept.
        func release() {
            if isKept { source?.program?.leave() }
            source = nil
        }
    }
}
