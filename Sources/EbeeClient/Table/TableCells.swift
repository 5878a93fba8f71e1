import EbeeProtocol

extension TableFormatter {
    /// What an event shows in a column.
    mutating func cell(_ column: Column, event: JSON, time: Int64?, clock: ReaderClock) -> Cell {
        let process = event["process"]
        switch column {
        case .time:
            let withDate = showsDateInRows
            return Cell(column, .faint) { text in
                text.append(plain: time.map { clock.text($0, fractionDigits: 3, withDate: withDate) } ?? "-")
            }
        case .event:
            let isDeletion = event["event"]?.string == "delete"
            let name = isDeletion ? event["how"]?.string ?? "delete" : event["event"]?.string ?? "-"
            return Cell(column, isDeletion ? .deletion : .plain) { $0.append(FileName(name), .name) }
        case .pid: return number(column, process?["pid"])
        case .ppid: return number(column, process?["parent"]?["pid"])
        case .user:
            let name = userName(process?["user"])
            return Cell(column) { $0.append(FileName(name), .name) }
        case .exit:
            let result = event["result"]?.string
            let text = result.flatMap { $0 == "success" ? nil : $0 } ?? process?.ending ?? "-"
            return Cell(column, text == "0" || text == "-" ? .plain : .failure) { $0.append(FileName(text), .name) }
        case .duration:
            let text = process?["duration_ns"]?.integer.map(HumanUnits.duration) ?? "-"
            return Cell(column) { $0.append(plain: text) }
        case .comm: return name(column, process, "name")
        case .how:
            let how = event["how"]?.string ?? "-"
            return Cell(column, .deletion) { $0.append(FileName(how), .name) }
        case .result:
            let result = event["result"]?.string ?? "success"
            let text = result == "success" ? "ok" : result
            return Cell(column, text == "ok" ? .plain : .failure) { $0.append(FileName(text), .name) }
        case .size:
            let text = event["file"]?["size"]?.integer.map(HumanUnits.size) ?? "-"
            return Cell(column) { $0.append(plain: text) }
        case .unit:
            let unit = process?["unit"]?.string ?? "-"
            return Cell(column) { $0.append(FileName(unit), .unit) }
        case .directory: return name(column, process, "working_directory")
        case .command: return Cell(column) { Self.command(process, into: &$0) }
        case .path: return Cell(column) { Self.path(event, into: &$0) }
        case .detail:
            let isDeletion = event["event"]?.string == "delete"
            return Cell(column) { isDeletion ? Self.path(event, into: &$0) : Self.command(process, into: &$0) }
        }
    }

    private func number(_ column: Column, _ value: JSON?) -> Cell {
        let text = value?.integer.map { String($0) } ?? "-"
        return Cell(column) { $0.append(plain: text) }
    }

    private func name(_ column: Column, _ object: JSON?, _ key: String) -> Cell {
        let name = FileName(object, key) ?? FileName("-")
        return Cell(column) { $0.append(name, .name) }
    }

    private mutating func userName(_ user: JSON?) -> String {
        if let name = user?["name"]?.string { return name }
        guard let uid = user?["id"]?.integer.flatMap({ UInt32(exactly: $0) }) else { return "-" }
        return users.name(of: uid) ?? String(uid)
    }

    /// The arguments; where there are none, at least what ran.
    private static func command(_ process: JSON?, into text: inout CellText) {
        let arguments = process?.arguments ?? []
        if arguments.isEmpty {
            text.append(FileName(process, "executable") ?? FileName(process, "name") ?? FileName("-"), .name)
        } else {
            ShellQuoting.append(arguments, to: &text)
        }
        guard process?["args_truncated"]?.bool == true else { return }
        text.append(plain: process?["args_count"]?.integer.map { " … (\($0) arguments)" } ?? " …")
    }

    /// The path, and what took its place.
    private static func path(_ event: JSON, into text: inout CellText) {
        let file = event["file"]
        text.append(FileName(file, "path") ?? FileName("-"), .name)
        if (file?["path_truncated"] ?? event["path_truncated"])?.bool == true { text.append(plain: "…") }
        if let replacement = FileName(event, "replaced_by") ?? FileName(file, "replaced_by") {
            text.append(plain: " -> replaced by ")
            text.append(replacement, .name)
        }
    }
}
