extension Request {
    /// The request as one line, with its newline. What has its default value is left out.
    public var line: [UInt8] {
        var object = ObjectWriter()
        object.add("id", String(decoding: id.json, as: UTF8.self))
        switch query {
        case .recent(let recent):
            object.add("request", "\"recent\"")
            object.add("stream", recent.stream)
            object.add("since", recent.since?.json)
            object.add("until", recent.until?.json)
            object.add("limit", recent.limit.map { String($0) })
            object.add("reverse", recent.reverse ? "true" : nil)
            object.add("filter", recent.filter.json)
        case .tail(let tail):
            object.add("request", "\"tail\"")
            object.add("stream", tail.stream)
            object.add("backlog", tail.backlog > 0 ? String(tail.backlog) : nil)
            object.add("filter", tail.filter.json)
        case .status:
            object.add("request", "\"status\"")
        }
        return Array((object.json + "\n").utf8)
    }
}

extension Moment {
    fileprivate var json: String {
        switch self {
        case .ago(let nanoseconds): String(nanoseconds)
        case .wall(let nanoseconds): "\"\(RFC3339.format(nanoseconds))\""
        }
    }
}

extension Filter {
    fileprivate var json: String? {
        guard self != Filter() else { return nil }
        var object = ObjectWriter()
        object.add("pid", pid.map { list($0) { String($0) } })
        object.add("ppid", ppid.map { list($0) { String($0) } })
        object.add("comm", comm.map { list($0, JSON.quoted) })
        object.add("exe", exe.map { list($0, JSON.quoted) })
        object.add("path", path.map { list($0, JSON.quoted) })
        object.add("uid", uid.map { list($0) { String($0) } })
        object.add("unit", unit.map { list($0, JSON.quoted) })
        object.add("failed", failed ? "true" : nil)
        object.add("older_than", olderThan.map { String($0) })
        return object.json
    }

    private func list<Element>(_ elements: [Element], _ json: (Element) -> String) -> String {
        "[" + elements.map(json).joined(separator: ",") + "]"
    }
}

private struct ObjectWriter {
    private var members: [String] = []

    /// Adds a member whose value is JSON already; nothing where it is nil.
    mutating func add(_ key: String, _ json: String?) {
        if let json { members.append("\"\(key)\":\(json)") }
    }

    mutating func add(_ key: String, _ stream: EventStream) {
        add(key, stream == .all ? nil : "\"\(stream.rawValue)\"")
    }

    var json: String { "{" + members.joined(separator: ",") + "}" }
}
