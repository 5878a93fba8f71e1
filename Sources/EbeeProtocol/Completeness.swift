/// The account that ends the answer to `recent`.
public struct Completeness: Sendable, Equatable {
    /// How many events the answer holds.
    public var matched: Int64
    /// True when the answer covers the whole interval asked for, and nothing in it was lost.
    public var complete: Bool
    /// Where the interval that the answer covers begins, in nanoseconds since the epoch.
    public var from: Int64
    /// Where it ends.
    public var to: Int64
    /// How many events in it are known to have been lost; nil for those who see only their own events.
    public var lost: Int64?
    /// True when ebeed may have seen nothing for a part of it.
    public var blind: Bool
    /// True when what was asked about ends later than `to`, and what happened since then is still on its way.
    public var late: Bool

    /// An account.
    public init(
        matched: Int64, complete: Bool, from: Int64, to: Int64, lost: Int64?, blind: Bool = false, late: Bool = false
    ) {
        self.matched = matched
        self.complete = complete
        self.from = from
        self.to = to
        self.lost = lost
        self.blind = blind
        self.late = late
    }

    /// Reads the value of `done`; nil where something is missing. Ignores what a later daemon may add.
    public init?(_ json: JSON) {
        guard let matched = json["matched"]?.integer, let complete = json["complete"]?.bool,
            let from = json["from"]?.string.flatMap(RFC3339.parse), let to = json["to"]?.string.flatMap(RFC3339.parse)
        else { return nil }
        self.init(
            matched: matched, complete: complete, from: from, to: to, lost: json["lost"]?.integer,
            blind: json["blind"]?.bool ?? false, late: json["late"]?.bool ?? false)
    }

    /// The value of `done`.
    public var json: String {
        "{\"matched\":\(matched),\"complete\":\(complete),\"from\":\"\(RFC3339.format(from))\","
            + "\"to\":\"\(RFC3339.format(to))\"" + (lost.map { ",\"lost\":\($0)" } ?? "")
            + (blind ? ",\"blind\":true" : "") + (late ? ",\"late\":true}" : "}")
    }

    /// The last line of the reply to `recent`, with its newline.
    public func line(id: RequestID) -> [UInt8] { doneLine(id: id, json) }

    /// The last line of the reply to `tail` and `status`, with its newline.
    public static func emptyLine(id: RequestID) -> [UInt8] { doneLine(id: id, "{}") }
}

private func doneLine(id: RequestID, _ json: String) -> [UInt8] {
    Array("{\"id\":".utf8) + id.json + Array(",\"done\":\(json)}\n".utf8)
}

extension Scope {
    /// The line that comes first in a reply to those who see only their own events, with its newline.
    public func line(id: RequestID) -> [UInt8] {
        Array("{\"id\":".utf8) + id.json + Array(",\"scope\":\"\(rawValue)\"}\n".utf8)
    }
}

extension RequestError {
    /// The reply, with its newline; without an id where none could be read.
    public var line: [UInt8] {
        let id = id.map { Array("\"id\":".utf8) + $0.json + Array(",".utf8) } ?? []
        let error = "\"error\":{\"code\":\"\(code.rawValue)\",\"message\":\(JSON.quoted(message))}}\n"
        return Array("{".utf8) + id + Array(error.utf8)
    }
}
