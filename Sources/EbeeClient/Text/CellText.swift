/// Text whose width on a terminal is known, and which may be limited to a width. What doesn't fit is replaced by `…`,
/// never in the middle of a character or an escape.
struct CellText {
    private(set) var text = ""
    /// The width in cells.
    private(set) var width = 0
    private(set) var isCut = false

    /// How many marks a letter may carry: no language needs more.
    static let mostMarks = 4

    private let limit: Int?
    /// Where to cut: the last boundary that leaves a cell for the `…`.
    private var boundary = (length: 0, width: 0)

    /// Empty, with a limit or without.
    init(limit: Int? = nil) { self.limit = limit.map { max(1, $0) } }

    /// Adds what stays whole or goes: a character, an escape, a cell with its colour.
    mutating func append(whole piece: String, width pieceWidth: Int) {
        guard !isCut else { return }
        guard let limit else {
            text += piece
            width += pieceWidth
            return
        }
        if width + pieceWidth > limit {
            isCut = true
            text = (String(text.utf8.prefix(boundary.length)) ?? "") + "…"
            width = boundary.width + 1
        } else {
            text += piece
            width += pieceWidth
            if width < limit { boundary = (text.utf8.count, width) }
        }
    }

    /// Adds text that needs no escape.
    mutating func append(plain string: String) {
        let count = string.utf8.count
        if limit.map({ width + count < $0 }) ?? true, string.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) {
            return append(whole: string, width: count)
        }
        for character in string {
            append(whole: String(character), width: character.unicodeScalars.reduce(0) { $0 + cellWidth(of: $1) })
        }
    }

    /// Adds a name, with everything escaped that is not simply text.
    mutating func append(_ name: FileName, _ style: Escape.Style) {
        if let text = name.simpleText { return append(plain: text) }
        var run = ""
        var marks = 0
        for piece in name.pieces where !isCut {
            var escape = Escape.escape(piece, style)
            if case .scalar(let scalar) = piece {
                marks = cellWidth(of: scalar) == 0 ? marks + 1 : 0
                // A pile of accents would cover the rows above and below it.
                if marks > Self.mostMarks { escape = escape ?? Escape.visible(scalar, style) }
                if escape == nil {
                    // Long text goes in parts, so that what is cut is not measured. Before ASCII, no character goes on.
                    if run.utf8.count > 64, scalar.isASCII { flush(&run) }
                    run.unicodeScalars.append(scalar)
                }
            }
            if let escape {
                flush(&run)
                append(whole: escape, width: escape.utf8.count)
            }
        }
        flush(&run)
    }

    private mutating func flush(_ run: inout String) {
        append(plain: run)
        run = ""
    }
}
