import EbeeKernel
import EbeeProtocol
import EbeeRecord
import EbeeServer
import EbeeSystemd
import EbeeWindow
import Glibc
import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Something that happens once, which a thread tells and a task waits for.
final class Ended: Sendable {
    private let stream: AsyncStream<(any Error)?>
    private let continuation: AsyncStream<(any Error)?>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func tell(_ error: (any Error)? = nil) {
        continuation.yield(error)
        continuation.finish()
    }

    func wait() async throws {
        for await error in stream { if let error { throw error } }
    }
}

/// A drain as a part of the daemon: it runs from its making until the graceful stop.
final class DrainService: Service {
    let drain: Drain
    private let ended = Ended()

    init(_ program: consuming Program, into recorder: Recorder, isKept: Bool) throws(SystemError) {
        let ended = self.ended
        drain = try Drain(program, into: recorder, isKept: isKept) { ended.tell($0) }
    }

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await ended.wait()
        } onGracefulShutdown: {
            self.drain.stop()
        }
    }
}

/// The journal writer as a part of the daemon.
final class JournalService: Service {
    /// How long a stop waits for what is still to be written: journald may hang for good.
    private static let patience = Duration.seconds(3)

    private let writer: JournalWriter
    private let ended = Ended()

    init(
        _ recorded: [Begun], settings: JournalWriter.Settings, doorbell: Doorbell, logger: Logger
    ) throws(SystemError) {
        let ended = self.ended
        writer = try JournalWriter(
            recorded.map { JournalWriter.Stream(event: $0.recording.event, window: $0.window) }, settings: settings,
            doorbell: doorbell, log: { logger.warning("\($0)") }, ended: { ended.tell() })
    }

    var state: JournalState { writer.state }

    func set(_ settings: JournalWriter.Settings) { writer.set(settings) }

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await ended.wait()
        } onGracefulShutdown: {
            self.writer.stop()
            Task {
                try? await Task.sleep(for: Self.patience)
                self.ended.tell()
            }
        }
    }
}

/// Tells the service manager when the daemon is ready, that it is alive, and that it stops. Alive means that every drain
/// came round within the watchdog's time.
struct ReadinessService: Service {
    let drains: [DrainService]
    let selfTest: SelfTest

    func run() async throws {
        await cancelWhenGracefulShutdown { await selfTest.run() }
        ServiceManager.notify("READY=1\nSTATUS=\(selfTest.summary)")
        let interval = ServiceManager.watchdogInterval
        let pause = Duration.microseconds(Int64(clamping: (interval ?? 60_000_000) / 3))
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: pause)
                guard let interval else { continue }
                let now = Clock.boot()
                if drains.allSatisfy({ now &- $0.drain.pulse < interval * 1000 || $0.drain.pulse > now }) {
                    ServiceManager.notify("WATCHDOG=1")
                }
            }
        }
        ServiceManager.notify("STOPPING=1")
    }
}

/// Notices blindness that comes later. A stream of which no event came for a while is tested: that costs next to nothing, and
/// nothing where events come, since each proves that ebeed sees.
final class CanaryService: Service {
    private let selfTest: SelfTest
    private let quiet: Mutex<Duration>
    /// How soon it is noticed that a blind stream sees again, that a stream became quiet, or that the setting changed.
    private static let pause = Duration.seconds(1)

    init(_ selfTest: SelfTest, quiet: Duration) {
        self.selfTest = selfTest
        self.quiet = Mutex(quiet)
    }

    /// How long a stream may be without an event.
    func set(quiet: Duration) { self.quiet.withLock { $0 = quiet } }

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var told = ""
            while true {
                try await Task.sleep(for: Self.pause)
                self.selfTest.look()
                if self.selfTest.isDue(quiet: self.quiet.withLock { $0 }) { await self.selfTest.run() }
                let summary = self.selfTest.summary
                if summary != told { ServiceManager.notify("STATUS=\(summary)") }
                told = summary
            }
        }
    }
}

/// Reads the configuration again at SIGHUP. What can change while events are recorded does; the rest is named.
struct ReloadService: Service {
    let current: Configuration
    let load: @Sendable () throws -> Configuration
    let selfTest: SelfTest
    let logger: Logger
    let apply: @Sendable (Configuration) -> Void

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            ServiceManager.notifyReloading()
            do {
                let new = try load()
                apply(new)
                let waiting = new.needingRestart(from: current)
                if !waiting.isEmpty {
                    logger.warning("changed, but only a restart can apply it: \(waiting.joined(separator: ", "))")
                }
                logger.info("configuration reloaded")
            } catch {
                logger.error("configuration not reloaded, the old one stays: \(error)")
            }
            await selfTest.run()
            ServiceManager.notify("READY=1\nSTATUS=\(selfTest.summary)")
        }
    }
}

extension Configuration {
    /// The keys in which this differs from `old` and which are fixed while the daemon runs.
    func needingRestart(from old: Configuration) -> [String] {
        var keys: [String] = []
        for (name, path) in [("exec", \Configuration.exec), ("deletes", \Configuration.deletes)] {
            let (new, old) = (self[keyPath: path], old[keyPath: path])
            if new.record != old.record { keys.append("\(name).record") }
            if new.windowBytes != old.windowBytes { keys.append("\(name).window_bytes") }
            if new.windowSeconds != old.windowSeconds { keys.append("\(name).window_seconds") }
            if new.ringBytes != old.ringBytes { keys.append("\(name).ring_bytes") }
            if new.failed != old.failed { keys.append("\(name).failed") }
            if new.calls32Bit != old.calls32Bit { keys.append("\(name).calls_32_bit") }
            if new.hooks != old.hooks { keys.append("\(name).hooks") }
        }
        if argumentBytes != old.argumentBytes { keys.append("exec.argument_bytes") }
        if pin != old.pin { keys.append("handover.pin") }
        if socket != old.socket { keys.append("server.socket") }
        if group != old.group { keys.append("server.group") }
        return keys
    }
}

/// Where `status` gets its figures.
final class StatusSource: Sendable {
    private let started: UInt64
    private let recorded: [Begun]
    private let journal: JournalService
    private let selfTest: SelfTest
    private let configuration: Mutex<Configuration>

    init(
        started: UInt64, recorded: [Begun], journal: JournalService, selfTest: SelfTest,
        configuration: Configuration
    ) {
        self.started = started
        self.recorded = recorded
        self.journal = journal
        self.selfTest = selfTest
        self.configuration = Mutex(configuration)
    }

    func set(_ new: Configuration) { configuration.withLock { $0 = new } }

    func make() -> StatusReport {
        let configuration = configuration.withLock { $0 }
        let state = journal.state
        var journal = StatusReport.Journal()
        journal.available = state.isAvailable
        journal.exec = configuration.exec.record && configuration.exec.journal
        journal.deletes = configuration.deletes.record && configuration.deletes.journal
        journal.written = state.written
        journal.folded = state.folded
        journal.lost = state.lost
        journal.behind = state.behind
        journal.lag = state.lag
        return StatusReport(
            version: Defaults.version, pid: getpid(), started: started, kernel: Self.kernel(),
            memoryBytes: Self.memory(),
            streams: recorded.map { recorded in
                let drain = recorded.drain.drain
                let ring = drain.ring
                let misses = drain.recursionMisses
                return StatusReport.Stream(
                    stream: recorded.recording.stream, rung: recorded.hooks.rung, limits: recorded.hooks.limits,
                    programs: recorded.hooks.programs.map {
                        StatusReport.Program(
                            name: $0.name, verifiedInstructions: $0.verifiedInstructions,
                            recursionMisses: misses[$0.name])
                    },
                    selfTest: selfTest.finding(recorded.recording.stream),
                    generated: drain.generated, losses: drain.losses, rate: drain.pace.rate,
                    ring: StatusReport.Ring(capacity: ring.capacity, used: ring.used, highest: ring.highest),
                    window: recorded.window)
            }, journal: journal)
    }

    /// The kernel's release, as uname(1) has it.
    private static func kernel() -> String {
        (SmallFile.read("/proc/sys/kernel/osrelease") ?? "unknown\n").split(separator: "\n").first.map(String.init)
            ?? "unknown"
    }

    /// Resident memory in bytes: the second number of /proc/self/statm, in pages.
    private static func memory() -> Int {
        let pages =
            (SmallFile.read("/proc/self/statm") ?? "").split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }
}
