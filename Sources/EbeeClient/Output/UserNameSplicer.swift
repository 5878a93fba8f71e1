import EbeeProtocol

/// Adds names to users: `"user":{"id":0}` becomes `"user":{"id":0,"name":"root"}`. The daemon doesn't, because a look-up
/// may ask the network, and it must not wait.
///
/// A search for bytes is enough, and leaves everything else as it was sent. Within a JSON string a quote is always
/// behind a backslash, so `"user":{"id":` with its bare quotes can't be part of a name that somebody chose.
struct UserNameSplicer {
    var users = Users()

    private static let keys = [Array("\"user\":{\"id\":".utf8), Array("\"login_user\":{\"id\":".utf8)]

    /// The line with names where they are known.
    mutating func splice(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var spliced: [UInt8] = []
        var copied = line.startIndex
        var index = line.startIndex
        while index < line.endIndex {
            guard line[index] == UInt8(ascii: "\""), let end = endOfUnnamedUser(in: line[index...]) else {
                index += 1
                continue
            }
            if let uid = number(before: end, in: line), let name = users.name(of: uid) {
                spliced += line[copied..<end]
                spliced += ",\"name\":\(JSON.quoted(name))".utf8
                copied = end
            }
            index = end
        }
        return copied == line.startIndex ? line : (spliced + line[copied...])[...]
    }

    /// The index of the brace that closes `"user":{"id":0}`, where this is what the text begins with.
    private func endOfUnnamedUser(in text: ArraySlice<UInt8>) -> Int? {
        guard let key = Self.keys.first(where: { text.starts(with: $0) }) else { return nil }
        let rest = text.dropFirst(key.count).drop { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
        return rest.first == UInt8(ascii: "}") ? rest.startIndex : nil
    }

    private func number(before end: Int, in text: ArraySlice<UInt8>) -> UInt32? {
        let digits = text[..<end].reversed().prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }.reversed()
        return UInt32(String(decoding: digits, as: UTF8.self))
    }
}
