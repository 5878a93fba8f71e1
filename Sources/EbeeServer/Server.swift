import EbeeProtocol
import EbeeWindow
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
    /// Requests under way at one time on one connection.
    public var requests: Int
    /// Bytes of a request's line.
    public var requestBytes: Int

    /// Bounds within the ranges that the configuration allows.
    public init(clients: Int, requests: Int, requestBytes: Int) {
        self.clients = clients
        self.requests = requests
        self.requestBytes = requestBytes
    }
}

/// Answers questions on a Unix socket. A connection is a task that reads requests, a request a child task that writes its answer at
/// the pace at which the client reads it.
public final class Server: Service {
    private let listener: SocketListener
    private let sources: [Source]
    private let doorbell: Doorbell
    private let limits: Mutex<ServerLimits>
    private let status: @Sendable () -> StatusReport
    private let logger: Logger
    private let connected = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    /// How long clients have to take the end of their answers when the daemon stops.
    private static let farewell = Duration.milliseconds(500)

    /// - Parameters:
    ///   - doorbell: rings for every one of `sources`.
    ///   - status: made anew for each request.
    public init(
        listener: SocketListener, sources: [Source], doorbell: Doorbell, limits: ServerLimits, logger: Logger,
        status: @escaping @Sendable () -> StatusReport
    ) {
        self.listener = listener
        self.sources = sources
        self.doorbell = doorbell
        self.limits = Mutex(limits)
        self.status = status
        self.logger = logger
    }

    /// Changes the bounds; connections that exist keep theirs.
    public func set(_ limits: ServerLimits) { self.limits.withLock { $0 = limits } }

    /// How many clients are connected.
    public var clients: Int { connected.load(ordering: .relaxed) }

    /// Serves until a graceful shutdown.
    public func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 128)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .bind(listener.descriptor) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let bytes = self.limits.withLock { $0.requestBytes }
                    try channel.pipeline.syncOperations.addHandler(
                        ByteToMessageHandler(LineBasedFrameDecoder(), maximumBufferSize: bytes))
                    return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
                }
            }
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { tasks in
                do {
                    try await server.executeThenClose { inbound in
                        for try await channel in inbound {
                            tasks.addTask { await self.serve(channel) }
                        }
                    }
                } catch {
                    self.logger.debug("the socket was closed", metadata: ["error": "\(error)"])
                }
            }
        } onGracefulShutdown: {
            self.stop(server.channel)
        }
        try await group.shutdownGracefully()
        listener.remove()
    }

    private func stop(_ server: any Channel) {
        stopping.store(true, ordering: .releasing)
        server.close(promise: nil)
        doorbell.ring()
        Task {
            try? await Task.sleep(for: Self.farewell)
            for channel in self.channels.withLock({ $0.values.map(\.self) }) { channel.close(promise: nil) }
        }
    }

    private func serve(_ channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async {
        let key = ObjectIdentifier(channel.channel)
        channels.withLock { $0[key] = channel.channel }
        connected.add(1, ordering: .relaxed)
        defer {
            connected.subtract(1, ordering: .relaxed)
            channels.withLock { _ = $0.removeValue(forKey: key) }
        }
        let limits = self.limits.withLock { $0 }
        let connection = Connection(
            channel: channel.channel, sources: sources, doorbell: doorbell, limits: limits,
            isStopping: { self.stopping.load(ordering: .acquiring) },
            status: { writer in self.status().write(&writer, clients: self.clients) })
        do {
            try await channel.executeThenClose { inbound, outbound in
                if self.clients > limits.clients {
                    let refusal = RequestError(
                        .tooManyClients, "\(limits.clients) clients are connected, which is the limit (server.clients)")
                    try await outbound.write(ByteBuffer(bytes: refusal.line))
                } else {
                    try await connection.serve(inbound, outbound)
                }
            }
        } catch {
            // A client that goes away in the middle is everyday life.
            logger.trace("a connection ended", metadata: ["error": "\(error)"])
        }
    }
}
