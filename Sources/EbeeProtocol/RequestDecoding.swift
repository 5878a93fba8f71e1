extension Request {
    /// Reads a request from one line, without its newline.
    ///
    /// Strict: a key that is unknown, given twice, or not meant for this request is an error, so that a misspelt
    /// filter never widens an answer.
    public init(line: [UInt8]) throws(RequestError) {
        let document: JSON
        do throws(JSONError) {
            document = try JSON(parsing: line)
        } catch {
            throw RequestError(.badJSON, error.description)
        }
        guard case .object(let members) = document else {
            throw RequestError(.badJSON, "a request is a JSON object")
        }
        // The id first, wherever it stands, so that every other complaint can carry it.
        let id = try RequestID(members: members)
        let names = members.filter { $0.key == "request" }
        guard let name = names.first else { throw RequestError(.badRequest, "'request' is missing", id: id) }
        guard names.count == 1 else { throw RequestError(.badRequest, "'request' is given twice", id: id) }
        guard let name = name.value.string else {
            throw RequestError(.badRequest, "'request' must be a string", id: id)
        }
        switch name {
        case "recent": self.init(id: id, query: .recent(try Recent(members, id: id)))
        case "tail": self.init(id: id, query: .tail(try Tail(members, id: id)))
        case "status":
            _ = try Fields(members, known: ["id", "request"], of: name, id: id)
            self.init(id: id, query: .status)
        default: throw RequestError(.unknownRequest, "there is no request \(quotedForMessage(name))", id: id)
        }
    }
}

extension RequestID {
    fileprivate init(members: [JSON.Member]) throws(RequestError) {
        let ids = members.filter { $0.key == "id" }
        guard let id = ids.first?.value else { throw RequestError(.badRequest, "'id' is missing") }
        guard ids.count == 1 else { throw RequestError(.badRequest, "'id' is given twice") }
        if let integer = id.integer {
            self = .integer(integer)
        } else if let string = id.string, string.utf8.count <= Limits.idBytes {
            self = .string(string)
        } else {
            throw RequestError(
                .badRequest, "'id' must be an integer of 64 bits, or a string of up to \(Limits.idBytes) bytes")
        }
    }
}

extension Recent {
    fileprivate init(_ members: [JSON.Member], id: RequestID) throws(RequestError) {
        let fields = try Fields(
            members, known: ["id", "request", "stream", "since", "until", "limit", "reverse", "filter"],
            of: "recent", id: id)
        self.init(
            stream: try fields.stream(), since: try fields.moment("since"), until: try fields.moment("until"),
            limit: try fields.integer("limit", in: 0...Int64(Int.max)).map { Int($0) },
            reverse: try fields.bool("reverse") ?? false, filter: try fields.filter())
    }
}

extension Tail {
    fileprivate init(_ members: [JSON.Member], id: RequestID) throws(RequestError) {
        let fields = try Fields(
            members, known: ["id", "request", "stream", "backlog", "filter"], of: "tail", id: id)
        self.init(
            stream: try fields.stream(),
            backlog: try fields.integer("backlog", in: 0...Int64(Int.max)).map { Int($0) } ?? 0,
            filter: try fields.filter())
    }
}

/// The members of an object whose keys have all been found to be known and given once. What the accessors throw
/// names the key.
private struct Fields {
    private let members: [JSON.Member]
    private let prefix: String
    private let id: RequestID

    init(_ members: [JSON.Member], known: [String], of owner: String, prefix: String = "", id: RequestID)
        throws(RequestError)
    {
        var seen: Set<String> = []
        for member in members {
            guard known.contains(member.key) else {
                throw RequestError(
                    .badRequest, "'\(owner)' has no key \(quotedForMessage(prefix + member.key))", id: id)
            }
            guard seen.insert(member.key).inserted else {
                throw RequestError(.badRequest, "'\(prefix)\(member.key)' is given twice", id: id)
            }
        }
        self.members = members
        self.prefix = prefix
        self.id = id
    }

    private func value(_ key: String) -> JSON? {
        members.first { $0.key == key }?.value
    }

    private func mustBe(_ key: String, _ what: String) -> RequestError {
        RequestError(.badRequest, "'\(prefix)\(key)' must be \(what)", id: id)
    }

    func integer(_ key: String, in range: ClosedRange<Int64>) throws(RequestError) -> Int64? {
        guard let value = value(key) else { return nil }
        guard let integer = value.integer, range ~= integer else {
            throw mustBe(key, "an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    func bool(_ key: String) throws(RequestError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard let bool = value.bool else { throw mustBe(key, "true or false") }
        return bool
    }

    func stream() throws(RequestError) -> EventStream {
        guard let value = value("stream") else { return .all }
        guard let stream = value.string.flatMap({ EventStream(rawValue: $0) }) else {
            throw mustBe("stream", "\"exec\", \"deletes\" or \"all\"")
        }
        return stream
    }

    func moment(_ key: String) throws(RequestError) -> Moment? {
        guard let value = value(key) else { return nil }
        if let text = value.string, let time = RFC3339.parse(text) { return .wall(nanoseconds: time) }
        if let ago = value.integer, -Limits.relativeNanoseconds...Limits.relativeNanoseconds ~= ago {
            return .ago(nanoseconds: ago)
        }
        throw mustBe(key, "an RFC 3339 string, or an integer of nanoseconds before now")
    }

    /// Nil where it is no list.
    private func list(_ value: JSON, _ key: String) throws(RequestError) -> [JSON]? {
        guard let list = value.array else { return nil }
        guard list.count <= Limits.filterValues else {
            throw mustBe(key, "a list of at most \(Limits.filterValues) values")
        }
        return list
    }

    func integers<Value: FixedWidthInteger>(_ key: String, in range: ClosedRange<Value>) throws(RequestError)
        -> [Value]?
    {
        guard let value = value(key) else { return nil }
        guard let list = try list(value, key) else { throw mustBe(key, "a list of integers") }
        var values: [Value] = []
        for element in list {
            guard let value = element.integer.flatMap({ Value(exactly: $0) }), range ~= value else {
                throw mustBe(key, "a list of integers from \(range.lowerBound) to \(range.upperBound)")
            }
            values.append(value)
        }
        return values
    }

    func strings(_ key: String) throws(RequestError) -> [String]? {
        guard let value = value(key) else { return nil }
        guard let list = try list(value, key) else { throw mustBe(key, "a list of strings") }
        var values: [String] = []
        for element in list {
            // No name holds one: whoever sends it is mistaken.
            guard let string = element.string, !string.utf8.contains(0) else {
                throw mustBe(key, "a list of strings without NUL")
            }
            values.append(string)
        }
        return values
    }

    func filter() throws(RequestError) -> Filter {
        guard let value = value("filter") else { return Filter() }
        guard case .object(let members) = value else { throw mustBe("filter", "an object") }
        let fields = try Fields(
            members, known: ["pid", "ppid", "comm", "exe", "path", "uid", "unit", "failed", "older_than"],
            of: "filter", prefix: "filter.", id: id)
        let filter = Filter(
            pid: try fields.integers("pid", in: 0...Int32.max), ppid: try fields.integers("ppid", in: 0...Int32.max),
            comm: try fields.strings("comm"), exe: try fields.strings("exe"), path: try fields.strings("path"),
            uid: try fields.integers("uid", in: 0...UInt32.max), unit: try fields.strings("unit"),
            failed: try fields.bool("failed") ?? false, olderThan: try fields.integer("older_than", in: 0...Int64.max))
        let globs = (filter.exe ?? []) + (filter.path ?? []) + (filter.unit ?? [])
        guard globs.reduce(0, { $0 + Glob($1).floatingCount }) <= Limits.floatingGlobBytes else {
            throw RequestError(
                .badRequest,
                "'filter' has more than \(Limits.floatingGlobBytes) bytes between the first and last stars of its globs",
                id: id)
        }
        return filter
    }
}

/// A peer's text within a message: quoted as JSON, and not longer than somebody wants to read.
private func quotedForMessage(_ text: String) -> String {
    JSON.quoted(text.unicodeScalars.count > 64 ? String(text.unicodeScalars.prefix(64)) + "…" : text)
}
