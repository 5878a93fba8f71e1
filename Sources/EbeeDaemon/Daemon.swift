import CLinux
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

/// The parts, put together: programs into windows, windows to the journal and to the socket. They start in this order and
/// stop in the reverse one.
struct Daemon {
    /// One stream from its ring to its window.
    struct Recorded: Sendable {
        let recording: Recording
        let window: Window
        let rung: String
        let limits: [String]
        let programs: [LoadedProgram]
        let since: UInt64
    }

    private let configuration: Configuration
    private let reload: @Sendable () throws -> Configuration
    private let logger: Logger
    /// The level of every logger, which a reload changes.
    private static let level = Mutex(Logger.Level.info)

    init(_ configuration: Configuration, reload: @escaping @Sendable () throws -> Configuration) {
        self.configuration = configuration
        self.reload = reload
        Self.level.withLock { $0 = configuration.logLevel }
        LoggingSystem.bootstrap { label in StandardErrorLog(level: { Self.level.withLock { $0 } }) }
        logger = Logger(label: "ebeed")
    }

    /// How long the whole may take to stop, before it is ended the hard way: the journal may hang.
    private static let stopLimit = Duration.seconds(5)

    func run() async throws {
        let started = Clock.boot()
        let listener = try listen()
        let doorbell = Doorbell()
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = []
        var recorded: [Recorded] = []
        var drains: [DrainService] = []
        do {
            for recording in Recording.allCases where configuration[recording].record {
                let stream = configuration[recording]
                let window = try Window(
                    name: "ebee-\(recording.stream)", bytes: stream.windowBytes,
                    maximumAge: UInt64(stream.windowSeconds) * 1_000_000_000, doorbell: doorbell)
                let program = try Program.attach(recording, settings: configuration.programSettings(recording))
                let entry = Recorded(
                    recording: recording, window: window, rung: program.rung, limits: program.limits,
                    programs: program.programs, since: Clock.boot())
                recorded.append(entry)
                logger.info("recording \(recording.stream) through \(program.rung)")
                drains.append(try DrainService(program, into: window, name: recording.stream))
            }
        } catch {
            listener.remove()
            throw error
        }

        // Loading read the kernel's type information several times: some 10 MB that are not needed again.
        ebee_trim_heap()

        let journal = try JournalService(
            recorded, settings: configuration.journalSettings, doorbell: doorbell, logger: logger)
        let selfTest = SelfTest(recorded, directory: configuration.ownDirectory, logger: logger)
        let report = StatusSource(
            started: started, recorded: recorded, drains: drains, journal: journal, selfTest: selfTest,
            configuration: configuration)
        let server = Server(
            listener: listener,
            sources: zip(recorded, drains).map { recorded, service in
                Source(
                    event: recorded.recording.event, stream: recorded.recording.stream, window: recorded.window,
                    recordingSince: recorded.since, unmarked: { service.drain.unmarked })
            },
            doorbell: doorbell, limits: configuration.serverLimits, logger: logger, status: { report.make() })
        let reloader = ReloadService(current: configuration, load: reload, selfTest: selfTest, logger: logger) { new in
            Self.level.withLock { $0 = new.logLevel }
            journal.set(new.journalSettings)
            report.set(new)
            server.set(new.serverLimits)
        }
        services += drains.map { .init(service: $0) }
        services.append(.init(service: journal))
        services.append(.init(service: reloader))
        services.append(.init(service: ReadinessService(drains: drains, selfTest: selfTest)))
        services.append(.init(service: server))

        var group = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint],
            logger: Logger(label: "life cycle") { _ in SwiftLogNoOpLogHandler() })
        group.maximumGracefulShutdownDuration = Self.stopLimit
        group.maximumCancellationDuration = .seconds(2)
        try await ServiceGroup(configuration: group).run()
        logger.info("stopped")
    }

    private func listen() throws -> SocketListener {
        if let descriptor = try ServiceManager.activatedSocket() { return SocketListener(activated: descriptor) }
        return try SocketListener(path: configuration.socket, group: configuration.group, backlog: 128)
    }
}

extension Recording {
    /// As events name it.
    var event: String {
        switch self {
        case .exec: "exec"
        case .deletes: "delete"
        }
    }
}

extension Configuration {
    /// Where ebeed may write: what the service manager made for it (systemd.exec(5), RuntimeDirectory=), or where its socket is.
    var ownDirectory: String {
        if let made = unsafe getenv("RUNTIME_DIRECTORY") { return unsafe String(cString: made) }
        return String(socket[..<(socket.lastIndex(of: "/") ?? socket.startIndex)])
    }

    var serverLimits: ServerLimits { ServerLimits(clients: clients, requests: requests, requestBytes: requestBytes) }

    var journalSettings: JournalWriter.Settings {
        var events: Set<String> = []
        for recording in Recording.allCases where self[recording].journal { events.insert(recording.event) }
        return JournalWriter.Settings(
            events: events, entriesPerSecond: UInt64(journalEntriesPerSecond), backlog: UInt64(journalBacklog))
    }
}
