import EbeeProtocol
import EbeeRecord
import Foundation

/// Whatever bytes are a name or an argument: the line is UTF-8 without a control character, is JSON for Foundation and for
/// ourselves, and gives the bytes back.
@Sendable func jsonTarget(_ input: Input) {
    var input = input
    let strings = input.strings()
    var line = JSONWriter()
    line.beginObject()
    line.beginArray("names")
    for string in strings {
        line.beginObject()
        line.text("name", string, raw: "name_raw")
        line.endObject()
    }
    line.endArray()
    var isText = true
    line.beginArray("args")
    for string in strings where !(unsafe line.text(string.span.bytes)) { isText = false }
    line.endArray()
    if !isText {
        line.beginArray("args_raw")
        for string in strings { unsafe line.raw(string.span.bytes) }
        line.endArray()
    }
    line.endObject()
    let value = parsedAlike(line.bytes)

    let names = value["names"]?.array ?? []
    let args = value["args"]?.array ?? []
    require(names.count == strings.count && args.count == strings.count, "\(names.count) names of \(strings.count)")
    require((value["args_raw"] == nil) == isText, "args_raw where it is not due, or not where it is")
    for (index, string) in strings.enumerated() {
        let isText = String(validating: string, as: UTF8.self) != nil
        let raw = names[index]["name_raw"]?.string.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
        require((raw == nil) == isText, "name_raw where it is not due, or not where it is")
        require((raw ?? Array((names[index]["name"]?.string ?? "").utf8)) == string, "another name than \(string)")
        let argument = value["args_raw"]?.array?[index].string.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
        require((argument ?? Array((args[index].string ?? "").utf8)) == string, "another argument than \(string)")
        if isText { require(args[index].string.map { Array($0.utf8) } == string, "another text than \(string)") }
    }
}

/// A line as Foundation and our own parser read it, which must be the same.
func parsedAlike(_ line: [UInt8]) -> JSON {
    require(String(validating: line, as: UTF8.self) != nil, "a line that is not UTF-8")
    require(!line.contains { $0 < 0x20 || $0 == 0x7f }, "a control character in a line")
    let own: JSON
    do {
        own = try JSON(parsing: line)
    } catch {
        fatalError("not JSON: \(error)")
    }
    do {
        requireAlike(own, try JSONDecoder().decode(Decoded.self, from: Data(line)))
    } catch {
        fatalError("not JSON for Foundation: \(error)")
    }
    return own
}

private func requireAlike(_ own: JSON, _ other: Decoded) {
    switch (own, other) {
    case (.object(let members), .object(let object)):
        require(object.count == members.count, "a key twice")
        for member in members {
            guard let value = object[member.key] else { fatalError("no \(member.key) for Foundation") }
            requireAlike(member.value, value)
        }
    case (.array(let values), .array(let others)):
        require(values.count == others.count, "another array")
        for (value, other) in zip(values, others) { requireAlike(value, other) }
    case (.string(let text), .string(let other)):
        // By bytes: two texts of other bytes may be equal for Swift.
        require(text.utf8.elementsEqual(other.utf8), "\(text.debugDescription) is \(other.debugDescription)")
    case (.number(let digits), .number(let other)): require(other == Decimal(string: digits), "\(digits) is \(other)")
    case (.bool(let value), .bool(let other)): require(value == other, "another truth value")
    case (.null, .null): break
    default: fatalError("\(own) is \(other)")
    }
}

/// What JSONDecoder makes of JSON. (JSONSerialization drops byte order marks at the beginning of a string, and behind an escape.)
private enum Decoded: Decodable {
    case null
    case bool(Bool)
    case number(Decimal)
    case string(String)
    case array([Decoded])
    case object([String: Decoded])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let string = try? value.decode(String.self) {
            self = .string(string)
        } else if let number = try? value.decode(Decimal.self) {
            self = .number(number)
        } else if let array = try? value.decode([Decoded].self) {
            self = .array(array)
        } else {
            self = .object(try value.decode([String: Decoded].self))
        }
    }
}
