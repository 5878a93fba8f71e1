/// Reads a text from left to right, for the two small grammars of time.
struct TextScanner {
    private(set) var rest: Substring

    init(_ text: String) { rest = text[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skipBlanks() {
        rest = rest.drop { $0 == " " || $0 == "\t" }
    }

    /// Takes the text if it comes next.
    mutating func take(_ text: String) -> Bool {
        guard rest.hasPrefix(text) else { return false }
        rest.removeFirst(text.count)
        return true
    }

    /// As many digits as asked for, as a number.
    mutating func number(digits: ClosedRange<Int>) -> Int? {
        let text = rest.prefix { isDigit($0) }
        guard digits ~= text.count, let number = Int(text) else { return nil }
        rest.removeFirst(text.count)
        return number
    }

    /// `12`, `12.5` or `.5`: the whole part, and the fraction in units of 1e-9. Further digits are dropped.
    mutating func decimal() -> (whole: Int64, fraction: Int64)? {
        let text = rest.prefix { isDigit($0) }
        guard let whole = text.isEmpty ? 0 : Int64(text) else { return nil }
        rest.removeFirst(text.count)
        guard rest.first == "." else { return text.isEmpty ? nil : (whole, 0) }
        rest.removeFirst()
        let digits = rest.prefix { isDigit($0) }
        guard !digits.isEmpty, let fraction = Int64(digits.prefix(9)) else { return nil }
        rest.removeFirst(digits.count)
        return (whole, (digits.count..<max(9, digits.count)).reduce(fraction) { value, _ in value * 10 })
    }

    mutating func letters() -> String {
        let text = rest.prefix { $0.isLetter }
        rest.removeFirst(text.count)
        return String(text)
    }

    // Character.isNumber would take the digits of other scripts too, which Int() then refuses.
    private func isDigit(_ character: Character) -> Bool { "0"..."9" ~= character && character.isASCII }
}
