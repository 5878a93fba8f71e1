/// The codes of an `error` reply.
public enum ErrorCode: String, Sendable, CaseIterable {
    /// The line is not a JSON object.
    case badJSON = "bad_json"
    /// A key is missing, unknown, or its value of the wrong type or out of range.
    case badRequest = "bad_request"
    /// There is no such `request`.
    case unknownRequest = "unknown_request"
    /// More requests under way on this connection than allowed.
    case tooManyRequests = "too_many_requests"
    /// The line is longer than allowed.
    case tooLong = "too_long"
    /// More connections than allowed.
    case tooManyClients = "too_many_clients"
    /// Whoever connected may not ask.
    case notPermitted = "not_permitted"
    /// No request for as long as allowed.
    case idle
    /// The daemon is stopping.
    case stopping

    /// True where the daemon closes the connection after the reply.
    public var closesConnection: Bool {
        switch self {
        case .badJSON, .badRequest, .unknownRequest, .tooManyRequests: false
        case .tooLong, .tooManyClients, .notPermitted, .idle, .stopping: true
        }
    }
}

/// Why a request is refused.
public struct RequestError: Error, Sendable, Equatable {
    /// What programs go by.
    public let code: ErrorCode
    /// What people read; names the key that is at fault.
    public let message: String
    /// The id of the request, where it could be read.
    public let id: RequestID?

    /// A refusal.
    public init(_ code: ErrorCode, _ message: String, id: RequestID? = nil) {
        self.code = code
        self.message = message
        self.id = id
    }
}
