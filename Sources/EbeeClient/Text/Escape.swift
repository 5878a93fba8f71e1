/// How what must not reach a terminal is written instead, so that a hostile name neither moves the cursor nor
/// reorders or hides other text.
enum Escape {
    /// Where the text will stand.
    enum Style {
        /// In a column of its own: `\n`, `\x1b`, `\u{202e}`, `\xff`, and a backslash doubled, so that what is shown can
        /// be read back.
        case name
        /// As names, but a backslash stays: names of units are full of them (`dev-sda\x2d1.device`).
        case unit
        /// Between `$'` and `'`, where bash reads `\u202e` and `\'`.
        case dollarQuotes
    }

    /// What to write for a piece of a name; nil where it may stand as it is.
    static func escape(_ piece: FileName.Piece, _ style: Style) -> String? {
        switch piece {
        case .byte(let byte): "\\x" + hex(UInt32(byte), digits: 2)
        case .scalar("\\"): style == .unit ? nil : "\\\\"
        case .scalar("'"): style == .dollarQuotes ? "\\'" : nil
        case .scalar(let scalar): isNeeded(for: scalar) ? visible(scalar, style) : nil
        }
    }

    /// `\n`, `\x1b` or `\u{202e}`.
    static func visible(_ scalar: Unicode.Scalar, _ style: Style) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case "\u{0}"..."\u{7f}": "\\x" + hex(scalar.value, digits: 2)
        default:
            if style != .dollarQuotes {
                "\\u{" + String(scalar.value, radix: 16) + "}"
            } else if scalar.value <= 0xffff {
                "\\u" + hex(scalar.value, digits: 4)
            } else {
                "\\U" + hex(scalar.value, digits: 8)
            }
        }
    }

    /// True where a character does something other than appear: controls, marks of direction, line and paragraph
    /// separators, what is invisible, and what no font knows.
    static func isNeeded(for scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20..<0x7f: return false
        case 0x200c, 0x200d: return false  // the joiners are invisible too, but Persian and emoji are spelt with them
        case 0xfe00...0xfe0f: return false  // variation selectors: emoji again
        default: break
        }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse, .surrogate: return true
        default: return scalar.properties.isDefaultIgnorableCodePoint  // fillers, which are letters by category
        }
    }

    /// JSON in which what must not reach a terminal is `\uXXXX`. It is the same JSON: outside of its strings, nothing
    /// but ASCII occurs, and JSON allows any character to be escaped.
    static func json(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard line.contains(where: { $0 >= 0x7f }) else { return line }
        var text = ""
        for scalar in String(decoding: line, as: UTF8.self).unicodeScalars {
            if scalar.value >= 0x7f, isNeeded(for: scalar) {
                for unit in String(scalar).utf16 { text += "\\u" + hex(UInt32(unit), digits: 4) }
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return ArraySlice(text.utf8)
    }

    private static func hex(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}
