import EbeeProtocol
import EbeeRecord
import EbeeWindow
import NIOCore
import Synchronization

/// One client: its requests, several at a time, until it has no more or goes away.
final class Connection: Sendable {
    typealias Outbound = NIOAsyncChannelOutboundWriter<ByteBuffer>

    private let channel: any Channel
    private let sources: [Source]
    private let doorbell: Doorbell
    private let limits: ServerLimits
    private let isStopping: @Sendable () -> Bool
    private let status: @Sendable (inout JSONWriter) -> Void
    private let underWay = Atomic<Int>(0)

    init(
        channel: any Channel, sources: [Source], doorbell: Doorbell, limits: ServerLimits,
        isStopping: @escaping @Sendable () -> Bool, status: @escaping @Sendable (inout JSONWriter) -> Void
    ) {
        self.channel = channel
        self.sources = sources
        self.doorbell = doorbell
        self.limits = limits
        self.isStopping = isStopping
        self.status = status
    }

    /// Reads requests and answers them. A client that closes only its sending side still gets its answers.
    func serve(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: Outbound) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            // A tail waits for events, not for the client: somebody has to notice that it left. A stream, unlike the
            // future itself, can be left again.
            let (closed, closing) = AsyncStream<Never>.makeStream()
            self.channel.closeFuture.whenComplete { _ in closing.finish() }
            tasks.addTask {
                for await _ in closed {}
                throw CancellationError()
            }
            tasks.addTask {
                try await self.answerAll(inbound, outbound)
            }
            defer { tasks.cancelAll() }
            // Whichever ends first ends the connection.
            try await tasks.next()
        }
    }

    private func answerAll(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: Outbound) async throws {
        try await withThrowingDiscardingTaskGroup { tasks in
            do {
                for try await line in inbound {
                    guard let request = try await self.request(line, outbound) else { continue }
                    self.underWay.add(1, ordering: .relaxed)
                    tasks.addTask {
                        defer { self.underWay.subtract(1, ordering: .relaxed) }
                        try await self.answer(request, outbound)
                    }
                }
            } catch is ByteToMessageDecoderError.PayloadTooLargeError {
                let refusal = RequestError(
                    .tooLong, "a request is at most \(self.limits.requestBytes) bytes long (server.request_bytes)")
                try await outbound.write(ByteBuffer(bytes: refusal.line))
                throw refusal
            }
        }
    }

    /// Reads one line; what is wrong with it is answered, and nil returned.
    private func request(_ line: ByteBuffer, _ outbound: Outbound) async throws -> Request? {
        do throws(RequestError) {
            let request = try Request(line: Array(line.readableBytesView))
            if underWay.load(ordering: .relaxed) >= limits.requests {
                throw RequestError(
                    .tooManyRequests, "\(limits.requests) requests are under way, which is the limit (server.requests)",
                    id: request.id)
            }
            return request
        } catch {
            try await outbound.write(ByteBuffer(bytes: error.line))
            return nil
        }
    }

    private func answer(_ request: Request, _ outbound: Outbound) async throws {
        switch request.query {
        case .status:
            var writer = JSONWriter()
            writer.beginObject()
            writer.json("id", request.id.json)
            status(&writer)
            writer.endObject()
            writer.endLine()
            writer.append(Completeness.emptyLine(id: request.id))
            try await outbound.write(ByteBuffer(bytes: writer.bytes))
        case .recent(let recent) where recent.reverse:
            try await write(ReverseAnswer(request.id, recent, sources(recent.stream)), request.id, outbound)
        case .recent(let recent):
            if let limit = recent.limit {
                let answer = NewestAnswer(request.id, recent, limit: limit, sources(recent.stream))
                try await write(answer, request.id, outbound)
            } else {
                try await write(ForwardAnswer(request.id, recent, sources(recent.stream)), request.id, outbound)
            }
        case .tail(let tail):
            try await write(TailAnswer(request.id, tail, sources(tail.stream)), request.id, outbound)
        }
    }

    private func sources(_ stream: EventStream) -> [Source] {
        stream == .all ? sources : sources.filter { $0.stream == stream.rawValue }
    }

    /// Takes the answer's steps at the pace at which the client reads.
    private func write(_ answer: some Answer, _ id: RequestID, _ outbound: Outbound) async throws {
        var answer = answer
        var ring: Ring?
        while true {
            let (step, lines) = Self.step(&answer)
            if !lines.isEmpty { try await outbound.write(ByteBuffer(bytes: lines)) }
            switch step {
            case .done: return
            case .more: await Task.yield()
            case .wait:
                if isStopping() {
                    try await outbound.write(
                        ByteBuffer(bytes: RequestError(.stopping, "ebeed is stopping", id: id).line))
                    return
                }
                // The bell is asked to ring, and the window looked at once more: what came in between is not slept through.
                await ring?.wait()
                ring = ring == nil ? Ring(doorbell) : nil
            }
            try Task.checkCancellation()
        }
    }

    private static func step(_ answer: inout some Answer) -> (Step, [UInt8]) {
        var writer = JSONWriter()
        let step = answer.step(&writer)
        return (step, writer.bytes)
    }
}

/// One ring of the doorbell, which may come before anybody waits for it.
private final class Ring: Sendable {
    private enum State {
        case silent
        case waiting(CheckedContinuation<Void, Never>)
        case rung
    }

    private let state = Mutex<State>(.silent)

    init(_ doorbell: Doorbell) {
        doorbell.notify { self.ring() }
    }

    private func ring() {
        let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
            defer { state = .rung }
            if case .waiting(let continuation) = state { return continuation }
            return nil
        }
        waiting?.resume()
    }

    /// Returns at the ring, or at once if that was before, or when the task is cancelled.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isRung = state.withLock { state in
                    if case .rung = state { return true }
                    state = .waiting(continuation)
                    return false
                }
                if isRung { continuation.resume() }
            }
        } onCancel: {
            ring()
        }
    }
}
