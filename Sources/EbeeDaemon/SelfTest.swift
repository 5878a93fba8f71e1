import EbeeKernel
import EbeeProtocol
import EbeeRecord
import EbeeServer
import EbeeWindow
import Glibc
import Logging
import Synchronization

/// Whether events really arrive. At start, at each reload, and when a stream has been quiet, a child of ebeed is executed and
/// deletes a file, and both must come out of the windows: everything can be attached and healthy, and still blind.
final class SelfTest: Sendable {
    /// The hidden argument of ebeed that makes it the child: the file that follows is deleted.
    static let argument = "--self-test-deletion"
    /// How long the child and its events may take; a busy machine is not a blind one.
    private static let patience = Duration.seconds(10)
    private static let pause = Duration.milliseconds(20)

    private let recorded: [Begun]
    private let directory: String
    private let logger: Logger
    private let tell: @Sendable (_ isBlind: Bool, Recording) -> Void
    private let state = Mutex(State())
    private let concluding = Mutex(())
    /// A reload may come while the test of the start, or of another reload, still runs.
    private let runs = Atomic<Int>(0)

    private struct State {
        var findings: [String: StatusReport.SelfTest] = [:]
        /// How many events of the blind ones there were when they were found to be.
        var events: [String: UInt64] = [:]
        /// Boot time of the last test.
        var tested: UInt64 = 0
    }

    /// - Parameters:
    ///   - directory: one that ebeed may write to.
    ///   - tell: called when a stream turned out to be blind, and when it is known not to be.
    init(
        _ recorded: [Begun], directory: String, logger: Logger,
        tell: @escaping @Sendable (_ isBlind: Bool, Recording) -> Void
    ) {
        self.tell = tell
        self.recorded = recorded
        self.directory = directory
        self.logger = logger
    }

    /// What the last run found, by stream; nil before there was one.
    func finding(_ stream: String) -> StatusReport.SelfTest? { state.withLock { $0.findings[stream] } }

    /// One line for the service manager: what is recorded through which hooks, or what is wrong.
    var summary: String {
        let failures = state.withLock { state in
            state.findings.sorted { $0.key < $1.key }.compactMap { stream, finding -> String? in
                guard case .failed(let reason, let since) = finding else { return nil }
                return "\(stream): \(since.map { "since \(Self.text($0)), " } ?? "")\(reason)"
            }
        }
        let hooks = recorded.map { "\($0.recording.stream) through \($0.hooks.rung)" }.joined(separator: ", ")
        return failures.isEmpty ? "Recording \(hooks)." : "BLIND: " + failures.joined(separator: "; ")
    }

    /// Whether a stream has been without an event, and without a test, for so long: then it is to be tested.
    func isDue(quiet: Duration) -> Bool {
        let tested = state.withLock { $0.tested }
        let seen = recorded.map { max(tested, $0.window.state.newest ?? 0) }.min() ?? tested
        let now = Clock.boot()
        return .nanoseconds(Int64(clamping: now - min(now, seen))) >= quiet
    }

    /// Takes back that a stream is blind once an event of it has come, whichever it is. That a test can't run, no event
    /// takes back.
    func look() {
        for entry in recorded {
            let stream = entry.recording.stream
            if let events = state.withLock({ $0.events[stream] }), entry.window.end.ordinal > events {
                conclude(entry, .passed)
            }
        }
    }

    /// Keeps what was found of a stream, and tells the log what is new.
    ///
    /// Called by the test and by whoever sees that events come: each has its say as a whole, the later one in the end.
    private func conclude(_ entry: Begun, _ finding: StatusReport.SelfTest) {
        concluding.withLock { _ in concludeAlone(entry, finding) }
    }

    private func concludeAlone(_ entry: Begun, _ finding: StatusReport.SelfTest) {
        let stream = entry.recording.stream
        let before = state.withLock { state in
            let before = state.findings[stream]
            state.findings[stream] = finding
            if case .failed(_, .some) = finding {
                state.events[stream] = entry.window.end.ordinal
            } else {
                state.events[stream] = nil
            }
            return before
        }
        if case .failed(_, let since?) = finding {
            entry.window.blindness.begin(since: since)
            tell(true, entry.recording)
        } else if case .passed = finding {
            entry.window.blindness.end(now: Clock.boot())
            tell(false, entry.recording)
        }
        switch (finding, before) {
        case (.failed(let reason, let since), _):
            let when = since.map { "; the last event came at \(Self.text($0))" } ?? ""
            logger.error("\(stream): blind, as far as ebeed can tell: \(reason)\(when)")
        case (.passed, .failed(_, let since?)?):
            logger.warning("\(stream): events come again; what happened since \(Self.text(since)) may be missing")
        case (.passed, .failed(_, nil)?): logger.info("\(stream): tested again, events arrive")
        case (.passed, _): break
        }
    }

    private static func text(_ boot: UInt64) -> String { RFC3339.format(Clock.wall(boot: boot)) }

    /// Runs the test and says what is wrong.
    func run() async {
        var cursors = recorded.map(\.window.end)
        // What happened after that may be missing, if the test fails.
        let seen = recorded.map { entry in
            if case .failed(_, let since?) = finding(entry.recording.stream) { return since }
            return entry.window.state.newest ?? entry.window.recordingSince
        }
        state.withLock { $0.tested = Clock.boot() }
        var missing = Set(recorded.indices)
        let path = "\(directory)/.self-test-\(getpid())-\(runs.wrappingAdd(1, ordering: .relaxed).newValue)"
        defer { _ = unsafe unlink(path) }
        var isTested = true
        var failure =
            "its own test event did not arrive within \(Self.patience.components.seconds) s; a restart chooses among the hooks anew"
        do throws(SystemError) {
            let child = try Self.start(path)
            let deadline = ContinuousClock.now + Self.patience
            var hasEnded = false
            var isLastLook = false
            while !isLastLook, !missing.isEmpty || !hasEnded {
                // One more when the time is over: this process may have been stopped itself.
                isLastLook = ContinuousClock.now >= deadline
                if !hasEnded { hasEnded = try Self.end(of: child) }
                missing = missing.filter { index in
                    !Self.isThere(recorded[index], from: &cursors[index], by: UInt32(child))
                }
                try? await Task.sleep(for: Self.pause)
                if Task.isCancelled { break }
            }
            if !hasEnded {
                kill(child, SIGKILL)
                _ = waitpid(child, nil, 0)
            }
            // ebeed is told to stop: nothing was found out.
            if Task.isCancelled { return }
        } catch {
            failure = "it could not be tested: \(error)"
            isTested = false
        }
        for (index, entry) in recorded.enumerated() {
            conclude(entry, missing.contains(index) ? .failed(failure, since: isTested ? seen[index] : nil) : .passed)
        }
    }

    /// Creates the file and has a child delete it; returns the child.
    private static func start(_ path: String) throws(SystemError) -> pid_t {
        // One that a killed ebeed of the same pid left.
        _ = unsafe unlink(path)
        // Nothing may be opened to write any more (privileges.c).
        let file = unsafe open(path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0o600)
        if file < 0 { throw SystemError("create \(path)") }
        close(file)
        return try OwnChild.start([Self.argument, path])
    }

    /// Whether the child has ended; it must have ended well.
    private static func end(of child: pid_t) throws(SystemError) -> Bool {
        var status: Int32 = 0
        switch unsafe waitpid(child, &status, WNOHANG) {
        case 0: return false
        case child where status == 0: return true
        case child: throw SystemError("the child of the test ended with wait status \(status)", errno: ECHILD)
        default: throw SystemError("wait for the child of the test")
        }
    }

    /// Whether the event of the child has come since `cursor`, which moves on.
    private static func isThere(_ entry: Begun, from cursor: inout Window.Cursor, by child: UInt32) -> Bool {
        let kind = entry.recording == .exec ? RecordKind.exec : RecordKind.delete
        let batch = Batch()
        var found = false
        while case .records = entry.window.read(batch, at: &cursor) {
            while let isIt = batch.take(
                moving: &cursor, { header, _, _ in header.pid == child && header.kind == kind })
            {
                found = found || isIt
            }
        }
        return found
    }
}
