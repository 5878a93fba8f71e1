import ArgumentParser
import CLinux
import Dispatch
import EbeeKernel
import EbeeProtocol
import EbeeRecord
import EbeeServer
import Glibc
import Logging
import Synchronization

/// The daemon's command line.
public struct Ebeed: ParsableCommand {
    /// Name, help and version.
    public static let configuration = CommandConfiguration(
        commandName: "ebeed",
        abstract: "Records every program that runs and every file that is deleted.",
        discussion: """
            Runs in the foreground and logs to standard error. Ask it with ebeectl(1).

            EXAMPLES
              ebeed                                   run with /etc/ebee/ebeed.toml, if that is there
              ebeed --check                           what would work on this kernel, and why the rest would not
              ebeed --config ./my.toml --check        is this configuration right?

            EXIT STATUS
              0 stopped as asked, 64 wrong usage, 69 this kernel can't, 77 not permitted, 78 wrong configuration
            """,
        version: "ebeed \(Defaults.version)")

    static let defaultFile = "/etc/ebee/ebeed.toml"

    @Option(
        help: ArgumentHelp("Read this configuration (default: \(Self.defaultFile), if it is there).", valueName: "file")
    )
    var config: String?

    @Option(help: ArgumentHelp("Listen on this socket, whatever the configuration says.", valueName: "path"))
    var socket: String?

    @Flag(help: "Check configuration and kernel, say what would work and why, and exit.")
    var check = false

    /// What the child of the self-test is told.
    @Option(name: .customLong(String(SelfTest.argument.dropFirst(2))), help: .hidden)
    var selfTestDeletion: String?

    /// What the child that tries a configuration is told.
    @Option(name: .customLong(String(TOMLTrial.argument.dropFirst(2))), help: .hidden)
    var tryTOML: String?

    /// What ArgumentParser fills in.
    public init() {}

    /// Checks or records, until it is told to stop.
    public mutating func run() throws {
        // Swift reads them from /proc. Without that, a configuration and a socket that were named would silently be others.
        guard CommandLine.argc > 0 else {
            Self.say("the command line can't be read from /proc/self/cmdline: is /proc mounted?")
            throw ExitCode(EX_OSERR)
        }
        if let selfTestDeletion { throw ExitCode(unsafe unlink(selfTestDeletion) == 0 ? EXIT_SUCCESS : EXIT_FAILURE) }
        if let attempt = tryTOML.flatMap(TOMLTrial.Attempt.init) { return TOMLTrial.perform(attempt) }
        // A client, or a reader of the log, that goes away is an error of a write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        // Until the part that reloads is there, a reload has nothing to do, and must not end the process.
        signal(SIGHUP, SIG_IGN)
        ebee_return_large_blocks()
        do {
            let load = self.load
            let configuration = try load()
            try Requirements.check()
            if check {
                let works = try Check.run(configuration, file: config ?? Self.defaultFile)
                throw works ? ExitCode.success : ExitCode(EX_UNAVAILABLE)
            }
            let daemon = try Daemon(configuration, reload: load)
            try Self.wait { try await daemon.run() }
        } catch let error as ExitCode {
            throw error
        } catch {
            Self.say("\(error)")
            throw ExitCode(Self.status(of: error))
        }
    }

    /// Runs it on other threads, which all begin with what this one has, and waits for it here.
    private static func wait(for body: @escaping @Sendable () async throws -> Void) throws {
        let failure = Mutex<(any Error)?>(nil)
        let ended = DispatchSemaphore(value: 0)
        // By itself it would have this thread's priority, for which Dispatch raises that of its threads, and complains where it may not.
        Task(priority: .medium) {
            do { try await body() } catch { failure.withLock { $0 = error } }
            ended.signal()
        }
        ended.wait()
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    /// The configuration as file and command line have it.
    private var load: @Sendable () throws -> Configuration {
        let (config, socket) = (self.config, self.socket)
        return {
            var configuration = try Self.read(config)
            if let socket {
                guard socket.hasPrefix("/"), socket.utf8.count <= 107 else {
                    throw UsageError("--socket must be an absolute path of at most 107 bytes")
                }
                configuration.socket = socket
            }
            return configuration
        }
    }

    private static func read(_ file: String?) throws(ConfigurationError) -> Configuration {
        let path = file ?? defaultFile
        guard let text = SmallFile.read(path) else {
            if file == nil, errno == ENOENT { return Configuration() }
            throw ConfigurationError(description: unsafe "\(path): \(String(cString: strerror(errno)))")
        }
        try TOMLTrial.check(text, file: path)
        return try Configuration(parsing: text, file: path)
    }

    static func say(_ sentence: String) { StandardError.write(sentence, .error) }

    /// As sysexits.h has them.
    private static func status(of error: any Error) -> Int32 {
        switch error {
        case is ConfigurationError: EX_CONFIG
        case is UsageError: EX_USAGE
        case Unmet.permission: EX_NOPERM
        case Unmet.kernel: EX_UNAVAILABLE
        case SocketError.inUse: EX_UNAVAILABLE
        default: EX_OSERR
        }
    }
}

/// A command line that can't be obeyed. Exit code 64.
struct UsageError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
