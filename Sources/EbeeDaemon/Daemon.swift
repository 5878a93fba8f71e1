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

/// The parts, put together: programs into windows, windows to the journal and to the socket.
struct Daemon {
    private let configuration: Configuration
    private let reload: @Sendable () throws -> Configuration
    private let logger: Logger
    private let started = Clock.boot()
    private let listener: SocketListener
    private let access: Access
    private let doorbell = Doorbell()
    private let handOver: HandOver
    private let recorded: [Begun]
    /// The level of every logger, which a reload changes.
    private static let level = Mutex(Logger.Level.info)

    /// Everything that needs privileges, all of which are given up in the end: the socket, the programs and their windows.
    /// From then on, events are recorded.
    ///
    /// To be called on the process's first thread, before there is another: capabilities are each thread's own.
    init(_ configuration: Configuration, reload: @escaping @Sendable () throws -> Configuration) throws {
        self.configuration = configuration
        self.reload = reload
        Self.level.withLock { $0 = configuration.logLevel }
        LoggingSystem.bootstrap { label in StandardErrorLog(level: { Self.level.withLock { $0 } }) }
        let logger = Logger(label: "ebeed")
        self.logger = logger
        let (socket, kept) = try ServiceManager.handedOver()
        let access = Access(others: configuration.access, group: configuration.group)
        self.access = access
        let listener = try Self.listen(socket, configuration, access)
        self.listener = listener
        do {
            let keeper = try Keeper(pin: configuration.pin, files: configuration.ownDirectory, kept: kept)
            let handOver = HandOver(keeper: keeper, logger: logger)
            self.handOver = handOver
            let doorbell = self.doorbell
            let inherited = try Recording.allCases.filter { configuration[$0].record }.map {
                try handOver.inherit($0, configuration, doorbell)
            }
            recorded = try inherited.map { try handOver.begin($0, configuration) }
            keeper.forgetRest()
        } catch {
            listener.remove()
            throw error
        }
        // Loading read the kernel's type information several times: some 10 MB that are not needed again.
        ebee_trim_heap()
        try Privileges.dropCapabilities()
        do {
            try Privileges.refuseCalls()
        } catch {
            // A kernel without CONFIG_SECCOMP_FILTER: without capabilities, those calls do little.
            logger.warning("\(error)")
        }
    }

    /// How long the whole may take to stop, before it is ended the hard way: the journal may hang.
    private static let stopLimit = Duration.seconds(5)

    /// Serves until it is told to stop.
    func run() async throws {
        let drains = recorded.map(\.drain)
        let journal = try JournalService(
            recorded, settings: configuration.journalSettings, doorbell: doorbell, logger: logger)
        let selfTest = SelfTest(recorded, directory: configuration.ownDirectory, logger: logger) {
            handOver.tell(isBlind: $0, $1)
        }
        let canary = CanaryService(selfTest, quiet: .seconds(configuration.quietSeconds))
        let report = StatusSource(
            started: started, recorded: recorded, journal: journal, selfTest: selfTest, configuration: configuration)
        let server = Server(
            listener: listener,
            sources: recorded.map { recorded in
                Source(
                    event: recorded.recording.event, stream: recorded.recording.stream, window: recorded.window,
                    unmarked: { recorded.drain.drain.unmarked }, arrival: { recorded.drain.drain.arrival() })
            },
            doorbell: doorbell, limits: configuration.serverLimits, access: access, logger: logger,
            status: { report.make() })
        let reloader = ReloadService(current: configuration, load: reload, selfTest: selfTest, logger: logger) { new in
            Self.level.withLock { $0 = new.logLevel }
            journal.set(new.journalSettings)
            canary.set(quiet: .seconds(new.quietSeconds))
            for drain in drains { drain.drain.redactions.set(new.redaction) }
            report.set(new)
            server.set(new.serverLimits, access.opened(to: new.access))
        }
        // They stop in the reverse order: the journal after the drains, so that it gets their last events.
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [.init(service: journal)]
        services += drains.map { .init(service: $0) }
        services.append(.init(service: reloader))
        services.append(.init(service: ReadinessService(drains: drains, selfTest: selfTest)))
        services.append(.init(service: canary))
        services.append(.init(service: server))

        var group = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint],
            logger: Logger(label: "life cycle") { _ in SwiftLogNoOpLogHandler() })
        group.maximumGracefulShutdownDuration = Self.stopLimit
        group.maximumCancellationDuration = .seconds(2)
        try await ServiceGroup(configuration: group).run()
        handOver.end()
        logger.info("stopped")
    }

    private static func listen(_ activated: Int32?, _ configuration: Configuration, _ access: Access) throws
        -> SocketListener
    {
        if let activated { return SocketListener(activated: activated) }
        return try SocketListener(path: configuration.socket, access: access, backlog: 128)
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

    var serverLimits: ServerLimits {
        ServerLimits(
            clients: clients, clientsPerUser: clientsPerUser, requests: requests, requestBytes: requestBytes,
            idle: .seconds(idleSeconds), stalled: .seconds(stalledSeconds))
    }

    var journalSettings: JournalWriter.Settings {
        var events: Set<String> = []
        for recording in Recording.allCases where self[recording].journal { events.insert(recording.event) }
        return JournalWriter.Settings(
            events: events, entriesPerSecond: UInt64(journalEntriesPerSecond), backlog: UInt64(journalBacklog))
    }
}
