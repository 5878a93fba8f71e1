import EbeeProtocol

/// A name as the kernel has it: bytes, which mostly are UTF-8.
struct FileName: Equatable {
    /// One piece of it: text, or a byte that is not UTF-8.
    enum Piece: Equatable {
        case scalar(Unicode.Scalar)
        case byte(UInt8)
    }

    /// Its text, where that is ASCII that no style escapes, as most names are.
    let simpleText: String?
    /// The pieces of any other.
    private let others: [Piece]

    var pieces: [Piece] { simpleText.map { $0.unicodeScalars.map { .scalar($0) } } ?? others }

    init(_ text: String) {
        let isSimple = text.utf8.allSatisfy {
            (0x20..<0x7f).contains($0) && $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "'")
        }
        simpleText = isSimple ? text : nil
        others = isSimple ? [] : text.unicodeScalars.map { .scalar($0) }
    }

    init(bytes: [UInt8]) {
        simpleText = nil
        var pieces: [Piece] = []
        var parser = Unicode.UTF8.ForwardParser()
        var rest = bytes.makeIterator()
        var offset = 0
        while true {
            switch parser.parseScalar(from: &rest) {
            case .valid(let encoded):
                offset += encoded.count
                pieces.append(.scalar(Unicode.UTF8.decode(encoded)))
            case .error(let length):
                pieces += bytes[offset..<offset + length].map { .byte($0) }
                offset += length
            case .emptyInput:
                others = pieces
                return
            }
        }
    }

    /// The name under a key of an object: from the base64 under `KEY_raw` where it was not UTF-8.
    init?(_ object: JSON?, _ key: String) {
        if let raw = object?[key + "_raw"]?.string.flatMap(decodeBase64) {
            self.init(bytes: raw)
        } else if let text = object?[key]?.string {
            self.init(text)
        } else {
            return nil
        }
    }
}

/// The bytes of a base64 text (RFC 4648, with or without padding); nil where it is none.
func decodeBase64(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    let digits = text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }.reversed()
    for digit in digits {
        let value: UInt8
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = digit - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): value = digit - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "/"): value = 63
        default: return nil
        }
        bits = bits << 6 | UInt32(value)
        count += 6
        if count >= 8 {
            count -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
    }
    return count == 6 ? nil : bytes
}
