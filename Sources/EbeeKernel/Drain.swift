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
    /// How fast events came of late.
    public let pace: Pace
    /// What is hidden of arguments.
    public let redactions: Redactions

    /// What the thread and the rest of the daemon have in common.
    private final class Shared: Sendable {
        let stopping: Flag
        /// Boot time at which the thread last came round; the watchdog looks at it.
        let pulse = Atomic<UInt64>(Clock.boot())
        let figures: Mutex<Figures>
        /// How often the kernel did not run the programs, as far as it was asked.
        let skips: Mutex<Program.Skips>
        /// What the thread is to go on with, one after the other.
        let successors = Mutex<[Successor]>([])

        init(_ stopping: Flag, _ source: Source) {
            self.stopping = stopping
            figures = Mutex(source.figures)
            skips = Mutex(source.skips)
        }
    }

    /// Raised once.
    private final class Flag: Sendable {
        private let state = Atomic<Bool>(false)
        func raise() { state.store(true, ordering: .releasing) }
        var isRaised: Bool { state.load(ordering: .acquiring) }
    }

    /// What the kernel tells of programs and their ring, in memory that any thread may read.
    private struct Figures: Sendable {
        let accounts: Accounts
        let gauge: RingGauge
        let notice: Notice
    }

    /// The thread's alone, but for its counts.
    private struct RecorderOfThread: @unchecked Sendable {
        let recorder: Recorder
    }

    /// Programs and what it takes to read them: made by whoever has the right to, used by the thread alone.
    private final class Source: @unchecked Sendable {
        var program: Program?
        let figures: Figures
        let ring: Ring

        init(_ program: consuming Program, _ recorder: Recorder, _ name: String, _ stopping: Flag)
            throws(SystemError)
        {
            do throws(SystemError) {
                let gauge = try RingGauge(program.handles.ring, name: program.recording.stream)
                figures = Figures(accounts: try Accounts(of: program), gauge: gauge, notice: program.notice)
                program.serve()
                ring = unsafe try Ring(program.handles.ring, name: name, gauge: gauge) { bytes in
                    unsafe recorder.record(bytes)
                    return !stopping.isRaised
                }
            } catch {
                // Who else holds the links has them whole.
                program.leave()
                throw error
            }
            self.program = consume program
        }

        var skips: Program.Skips {
            program?.skips(hidesCalls: figures.accounts.hidden > 0) ?? Program.Skips()
        }
    }

    /// Programs that take the place of those that are drained.
    private struct Successor: Sendable {
        let source: Source
        let predecessors: Recorder.Predecessors
        let generation: UInt64
        let done: @Sendable () -> Void
    }

    /// How long the thread waits for the first record, and how often it looks at the kernel's counts.
    private static let patience: Int32 = 100  // ms
    /// How often the kernel is asked what it did not show to the programs.
    private static let askingEvery: UInt64 = 1_000_000_000  // ns
    /// How long a program is waited for that was detached while it ran.
    private static let longestRun: UInt64 = 5_000_000_000  // ns
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
        let stopping = Flag()
        let source = try Source(program, recorder, name, stopping)
        let shared = Shared(stopping, source)
        self.shared = shared
        self.recorder = RecorderOfThread(recorder: recorder)
        pace = recorder.pace
        redactions = recorder.redactions
        let run = Run(source, recorder, shared, isKept: isKept)
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

    /// Other programs take the place of those that are drained: these are detached, and what their ring still holds goes to the
    /// window first. Takes a fifth of a second.
    /// - Parameters:
    ///   - predecessors: what is known of those that are drained.
    ///   - generation: that of the others.
    ///   - release: makes whoever else holds the links of those that are drained give them up.
    ///   - done: called on the thread once nothing more can come from them.
    public func replace(
        with program: consuming Program, after predecessors: Recorder.Predecessors, generation: UInt64,
        release: () -> Void,
        done: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        let source = try Source(program, recorder.recorder, name, shared.stopping)
        func wait(until time: UInt64) {
            let now = Clock.boot()
            if now < time { usleep(UInt32(clamping: (time - now) / 1000 + 1)) }
        }
        // Until then, the word of those that are drained counts, also of what they missed.
        if case .attachedUntil(let attached) = predecessors { wait(until: attached &+ Recorder.attachedTogether) }
        source.figures.notice.tell(isInCharge: true)
        newest.notice.tell(isInCharge: false)
        // What they saw begin has as long to end.
        if case .attachedUntil = predecessors { wait(until: Clock.boot() &+ Recorder.attachedTogether) }
        release()
        shared.successors.withLock {
            $0.append(Successor(source: source, predecessors: predecessors, generation: generation, done: done))
        }
    }

    /// From now on, what begins and is not seen to end was missed: all of the programs that were taken over are attached.
    public func takeCharge() { newest.notice.tell(isInCharge: true) }

    /// Of those that are drained, or will be last. Figures are exchanged ahead of the list of those that follow.
    private var newest: Figures {
        shared.successors.withLock { $0.last?.source.figures } ?? shared.figures.withLock { $0 }
    }

    /// How often the kernel did not run each of the programs, because one was running on that cpu already, by name; absent where it does
    /// not tell (before Linux 5.12). Asked once a second.
    public var recursionMisses: [String: UInt64] { shared.skips.withLock { $0.byProgram } }

    /// Asks the thread to end; it does within a tenth of a second, and calls `ended`.
    public func stop() { shared.stopping.raise() }

    /// Boot time at which the thread last came round: it does ten times a second, whatever happens.
    public var pulse: UInt64 { shared.pulse.load(ordering: .relaxed) }

    /// How full the ring is, and how full it was at most since the start of the thread.
    public var ring: (capacity: Int, used: Int, highest: Int) {
        let gauge = shared.figures.withLock { $0.gauge }
        return (gauge.capacity, gauge.used, gauge.mark)
    }

    /// What was lost so far.
    public var losses: Losses { recorder.recorder.losses.now }

    /// Events that there were since the window began, by the kernel's own count: what became of each, the window and `losses` say. Those
    /// that are on their way are between the two.
    public var generated: UInt64 {
        let counted = shared.figures.withLock { $0.accounts.generated } + shared.skips.withLock { $0.events }
        return UInt64(clamping: Int64(clamping: counted) + losses.earlier)
    }

    /// Events that the kernel counts as lost and that have no mark in the window yet: a loss that no later event shows is
    /// marked within a quarter of a second.
    public var unmarked: UInt64 {
        let lost = shared.figures.withLock { $0.accounts.lost }
        let counted = losses.counted
        return lost > counted ? lost - counted : 0
    }

    /// Returns something to ask later: whether what had happened when this was called has come to the window.
    public func arrival() -> @Sendable () -> Bool {
        // Those that take the place of others record before they are read; in this order, none is overlooked as it does so.
        let gauges =
            shared.successors.withLock { $0.map(\.source.figures.gauge) } + [shared.figures.withLock { $0.gauge }]
        let awaited = gauges.map { ($0, $0.produced) }
        return { awaited.allSatisfy { gauge, position in gauge.hasReached(position) } }
    }

    /// The thread's own state: made by `init`, used by the thread alone.
    private final class Run: @unchecked Sendable {
        private var source: Source?
        private let recorder: Recorder
        private let shared: Shared
        private let isKept: Bool
        private var settled: UInt64 = 0
        private var asked: UInt64 = 0
        /// How far the ring was written when the kernel's counts were looked at last.
        private var written: UInt64 = 0

        init(_ source: Source, _ recorder: Recorder, _ shared: Shared, isKept: Bool) {
            self.source = source
            self.recorder = recorder
            self.shared = shared
            self.isKept = isKept
        }

        /// Runs until it is told to stop.
        func loop() throws(SystemError) {
            while let source, !shared.stopping.isRaised {
                let count = try source.ring.poll(milliseconds: Drain.patience)
                let now = Clock.boot()
                shared.pulse.store(now, ordering: .relaxed)
                if count > 0 { recorder.publish() }
                if count >= 0, now - settled >= UInt64(Drain.patience) * 1_000_000 { settle(source, now) }
                if let successor = shared.successors.withLock({ $0.first }), try goOn(with: successor, after: source) {
                    shared.successors.withLock { _ = $0.removeFirst() }
                }
                if count > 0 { usleep(Drain.gathering) }
            }
        }

        /// Time to compare with the kernel's own count.
        private func settle(_ source: Source, _ now: UInt64) {
            settled = now
            // A file to be read for each program, and news of something that hardly ever happens.
            if now - asked >= Drain.askingEvery {
                asked = now
                askForSkips(of: source)
            }
            compare(source, now)
        }

        private func askForSkips(of source: Source) {
            let skips = source.skips
            shared.skips.withLock { $0 = skips }
        }

        /// - Parameter isLast: nothing more will come, whatever did not.
        private func compare(_ source: Source, _ now: UInt64, isLast: Bool = false) {
            let gauge = source.figures.gauge
            recorder.settle(
                accounts: { source.figures.accounts[$0] }, skipped: shared.skips.withLock { $0.events },
                hasArrived: isLast || gauge.hasReached(written), isLast: isLast, now: now)
            // Behind the counts: what these have, but for what is being written now, is before it.
            written = gauge.produced
        }

        /// False when it is told to stop meanwhile.
        private func goOn(with successor: Successor, after source: Source) throws(SystemError) -> Bool {
            askForSkips(of: source)
            source.program?.detach()
            // A program that was running when it was detached comes to its end. Until then nothing behind its record can be read,
            // and a hypervisor may keep its processor for long.
            let end = Clock.boot() + Drain.longestRun
            repeat {
                usleep(20_000)
                while try source.ring.consume() > 0 {}
                shared.pulse.store(Clock.boot(), ordering: .relaxed)
            } while source.figures.gauge.used > 0 && Clock.boot() < end && !shared.stopping.isRaised
            // What the ring still holds, the next process takes.
            if shared.stopping.isRaised { return false }
            // What nobody will see end, or the others at best: it hangs, or its end was missed and its thread did nothing since.
            shared.skips.withLock { $0.events += source.figures.accounts.open }
            compare(source, Clock.boot())
            compare(source, Clock.boot(), isLast: true)
            recorder.publish()
            recorder.begin(generation: successor.generation, after: successor.predecessors)
            asked = 0
            written = 0
            shared.skips.withLock { $0 = Program.Skips() }
            shared.figures.withLock { $0 = successor.source.figures }
            self.source = successor.source
            successor.done()
            return true
        }

        /// Frees the ring, and detaches the programs unless they are kept.
        func release() {
            let successors = shared.successors.withLock { exchange(&$0, with: []) }
            if isKept { for kept in [source].compactMap({ $0 }) + successors.map(\.source) { kept.program?.leave() } }
            source = nil
        }
    }
}
