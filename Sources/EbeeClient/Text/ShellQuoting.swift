/// Words as a shell reads them.
enum ShellQuoting {
    /// A word for any POSIX shell: as it is where nothing in it is special, otherwise in single quotes.
    static func posix(_ word: String) -> String {
        if !word.isEmpty, word.unicodeScalars.allSatisfy(isPlain) { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    /// Appends a command line that people can read, and that bash would run as it was. A word is in `$'…'` where
    /// something in it must not reach the terminal, or is not UTF-8.
    static func append(_ words: [FileName], to text: inout CellText) {
        for (index, word) in words.enumerated() where !text.isCut {
            if index > 0 { text.append(plain: " ") }
            switch quotes(word, isCommand: index == 0) {
            case .none:
                text.append(word, .unit)
            case .single:
                text.append(plain: "'")
                text.append(word, .unit)
                text.append(plain: "'")
            case .dollar:
                text.append(whole: "$'", width: 2)
                text.append(word, .dollarQuotes)
                text.append(plain: "'")
            }
        }
    }

    private enum Quotes { case none, single, dollar }

    private static func quotes(_ word: FileName, isCommand: Bool) -> Quotes {
        var quotes: Quotes = word.pieces.isEmpty ? .single : .none
        var marks = 0
        for piece in word.pieces {
            guard case .scalar(let scalar) = piece, scalar != "'", !Escape.isNeeded(for: scalar) else { return .dollar }
            marks = cellWidth(of: scalar) == 0 ? marks + 1 : 0
            if marks > CellText.mostMarks { return .dollar }
            // `A=b` in front of a command would be an assignment.
            if !isPlain(scalar) || isCommand && scalar == "=" { quotes = .single }
        }
        return quotes
    }

    /// True where no shell sees more in a character than the character.
    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_", "-", "+", "=", ".", ",", ":", "/", "@", "%": true
        default: false
        }
    }
}
