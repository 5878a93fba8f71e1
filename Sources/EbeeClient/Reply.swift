import EbeeProtocol

/// One line of a reply, taken apart no further than needed: an event stays the bytes that were sent.
enum Reply {
    /// An event or a loss mark, as an object without `id`.
    case event(ArraySlice<UInt8>)
    /// The status object.
    case status(ArraySlice<UInt8>)
    /// Only some events are shown to us.
    case scope(String)
    /// The value of `done`.
    case done(JSON)
    /// The daemon refuses.
    case error(code: String, message: String)
    /// What a later daemon may add.
    case other

    /// Reads a line. Every line begins with the id of its request, except an error about what has none.
    init(line: [UInt8], id: RequestID) throws(ClientFailure) {
        var line = line
        let prefix = Array("{\"id\":".utf8) + id.json + Array(",".utf8)
        var body = line[...]
        if line.starts(with: prefix) {
            // The comma after the id becomes the brace of the object without it.
            line[prefix.count - 1] = UInt8(ascii: "{")
            body = line[(prefix.count - 1)...]
            if body.starts(with: "{\"event\":".utf8) {
                self = .event(body)
                return
            }
            let status = "{\"status\":"
            if body.starts(with: status.utf8), body.last == UInt8(ascii: "}") {
                self = .status(body.dropFirst(status.utf8.count).dropLast())
                return
            }
        }
        let object = try JSON(reply: body)
        if let done = object["done"] {
            self = .done(done)
        } else if let error = object["error"] {
            self = .error(code: error["code"]?.string ?? "", message: error["message"]?.string ?? "")
        } else if let scope = object["scope"]?.string {
            self = .scope(scope)
        } else if object["event"] != nil {
            self = .event(body)
        } else {
            self = .other
        }
    }
}

extension JSON {
    /// Parses what the daemon sent.
    init(reply bytes: ArraySlice<UInt8>) throws(ClientFailure) {
        do throws(JSONError) {
            self = try JSON(parsing: Array(bytes))
        } catch {
            throw .malformed(error.description)
        }
    }
}
