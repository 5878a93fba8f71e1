import Synchronization

/// What a connection does, and since when: whoever does nothing for long gives its place to somebody else.
final class Activity: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// What is to be done about a connection.
    enum Verdict: Equatable {
        /// Nothing yet: look again then.
        case fine(until: Instant)
        /// It had no request under way for too long.
        case idle
        /// It took nothing of its answers for too long.
        case stalled
    }

    private struct State {
        var requests = 0
        /// When the last line came, or the last answer ended.
        var lastRequest: Instant
        var writes = 0
        /// When the client last made room, or the first of the writes under way began.
        var lastWrite: Instant
    }

    private let state: Mutex<State>

    init(now: Instant = .now) { state = Mutex(State(lastRequest: now, lastWrite: now)) }

    /// Requests under way.
    var requests: Int { state.withLock { $0.requests } }

    /// A line came.
    func received(at now: Instant = .now) { state.withLock { $0.lastRequest = now } }

    func beginRequest() { state.withLock { $0.requests += 1 } }

    func endRequest(at now: Instant = .now) {
        state.withLock {
            $0.requests -= 1
            $0.lastRequest = now
        }
    }

    func beginWrite(at now: Instant = .now) {
        state.withLock {
            if $0.writes == 0 { $0.lastWrite = now }
            $0.writes += 1
        }
    }

    func endWrite(at now: Instant = .now) {
        state.withLock {
            $0.writes -= 1
            $0.lastWrite = now
        }
    }

    func verdict(now: Instant = .now, idle: Duration, stalled: Duration) -> Verdict {
        let state = state.withLock { $0 }
        if state.writes > 0 {
            let end = state.lastWrite + stalled
            return now >= end ? .stalled : .fine(until: end)
        }
        if state.requests > 0 { return .fine(until: now + min(idle, stalled)) }
        let end = state.lastRequest + idle
        return now >= end ? .idle : .fine(until: end)
    }
}
