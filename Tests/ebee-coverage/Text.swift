/// Texts of the table as bytes: a place put in for each name in braces, and bytes for `%XX`.
struct Text {
    /// `{name}` and what it stands for.
    var places: [String: [UInt8]] = [:]

    func bytes(_ text: String) -> [UInt8] {
        var result: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.first {
            if byte == UInt8(ascii: "{"), let end = rest.firstIndex(of: UInt8(ascii: "}")),
                let place = places[String(decoding: rest[...end], as: UTF8.self)]
            {
                result += place
                rest = rest[rest.index(after: end)...]
            } else if byte == UInt8(ascii: "%"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.dropFirst().prefix(2), as: UTF8.self), radix: 16)
            {
                result.append(value)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
                rest = rest.dropFirst()
            }
        }
        return result
    }

    func words(_ text: String) -> [[UInt8]] {
        text.split(separator: " ").map { $0 == "%" ? [] : bytes(String($0)) }
    }
}

extension [UInt8] {
    static func / (directory: [UInt8], name: String) -> [UInt8] { directory + [UInt8(ascii: "/")] + Array(name.utf8) }

    /// What text in base64 stands for; nil where it isn't any.
    init?(base64 text: String) {
        var bits: UInt32 = 0
        var count = 0
        self = []
        for byte in text.utf8 where byte != UInt8(ascii: "=") {
            let value: UInt8
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - 65
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - 97 + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - 48 + 52
            case UInt8(ascii: "+"): value = 62
            case UInt8(ascii: "/"): value = 63
            default: return nil
            }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
    }
}
