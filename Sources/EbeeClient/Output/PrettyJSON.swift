/// JSON with a member to a line, indented by two spaces. Works on the text: only blanks outside of strings change, so
/// nothing that was sent is lost.
func prettyJSON(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var text: [UInt8] = []
    var depth = 0
    var isInString = false
    var isEscaped = false
    var isAfterOpening = false

    func breakLine() {
        text.append(UInt8(ascii: "\n"))
        // The depth is bounded, because indentation that grows with it would take quadratic memory.
        text += repeatElement(UInt8(ascii: " "), count: 2 * min(depth, 64))
    }

    for byte in line {
        if isInString {
            text.append(byte)
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
            }
            continue
        }
        switch byte {
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"):
            continue
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            depth = max(0, depth - 1)
            if !isAfterOpening { breakLine() }
            text.append(byte)
            isAfterOpening = false
            continue
        default:
            if isAfterOpening { breakLine() }
            isAfterOpening = false
        }
        text.append(byte)
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            depth += 1
            isAfterOpening = true
        case UInt8(ascii: ","): breakLine()
        case UInt8(ascii: ":"): text.append(UInt8(ascii: " "))
        case UInt8(ascii: "\""): isInString = true
        default: break
        }
    }
    return text[...]
}
