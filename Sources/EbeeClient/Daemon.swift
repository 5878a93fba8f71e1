import EbeeProtocol
import NIOCore
import NIOExtras
import NIOPosix

/// The daemon behind a socket, asked one question.
struct Daemon {
    let socketPath: String

    /// Sends a question, and hands over the reply as it comes, batch by batch; the first batch, which comes as soon as
    /// the question is sent, is empty. Returns what `done` says.
    ///
    /// The next batch is read from the socket only after the last ones were taken, so a slow terminal slows the
    /// daemon's reader down instead of filling our memory.
    func ask(_ query: Request.Query, _ take: ([Reply]) throws -> Void) async throws -> JSON {
        let request = Request(id: .integer(1), query: query)
        guard request.line.count <= Limits.requestBytes else {
            throw ClientFailure(message: "the filters are longer than \(Limits.requestBytes) bytes", exitCode: 64)
        }
        Signals.ignoreBrokenPipes()
        let connection = try await connect()
        let watcher = Task { await closeWhenUnread(connection.channel) }
        defer { watcher.cancel() }
        do {
            return try await connection.executeThenClose { inbound, outbound in
                // A daemon that has too many clients says so and closes before it reads. Then this fails, and why is
                // found below.
                try? await outbound.write(ByteBuffer(bytes: request.line))
                try take([])
                for try await lines in inbound {
                    let replies = try lines.map { try Reply(line: Array($0.readableBytesView), id: request.id) }
                    var end: JSON?
                    for case .done(let done) in replies { end = done }
                    try take(replies)
                    for case .error(let code, let message) in replies {
                        throw ClientFailure.refused(code: code, message: message)
                    }
                    if let end { return end }
                }
                watcher.cancel()
                if await watcher.value { throw StandardOutput.Failure.closed }
                throw ClientFailure.disconnected
            }
        } catch is IOError {
            throw ClientFailure.disconnected
        } catch is NIOExtrasErrors.LeftOverBytesError {
            throw ClientFailure.disconnected
        } catch is ByteToMessageDecoderError.PayloadTooLargeError {
            throw ClientFailure.malformed("longer than \(Limits.replyBytes) bytes")
        }
    }

    private func connect() async throws -> NIOAsyncChannel<[ByteBuffer], ByteBuffer> {
        // One connection needs one thread.
        NIOSingletons.groupLoopCountSuggestion = 1
        do {
            return try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(unixDomainSocketPath: socketPath) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let lines = ByteToMessageHandler(
                            LineBasedFrameDecoder(), maximumBufferSize: Limits.replyBytes + 1)
                        try channel.pipeline.syncOperations.addHandlers(lines, BatchHandler())
                        return try NIOAsyncChannel(
                            wrappingChannelSynchronously: channel,
                            configuration: .init(backPressureStrategy: .init(lowWatermark: 1, highWatermark: 4)))
                    }
                }
        } catch let error as IOError {
            throw ClientFailure.unreachable(socketPath, errno: error.errnoCode)
        } catch is SocketAddressError {
            throw ClientFailure(message: "the path of the socket is too long: \(socketPath)", exitCode: 64)
        }
    }
}

/// Closes the connection when nobody reads our output any more, and then returns true. A tail that has nothing to
/// write would otherwise never learn that the `head` behind it has ended.
private func closeWhenUnread(_ channel: any Channel) async -> Bool {
    while !StandardOutput.isClosed {
        do { try await Task.sleep(for: .milliseconds(250)) } catch { return false }
    }
    channel.close(promise: nil)
    return true
}

/// Hands on together the lines that came with one read, so that they are written together.
private final class BatchHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = [ByteBuffer]

    private var lines: [ByteBuffer] = []

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lines.append(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        pass(to: context)
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        pass(to: context)
        context.fireChannelInactive()
    }

    private func pass(to context: ChannelHandlerContext) {
        guard !lines.isEmpty else { return }
        context.fireChannelRead(wrapInboundOut(lines))
        lines = []
    }
}
