import EbeeProtocol
import EbeeRecord
import EbeeWindow
import Glibc
import Logging
import NIOCore
import NIOExtras
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Bounds of the server, as the configuration has them.
public struct ServerLimits: Sendable, Equatable {
    /// Connections at one time.
    public var clients: Int
    /// Of these, by one user of those who see only their own events.
    public var clientsPerUser: Int
    /// Requests under way at one time on one connection.
    public var requests: Int
    /// Bytes of a request's line.
    public var requestBytes: Int
    /// How long a connection may be without a request under way.
    public var idle: Duration
    /// How long a client may take nothing of its answers.
    public var stalled: Duration

    /// Bounds within the ranges that the configuration allows.
    public init(
        clients: Int, clientsPerUser: Int, requests: Int, requestBytes: Int, idle: Duration, stalled: Duration
    ) {
        self.clients = clients
        self.clientsPerUser = clientsPerUser
        self.requests = requests
        self.requestBytes = requestBytes
        self.idle = idle
        self.stalled = stalled
    }
}

/// Answers questions on a Unix socket. A connection is a task that reads requests, a request a child task that writes its answer at
/// the pace at which the client reads it.
public final class Server: Service {
    /// A connection that was let in.
    private struct Arrival {
        let descriptor: Int32
        let view: View
    }

    private struct Settings {
        var limits: ServerLimits
        var access: Access
    }

    private let listener: SocketListener
    private let sources: [Source]
    private let doorbell: Doorbell
    private let settings: Mutex<Settings>
    private let status: @Sendable () -> StatusReport
    private let logger: Logger
    private let seats = Seats()
    private let stopping = Atomic<Bool>(false)
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    /// How much of a client's requests is read at once.
    private static let readBytes = 4096
    /// How long clients have to take the end of their answers when the daemon stops.
    private static let farewell = Duration.milliseconds(500)

    /// - Parameters:
    ///   - doorbell: rings for every one of `sources`.
    ///   - status: made anew for each request.
    public init(
        listener: SocketListener, sources: [Source], doorbell: Doorbell, limits: ServerLimits, access: Access,
        logger: Logger, status: @escaping @Sendable () -> StatusReport
    ) {
        self.listener = listener
        self.sources = sources
        self.doorbell = doorbell
        settings = Mutex(Settings(limits: limits, access: access))
        self.status = status
        self.logger = logger
    }

    /// Changes the bounds and who may ask; connections that exist keep theirs. The mode of the socket stays: whom it lets in besides,
    /// is refused here; whom it keeps out can come after a restart.
    public func set(_ limits: ServerLimits, _ access: Access) {
        if !listener.letsIn(access) { logger.warning("server.access: the socket opens to others after a restart") }
        settings.withLock { $0 = Settings(limits: limits, access: access) }
    }

    /// Serves until a graceful shutdown.
    public func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let (arrivals, arriving) = AsyncStream<Arrival>.makeStream()
        let acceptor = try Acceptor(listener.descriptor)
        try acceptor.start { descriptor in
            self.admit(descriptor, arriving)
        } failed: { error in
            self.logger.warning("\(error)")
        } ended: {
            arriving.finish()
        }
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { tasks in
                for await arrival in arrivals { tasks.addTask { await self.serve(arrival, group) } }
                acceptor.stop()
            }
        } onGracefulShutdown: {
            self.stop(acceptor)
        }
        try await group.shutdownGracefully()
        listener.remove()
    }

    private func stop(_ acceptor: Acceptor) {
        stopping.store(true, ordering: .releasing)
        acceptor.stop()
        doorbell.ring()
        Task {
            try? await Task.sleep(for: Self.farewell)
            for channel in self.channels.withLock({ $0.values.map(\.self) }) { channel.close(promise: nil) }
        }
    }

    /// Finds out who connected, before anything that they sent is read, and lets them in or tells them why not.
    private func admit(_ descriptor: Int32, _ arriving: AsyncStream<Arrival>.Continuation) {
        let settings = self.settings.withLock { $0 }
        do throws(RequestError) {
            let view = try settings.access.view(of: try peer(of: descriptor))
            try seats.take(view, settings.limits)
            if case .enqueued = arriving.yield(Arrival(descriptor: descriptor, view: view)) { return }
            seats.leave(view)
        } catch {
            // The buffer of a new socket has room for it.
            let line = error.line
            _ = unsafe line.withUnsafeBytes { line in
                unsafe send(descriptor, line.baseAddress, line.count, Int32(MSG_NOSIGNAL))
            }
        }
        close(descriptor)
    }

    private func peer(of descriptor: Int32) throws(RequestError) -> Peer {
        do throws(SystemError) {
            return try Peer(of: descriptor)
        } catch {
            throw RequestError(.notPermitted, "the kernel doesn't tell who asks: \(error)")
        }
    }

    private func serve(_ arrival: Arrival, _ group: MultiThreadedEventLoopGroup) async {
        defer { seats.leave(arrival.view) }
        let limits = settings.withLock { $0.limits }
        do {
            let channel = try await ClientBootstrap(group: group)
                .channelOption(.allowRemoteHalfClosure, value: true)
                // What is read at once becomes frames at once: of empty lines, one for each byte.
                .channelOption(.maxMessagesPerRead, value: 1)
                .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.readBytes))
                .withConnectedSocket(arrival.descriptor) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            ByteToMessageHandler(LineBasedFrameDecoder(), maximumBufferSize: limits.requestBytes))
                        return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                            wrappingChannelSynchronously: channel)
                    }
                }
            let key = ObjectIdentifier(channel.channel)
            channels.withLock { $0[key] = channel.channel }
            defer { channels.withLock { _ = $0.removeValue(forKey: key) } }
            let connection = Connection(
                channel: channel.channel, view: arrival.view, sources: sources, doorbell: doorbell, limits: limits,
                isStopping: { self.stopping.load(ordering: .acquiring) },
                status: { writer in
                    self.status().write(&writer, clients: self.seats.count, scope: arrival.view.scope)
                })
            try await channel.executeThenClose { inbound, _ in try await connection.serve(inbound) }
        } catch {
            // A client that goes away in the middle is everyday life.
            logger.trace("a connection ended", metadata: ["error": "\(error)"])
        }
    }
}
