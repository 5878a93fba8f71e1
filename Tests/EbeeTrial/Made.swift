import EbeeProtocol

/// What a load says that it made: `ebee-load`, or `ebee-act crowd`.
public struct Made: Sendable {
    /// Its process.
    public let pid: Int64
    /// How many of each.
    public let count: [Stream: Int64]
    /// How long that took.
    public let seconds: Double

    /// Nil where that is not what was said.
    /// - Parameter line: an object of JSON.
    public init?(_ line: [UInt8]) {
        guard let said = try? JSON(parsing: line), let pid = said["pid"]?.integer,
            let deletions = said["deletions"]?.integer, let executions = said["executions"]?.integer,
            // The parser keeps a number's digits, and this one is no integer.
            case .number(let digits)? = said["seconds"], let seconds = Double(digits)
        else { return nil }
        self.pid = pid
        count = [.exec: executions, .deletes: deletions]
        self.seconds = seconds
    }

    /// Members of the protocol's filter for what `ebee-load` did itself, but for its own directory, which it removes.
    public func filter(_ stream: Stream) -> String {
        switch stream {
        case .exec: ",\"ppid\":[\(pid)]"
        case .deletes: ",\"pid\":[\(pid)],\"path\":[\"/dev/shm/ebee-load-*/*\"]"
        }
    }
}
