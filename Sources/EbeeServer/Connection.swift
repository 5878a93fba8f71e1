import EbeeProtocol
import EbeeRecord
import EbeeWindow
import NIOCore
import NIOExtras
import Synchronization

/// One client: its requests, several at a time, until it has no more or goes away.
final class Connection: Sendable {
    private let channel: any Channel
    private let view: View
    private let sources: [Source]
    private let doorbell: Doorbell
    private let limits: ServerLimits
    private let isStopping: @Sendable () -> Bool
    private let status: @Sendable (inout JSONWriter) -> Void
    private let activity = Activity()

    /// - Parameter view: how much the client sees.
    init(
        channel: any Channel, view: View, sources: [Source], doorbell: Doorbell, limits: ServerLimits,
        isStopping: @escaping @Sendable () -> Bool, status: @escaping @Sendable (inout JSONWriter) -> Void
    ) {
        self.channel = channel
        self.view = view
        self.sources = sources.map { source in
            var source = source
            source.view = view
            return source
        }
        self.doorbell = doorbell
        self.limits = limits
        self.isStopping = isStopping
        self.status = status
    }

    /// Reads requests and answers them. A client that closes only its sending side still gets its answers.
    func serve(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>) async throws {
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
                try await self.answerAll(inbound)
            }
            tasks.addTask {
                try await self.watch()
            }
            defer { tasks.cancelAll() }
            // Whichever ends first ends the connection.
            try await tasks.next()
        }
    }

    private func answerAll(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>) async throws {
        try await withThrowingDiscardingTaskGroup { tasks in
            func take(_ line: ByteBuffer) async throws {
                self.activity.received()
                guard let request = try await self.request(line) else { return }
                self.activity.beginRequest()
                tasks.addTask {
                    defer { self.activity.endRequest() }
                    try await self.answer(request)
                }
            }
            do {
                for try await line in inbound { try await take(line) }
            } catch let end as NIOExtrasErrors.LeftOverBytesError {
                // The last line needs no end.
                try await take(end.leftOverBytes)
            } catch is ByteToMessageDecoderError.PayloadTooLargeError {
                let refusal = RequestError(
                    .tooLong, "a request is at most \(self.limits.requestBytes) bytes long (server.request_bytes)")
                try await self.send(refusal.line)
                throw refusal
            }
        }
    }

    /// Ends the connection when the client asks nothing, or takes nothing, for too long.
    private func watch() async throws {
        while true {
            switch activity.verdict(idle: limits.idle, stalled: limits.stalled) {
            case .fine(let until): try await Task.sleep(until: until, clock: .continuous)
            case .idle:
                let refusal = RequestError(
                    .idle, "no request for \(limits.idle.components.seconds) s (server.idle_seconds)")
                try await send(refusal.line)
                throw refusal
            case .stalled: throw CancellationError()
            }
        }
    }

    /// Sends, and waits until the kernel has taken all of it for the client. So each request holds one stretch at most, a client
    /// that takes nothing is known, and nothing is left to be lost when the connection is closed.
    private func send(_ bytes: [UInt8]) async throws {
        activity.beginWrite()
        defer { activity.endWrite() }
        try await withTaskCancellationHandler {
            try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
        } onCancel: {
            channel.close(promise: nil)
        }
    }

    /// Reads one line; what is wrong with it is answered, and nil returned.
    private func request(_ line: ByteBuffer) async throws -> Request? {
        do throws(RequestError) {
            let request = try Request(line: Array(line.readableBytesView))
            if activity.requests >= limits.requests {
                throw RequestError(
                    .tooManyRequests, "\(limits.requests) requests are under way, which is the limit (server.requests)",
                    id: request.id)
            }
            return request
        } catch {
            try await send(error.line)
            return nil
        }
    }

    private func answer(_ request: Request) async throws {
        switch request.query {
        case .status:
            var writer = JSONWriter()
            writer.beginObject()
            writer.json("id", request.id.json)
            status(&writer)
            writer.endObject()
            writer.endLine()
            writer.append(Completeness.emptyLine(id: request.id))
            try await send(writer.bytes)
        case .recent(let recent):
            try await write(question(request.id, recent).answer, request.id)
        case .tail(let tail):
            try await write(TailAnswer(request.id, tail, sources(tail.stream)), request.id)
        }
    }

    /// What happened before the question belongs to the answer, also if it is still on its way to the window.
    private func question(_ id: RequestID, _ recent: Recent) async throws -> Question {
        let sources = sources(recent.stream)
        let now = Clock.boot()
        return Question(id, recent, sources, now: now, arrival: try await Source.arrival(sources))
    }

    private func sources(_ stream: EventStream) -> [Source] {
        stream == .all ? sources : sources.filter { $0.stream == stream.rawValue }
    }

    /// Takes the answer's steps at the pace at which the client reads.
    private func write(_ answer: some Answer, _ id: RequestID) async throws {
        var answer = answer
        var ring: Ring?
        if view.scope == .own { try await send(view.scope.line(id: id)) }
        while true {
            let (step, lines) = Self.step(&answer)
            if !lines.isEmpty { try await send(lines) }
            switch step {
            case .done: return
            case .more: await Task.yield()
            case .wait:
                if isStopping() {
                    try await send(RequestError(.stopping, "ebeed is stopping", id: id).line)
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
    private let doorbell: Doorbell
    private let waiter = Mutex<UInt64>(0)

    init(_ doorbell: Doorbell) {
        self.doorbell = doorbell
        let waiter = doorbell.notify { self.ring() }
        self.waiter.withLock { $0 = waiter }
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
            doorbell.forget(waiter.withLock { $0 })
            ring()
        }
    }
}
