import EbeeKernel
import EbeeRecord
import EbeeServer
import EbeeWindow
import Glibc
import Logging
import Synchronization

/// Whether events really arrive. At start and at each reload a child of ebeed is executed and deletes a file, and both
/// must come out of the windows: everything can be attached and healthy, and still blind.
final class SelfTest: Sendable {
    /// The hidden argument of ebeed that makes it the child: the file that follows is deleted.
    static let argument = "--self-test-deletion"
    /// How long the child and its events may take; a busy machine is not a blind one.
    private static let patience = Duration.seconds(10)
    private static let pause = Duration.milliseconds(20)

    private let recorded: [Begun]
    private let directory: String
    private let logger: Logger
    private let abandon: @Sendable (Recording) -> Void
    private let findings = Mutex<[String: StatusReport.SelfTest]>([:])
    /// A reload may come while the test of the start, or of another reload, still runs.
    private let runs = Atomic<Int>(0)

    /// - Parameters:
    ///   - directory: one that ebeed may write to.
    ///   - abandon: called for what failed.
    init(
        _ recorded: [Begun], directory: String, logger: Logger,
        abandon: @escaping @Sendable (Recording) -> Void
    ) {
        self.abandon = abandon
        self.recorded = recorded
        self.directory = directory
        self.logger = logger
    }

    /// What the last run found, by stream; nil before there was one.
    func finding(_ stream: String) -> StatusReport.SelfTest? { findings.withLock { $0[stream] } }

    /// One line for the service manager: what is recorded through which hooks, or what is wrong.
    var summary: String {
        let failures = findings.withLock { findings in
            findings.sorted { $0.key < $1.key }.compactMap { stream, finding -> String? in
                guard case .failed(let reason) = finding else { return nil }
                return "\(stream): \(reason)"
            }
        }
        let hooks = recorded.map { "\($0.recording.stream) through \($0.hooks.rung)" }.joined(separator: ", ")
        return failures.isEmpty ? "Recording \(hooks)." : "BLIND: " + failures.joined(separator: "; ")
    }

    /// Runs the test and says what is wrong.
    func run() async {
        var cursors = recorded.map(\.window.end)
        var missing = Set(recorded.indices)
        let path = "\(directory)/.self-test-\(getpid())-\(runs.wrappingAdd(1, ordering: .relaxed).newValue)"
        defer { _ = unsafe unlink(path) }
        var failure =
            "its own test event did not arrive within \(Self.patience.components.seconds) s; a restart chooses among the hooks anew"
        do throws(SystemError) {
            let child = try Self.start(path)
            let deadline = ContinuousClock.now + Self.patience
            var hasEnded = false
            while ContinuousClock.now < deadline, !missing.isEmpty || !hasEnded {
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
        }
        for (index, entry) in recorded.enumerated() {
            let stream = entry.recording.stream
            let finding = missing.contains(index) ? StatusReport.SelfTest.failed(failure) : .passed
            findings.withLock { $0[stream] = finding }
            if missing.contains(index) {
                logger.error("\(stream): blind, as far as ebeed can tell: \(failure)")
                abandon(entry.recording)
            }
        }
    }

    /// Creates the file and has a child delete it; returns the child.
    private static func start(_ path: String) throws(SystemError) -> pid_t {
        // One that a killed ebeed of the same pid left.
        _ = unsafe unlink(path)
        let file = unsafe open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        if file < 0 { throw SystemError("create \(path)") }
        close(file)
        let words = ["ebeed", Self.argument, path]
        let pointers = unsafe words.map { unsafe strdup($0) }
        defer { unsafe pointers.forEach { unsafe free($0) } }
        var child: pid_t = 0
        // By its path, so that the child has its name; by the link itself where an upgrade has replaced it, or where the path
        // leads through a directory that is closed to who has no capabilities.
        let link = "/proc/self/exe"
        var error = ENOENT
        for program in [Self.path(of: link), link] where error != 0 {
            error = unsafe posix_spawn(&child, program, nil, nil, pointers + [nil], environ)
        }
        if error != 0 { throw SystemError("execute \(link)", errno: error) }
        return child
    }

    private static func path(of link: String) -> String {
        guard let path = unsafe realpath(link, nil) else { return link }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
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
