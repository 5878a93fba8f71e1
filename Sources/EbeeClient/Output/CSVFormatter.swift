import EbeeProtocol

/// Events as CSV by RFC 4180, except that a line ends with a newline alone, as everywhere on this system. The columns
/// are the same for all events; new ones are added at the end.
struct CSVFormatter: EventFormatter {
    /// True on a terminal, where names must not move the cursor.
    let isForTerminal: Bool
    var users = Users()

    private static let columns = [
        "event", "time", "pid", "ppid", "comm", "exe", "args", "cwd", "uid", "user", "login_uid", "login_user", "unit",
        "exit_code", "exit_signal", "duration_ns", "result", "how", "path", "path_raw", "replaced_by", "type", "inode",
        "device", "size", "links", "stream", "count", "from", "to", "why", "cursor",
    ]

    mutating func header() -> String { Self.columns.joined(separator: ",") + "\n" }

    mutating func format(_ event: ArraySlice<UInt8>) throws(ClientFailure) -> ArraySlice<UInt8> {
        let event = try JSON(reply: event)
        let process = event["process"]
        let file = event["file"]
        let fields: [String] = [
            text(event["event"]), text(event["time"]), text(process?["pid"]), text(process?["parent"]?["pid"]),
            text(process?["name"]), text(process?["executable"]), arguments(process),
            text(process?["working_directory"]), text(process?["user"]?["id"]), user(process?["user"]),
            text(process?["login_user"]?["id"]), user(process?["login_user"]), text(process?["unit"]),
            text(process?["exit_code"]), text(process?["exit_signal"]), text(process?["duration_ns"]),
            text(event["result"]), text(event["how"]), text(file?["path"]), text(file?["path_raw"]),
            text(event["replaced_by"] ?? file?["replaced_by"]), text(file?["type"]), text(file?["inode"]),
            text(file?["device"]), text(file?["size"]), text(file?["links"]), text(event["stream"]),
            text(event["count"]), text(event["from"]), text(event["to"]), text(event["why"]), text(event["cursor"]),
        ]
        return ArraySlice((fields.map(Self.quoted).joined(separator: ",") + "\n").utf8)
    }

    /// A field: in quotes where it has to be.
    static func quoted(_ field: String) -> String {
        // By scalars, because a carriage return and a newline together are one Character.
        let isSpecial = field.unicodeScalars.contains { $0 == "," || $0 == "\"" || $0 == "\n" || $0 == "\r" }
        guard isSpecial || field.first == " " || field.last == " " else { return field }
        return "\"" + field.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    private func text(_ value: JSON?) -> String {
        switch value {
        case .string(let text) where isForTerminal:
            var cell = CellText()
            cell.append(FileName(text), .name)
            return cell.text
        case .string(let text): return text
        case .number(let digits): return digits
        case .bool(let value): return String(value)
        case .null, .array, .object, nil: return ""
        }
    }

    private func arguments(_ process: JSON?) -> String {
        var cell = CellText()
        ShellQuoting.append(process?.arguments ?? [], to: &cell)
        return cell.text
    }

    private mutating func user(_ user: JSON?) -> String {
        if let name = user?["name"] { return text(name) }
        guard let uid = user?["id"]?.integer.flatMap({ UInt32(exactly: $0) }) else { return "" }
        return text(users.name(of: uid).map { .string($0) })
    }
}
