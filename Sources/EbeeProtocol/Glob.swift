/// A pattern of bytes: what fnmatch(3) without flags takes in the C locale, but for named classes such as `[:alpha:]`.
///
/// It is ours because whoever may ask may also send `*a*a*a*…`, on which fnmatch(3) tries again and again from every star.
/// What stands between two stars has a fixed length, so the first place where it fits is as good as any later one: the
/// work is at most the text's length times ``floatingCount``, and nothing is tried twice.
public struct Glob: Sendable {
    private enum Element: Sendable {
        case byte(UInt8)
        case any
        /// By byte, whether it is one of these.
        case set([Bool])
    }

    /// What stands before, between and behind the stars; nil for what matches nothing.
    private let pieces: [[Element]]?
    /// Some `[` has no `]`, and stands for itself.
    let hasOpenBracket: Bool

    /// Every text is a pattern; one that ends with a lone backslash matches nothing.
    public init(_ pattern: String) {
        var parser = Parser(pattern)
        pieces = parser.pieces()
        hasOpenBracket = parser.hasOpenBracket
    }

    /// How many bytes the parts between two stars match. Those before the first and behind the last have a fixed place.
    public var floatingCount: Int { floating.reduce(0) { $0 + $1.count } }

    private var floating: ArraySlice<[Element]> { pieces?.dropFirst().dropLast() ?? [] }

    /// Whether all of the text fits.
    public func matches(_ text: [UInt8]) -> Bool {
        guard let pieces, let first = pieces.first, let last = pieces.last else { return false }
        guard pieces.count > 1 else { return text.count == first.count && fits(first, text, at: 0) }
        var position = first.count
        let end = text.count - last.count
        guard position <= end, fits(first, text, at: 0), fits(last, text, at: end) else { return false }
        for piece in floating {
            while true {
                guard position + piece.count <= end else { return false }
                if fits(piece, text, at: position) { break }
                position += 1
            }
            position += piece.count
        }
        return true
    }

    /// Precondition: the text is long enough.
    private func fits(_ piece: [Element], _ text: [UInt8], at position: Int) -> Bool {
        for index in piece.indices {
            switch piece[index] {
            case .byte(let byte): if text[position + index] != byte { return false }
            case .any: break
            case .set(let members): if !members[Int(text[position + index])] { return false }
            }
        }
        return true
    }

    private struct Parser {
        private let pattern: [UInt8]
        private var index = 0
        private(set) var hasOpenBracket = false

        init(_ pattern: String) { self.pattern = Array(pattern.utf8) }

        mutating func pieces() -> [[Element]]? {
            var pieces: [[Element]] = [[]]
            while let byte = next() {
                switch byte {
                case UInt8(ascii: "*"): pieces.append([])
                case UInt8(ascii: "?"): pieces[pieces.count - 1].append(.any)
                case UInt8(ascii: "["): pieces[pieces.count - 1].append(bracket())
                case UInt8(ascii: "\\"):
                    guard let quoted = next() else { return nil }
                    pieces[pieces.count - 1].append(.byte(quoted))
                default: pieces[pieces.count - 1].append(.byte(byte))
                }
            }
            return pieces
        }

        private mutating func next() -> UInt8? {
            guard index < pattern.count else { return nil }
            defer { index += 1 }
            return pattern[index]
        }

        private func peek(_ distance: Int) -> UInt8? {
            index + distance < pattern.count ? pattern[index + distance] : nil
        }

        /// What follows a `[`, which stands for itself where it isn't closed.
        private mutating func bracket() -> Element {
            let start = index
            if let members = members() { return .set(members) }
            index = start
            hasOpenBracket = true
            return .byte(UInt8(ascii: "["))
        }

        private mutating func members() -> [Bool]? {
            let isNegated = peek(0) == UInt8(ascii: "!") || peek(0) == UInt8(ascii: "^")
            if isNegated { index += 1 }
            var members = [Bool](repeating: isNegated, count: 256)
            var isFirst = true
            while var byte = next() {
                if byte == UInt8(ascii: "]"), !isFirst { return members }
                isFirst = false
                guard unquote(&byte) else { return nil }
                var last = byte
                if peek(0) == UInt8(ascii: "-"), let end = peek(1), end != UInt8(ascii: "]") {
                    index += 2
                    last = end
                    guard unquote(&last) else { return nil }
                }
                // A range whose end comes before its beginning has no members.
                if byte <= last { for member in byte...last { members[Int(member)] = !isNegated } }
            }
            return nil
        }

        /// A backslash becomes the byte that it quotes; false where there is none.
        private mutating func unquote(_ byte: inout UInt8) -> Bool {
            guard byte == UInt8(ascii: "\\") else { return true }
            guard let quoted = next() else { return false }
            byte = quoted
            return true
        }
    }
}
