import EbeeProtocol

/// The columns of the tables. Their widths are fixed, because a row is printed before the next one is known.
enum Column {
    case time, event, pid, ppid, user, exit, duration, comm, how, result, size, unit, directory
    /// The last column of each table; it has whatever is left of the line.
    case command, path, detail

    /// The columns for a stream. What has no place on a narrow terminal is shown on a wide one.
    static func layout(for stream: EventStream, isWide: Bool, showsFailed: Bool) -> [Column] {
        let unit: [Column] = isWide ? [.unit] : []
        let result: [Column] = showsFailed ? [.result] : []
        switch stream {
        case .exec:
            return [.time, .pid, .ppid, .user, .exit, .duration] + unit + (isWide ? [.directory] : []) + [.command]
        case .deletes: return [.time, .pid, .user, .comm, .how] + result + [.size, .path]
        case .all: return [.time, .event, .pid, .user, .comm] + result + unit + [.detail]
        }
    }

    var title: String {
        switch self {
        case .time: "TIME"
        case .event: "EVENT"
        case .pid: "PID"
        case .ppid: "PPID"
        case .user: "USER"
        case .exit: "EXIT"
        case .duration: "DURATION"
        case .comm: "COMM"
        case .how: "HOW"
        case .result: "RESULT"
        case .size: "SIZE"
        case .unit: "UNIT"
        case .directory: "DIRECTORY"
        case .command: "COMMAND"
        case .path: "PATH"
        case .detail: "COMMAND OR PATH"
        }
    }

    /// The width in cells, without the gap behind it.
    func width(withDate: Bool) -> Int {
        switch self {
        case .time: withDate ? 23 : 12
        case .event, .how, .exit: 6
        case .pid, .ppid: 7
        case .user, .duration: 8
        case .comm: 15
        case .result: 9
        case .size: 5
        case .unit, .directory: 20
        case .command, .path, .detail: 0
        }
    }

    var isRightAligned: Bool {
        switch self {
        case .pid, .ppid, .exit, .duration, .size: true
        default: false
        }
    }
}
