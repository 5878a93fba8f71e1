import EbeeProtocol

/// Events as JSON: the bytes that the daemon sent, plus the names of users.
struct JSONFormatter: EventFormatter {
    let isPretty: Bool
    /// True on a terminal, where even JSON must not move the cursor.
    let isForTerminal: Bool
    var splicer = UserNameSplicer()

    mutating func header() -> String { "" }

    mutating func format(_ event: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = splicer.splice(event)
        if isForTerminal { line = Escape.json(line) }
        return (isPretty ? prettyJSON(line) : line) + [UInt8(ascii: "\n")]
    }
}
