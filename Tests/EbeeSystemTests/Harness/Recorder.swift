import CTestSupport
import Foundation
import Glibc
import Testing

/// The binaries that are tested, and those that tests use.
enum Binary {
    static let ebeed = path("EBEE_EBEED", "ebeed")
    static let ebeectl = path("EBEE_EBEECTL", "ebeectl")
    static let act = built("ebee-act")
    static let load = built("ebee-load")
    static let account = built("ebee-account")
    static let bench = built("ebee-bench")
    static let coverage = built("ebee-coverage")
    /// Where ebeed is, and what else the kernel matrix takes into its guests.
    static let release = (ebeed as NSString).deletingLastPathComponent
    static let matrix = "\(release)/ebee-matrix"
    static let faults = "\(release)/libebee-faults.so"
    static let tries = "\(release)/libebee-tries.so"

    /// The package: this file lies three directories below it.
    static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    private static func path(_ variable: String, _ name: String) -> String {
        guard let path = ProcessInfo.processInfo.environment[variable], !path.isEmpty else { return built(name) }
        return path.hasPrefix("/") ? path : "\(package)/\(path)"
    }

    /// Next to the test itself.
    private static func built(_ name: String) -> String {
        let test = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let beside = URL(fileURLWithPath: test).deletingLastPathComponent().appendingPathComponent(name).path
        return FileManager.default.isExecutableFile(atPath: beside) ? beside : "\(package)/.build/debug/\(name)"
    }
}

/// A daemon on a socket and with a configuration of its own, stopped with the value.
final class Recorder: @unchecked Sendable {
    /// The one that a suite started for its tests (`.recorder`).
    @TaskLocal static var shared: Recorder?

    static var current: Recorder {
        get throws {
            guard let shared else { throw HarnessError("the suite lacks .recorder") }
            return shared
        }
    }

    let place: Place
    let socket: String
    let configuration: String
    private let child: Child
    private let errorFile: String
    /// The daemon itself, where `child` is what started it.
    private(set) var pid: pid_t = 0

    /// - Parameters:
    ///   - toml: its configuration; the journal is off unless it says otherwise.
    ///   - through: a command that runs it, such as `nsenter`.
    init(
        _ toml: String = "[exec]\njournal = false\n[deletes]\njournal = false\n", through: [String] = [],
        in place: Place? = nil
    ) throws {
        self.place = try place ?? Place()
        socket = self.place("ebeed.sock")
        configuration = self.place("ebeed.toml")
        errorFile = self.place("stderr")
        try toml.write(toFile: configuration, atomically: false, encoding: .utf8)
        let command = through + [Binary.ebeed, "--config", configuration, "--socket", socket]
        child = try Child(command.map { Array($0.utf8) }, output: .file(errorFile), errors: .file(errorFile))
        // A debug build under load takes its time to have its programs verified.
        let status = try wait(seconds: 60) { () -> Value? in
            if let ending = try child.wait(seconds: 0) {
                throw HarnessError("ebeed ended at once (\(ending)): \(errors)")
            }
            return Call.access(socket, F_OK) == 0 ? try? self.status() : nil
        }
        guard let status, let pid = status["pid"]?.integer else {
            stop()
            throw HarnessError("ebeed does not answer: \(errors)")
        }
        self.pid = pid_t(pid)
    }

    deinit { stop() }

    /// What it wrote to standard error so far.
    var errors: String { (try? String(contentsOfFile: errorFile, encoding: .utf8)) ?? "" }

    func signal(_ number: Int32) { child.signal(number) }

    /// SIGTERM, and SIGKILL when that does not help; how it ended.
    @discardableResult
    func stop() -> Ending? {
        child.signal(SIGTERM)
        // It continues in case a test stopped it.
        child.signal(SIGCONT)
        if let ending = try? child.wait(seconds: 15) { return ending }
        child.signal(SIGKILL)
        return try? child.wait(seconds: 10)
    }

    /// Lets one of its threads stand still, while the others go on.
    func freezing(_ name: String, _ body: () throws -> Void) throws {
        let tasks = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
        let found = tasks.first { task in
            (try? String(contentsOfFile: "/proc/\(pid)/task/\(task)/comm", encoding: .utf8)) == name + "\n"
        }
        guard let thread = found.flatMap({ pid_t($0) }) else { throw HarnessError("ebeed has no thread \(name)") }
        let frozen = ebee_freeze(thread)
        guard frozen == 0 else { throw HarnessError("freeze \(name): errno \(-frozen)") }
        defer { ebee_thaw(thread) }
        try body()
    }

    /// Runs ebeectl against it.
    func ebeectl(_ arguments: [String], seconds: Double = 30) throws -> Finished {
        try run(ebeectlCommand(arguments).map { Array($0.utf8) }, seconds: seconds)
    }

    func ebeectl(_ arguments: String..., seconds: Double = 30) throws -> Finished {
        try ebeectl(arguments, seconds: seconds)
    }

    func ebeectlCommand(_ arguments: [String]) -> [String] {
        [Binary.ebeectl] + arguments + ["--socket", socket]
    }

    /// The answer to `ebeectl status -o json`.
    func status() throws -> Value {
        let finished = try ebeectl("status", "-o", "json")
        guard finished.status == 0 else { throw HarnessError("status: \(finished.errorText)") }
        return try Value(parsing: finished.output)
    }

    /// The member of `status` about a stream.
    func stream(_ name: String) throws -> Value {
        let streams = try status()["streams"]?.array ?? []
        guard let stream = streams.first(where: { $0["stream"] == .string(name) }) else {
            throw HarnessError("status has no stream \(name)")
        }
        return stream
    }

    /// What `ebeectl recent … -o json` prints, parsed.
    func recent(_ arguments: [String], seconds: Double = 60) throws -> [Value] {
        let finished = try ebeectl(["recent"] + arguments + ["-o", "json"], seconds: seconds)
        guard finished.status == 0 else {
            throw HarnessError("recent \(arguments): \(finished.ending) \(finished.errorText)")
        }
        return try finished.output.split(separator: 10).map { try Value(parsing: $0) }
    }

    func recent(_ arguments: String...) throws -> [Value] { try recent(arguments) }

    /// Every deletion at or below a directory, once all that happened before this call has been recorded.
    func deletions(below directory: String, failed: Bool = false, hidden: String? = nil) throws -> [Value] {
        try settle()
        let filters = ["--path", directory, "--path", "\(directory)/*"] + (failed ? ["--failed"] : [])
        return try recent(["deletes"] + filters)
    }

    /// Every execution of a process, once it has ended and that is recorded too.
    func executions(of pid: pid_t) throws -> [Value] {
        try settle()
        return try recent("exec", "--pid", "\(pid)")
    }

    /// Waits until what happened so far can be asked for. A ring keeps the order in which records were begun, so a deletion
    /// and an execution of our own that have arrived are behind all that came before them.
    func settle() throws {
        let marker = place("marker-\(UInt32.random(in: 0 ... .max))")
        try makeFile(Array(marker.utf8))
        let remover = try must("rm", marker)
        // The exit of what came before is known once a later exit is.
        let isThere = try wait(seconds: 20) { () -> Bool? in
            let deleted = try !recent("deletes", "--path", marker).isEmpty
            let ended = try recent("exec", "--pid", "\(remover.pid)", "-n", "1").last?["process", "exit_code"] != nil
            return deleted && ended ? true : nil
        }
        guard isThere == true else { throw HarnessError("ebeed did not record \(marker), or that rm ended") }
    }
}
