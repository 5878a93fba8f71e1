import EbeeRecord

/// One pattern of a `Redaction`, taken apart.
struct RedactionPattern: Sendable, Equatable {
    /// What one argument has to be.
    private struct Word: Sendable, Equatable {
        /// Of the secret's word, what stands before the secret.
        let text: Pieces
        /// What stands behind it; nil in every other word.
        let behind: Pieces?
    }

    /// Words that stand one after the other, with any number of arguments between these runs. The secret is in the last one.
    private let runs: [[Word]]

    init(_ text: String) throws(RedactionError) {
        guard (1...Redaction.patternBytesMaximum).contains(text.utf8.count), !text.utf8.contains(0) else {
            throw RedactionError("patterns of 1 to \(Redaction.patternBytesMaximum) bytes, without NUL")
        }
        var runs: [[Word]] = [[]]
        var secrets = 0
        let star = UInt8(ascii: "*")
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            if word.isEmpty { throw RedactionError("patterns whose words have one space between them") }
            if word == "**" {
                guard secrets == 0, runs.last?.isEmpty == false else {
                    throw RedactionError("patterns with the word ** only between others and before the secret, ***")
                }
                runs.append([])
                continue
            }
            let sides = Self.sides(of: Array(word.utf8))
            if sides.count > 1, sides[0].last == star || sides[1].first == star {
                throw RedactionError("patterns without a * beside the secret, ***")
            }
            for side in sides where zip(side, side.dropFirst()).contains(where: { $0 == star && $1 == star }) {
                throw RedactionError("patterns with * for any text, *** for the secret, and no other stars in a word")
            }
            secrets += sides.count - 1
            runs[runs.count - 1].append(
                Word(text: Pieces(sides[0]), behind: sides.count > 1 ? Pieces(sides[1]) : nil))
        }
        guard secrets == 1, runs.last?.isEmpty == false else {
            throw RedactionError("patterns with one secret each, written ***")
        }
        self.runs = runs
    }

    /// What is between the secrets of a word.
    private static func sides(of word: [UInt8]) -> [[UInt8]] {
        var sides: [[UInt8]] = [[]]
        var index = 0
        while index < word.count {
            if word[index...].starts(with: Redaction.mark.utf8) {
                sides.append([])
                index += 3
            } else {
                sides[sides.count - 1].append(word[index])
                index += 1
            }
        }
        return sides
    }

    /// Where to look for the first secret; nil where there is none.
    /// - Parameters:
    ///   - arguments: each ends with a NUL, but for the last one where it was cut.
    ///   - isCut: the end of them is missing.
    func start(in arguments: RawSpan, isCut: Bool) -> Int? {
        var start = 0
        for index in 0..<runs.count - 1 {
            guard let end = first(runs[index], in: arguments, isCut: isCut, from: start) else { return nil }
            start = end
        }
        return start
    }

    /// Where the next secret is; an empty one is none. `start` moves to the argument where to look for the one after it.
    func next(in arguments: RawSpan, isCut: Bool, from start: inout Int) -> Range<Int>? {
        while start < arguments.byteCount {
            let match = match(runs[runs.count - 1], at: start, in: arguments, isCut: isCut)
            start = Self.end(of: start, in: arguments) + 1
            if case .there(let secret?, _) = match, !secret.isEmpty { return secret }
        }
        return nil
    }

    private enum Match {
        case none
        /// - end: where the argument begins that follows.
        case there(secret: Range<Int>?, end: Int)
    }

    /// Where the argument begins that follows the first place where these words stand.
    private func first(_ run: [Word], in arguments: RawSpan, isCut: Bool, from start: Int) -> Int? {
        var start = start
        while start < arguments.byteCount {
            if case .there(_, let end) = match(run, at: start, in: arguments, isCut: isCut) { return end }
            start = Self.end(of: start, in: arguments) + 1
        }
        return nil
    }

    private func match(_ run: [Word], at start: Int, in arguments: RawSpan, isCut: Bool) -> Match {
        var start = start
        var secret: Range<Int>?
        for index in run.indices {
            guard start < arguments.byteCount else { return isCut ? .there(secret: secret, end: start) : .none }
            let end = Self.end(of: start, in: arguments)
            let text = arguments.extracting(start..<end)
            // Something may be missing at its end.
            let isLast = isCut && end + 1 >= arguments.byteCount
            if let behind = run[index].behind {
                guard let from = run[index].text.first(in: text),
                    let to = isLast ? text.byteCount : behind.last(in: text, notBefore: from)
                else { return .none }
                secret = start + from..<start + to
            } else {
                guard isLast ? run[index].text.canGoOn(text) : run[index].text.isWhole(text) else { return .none }
            }
            start = end + 1
        }
        return .there(secret: secret, end: start)
    }

    /// Where the argument that begins at `start` ends: at its NUL.
    private static func end(of start: Int, in arguments: RawSpan) -> Int {
        var end = start
        while end < arguments.byteCount, arguments.byte(end) != 0 { end += 1 }
        return end
    }
}

/// Text with any text between its pieces.
private struct Pieces: Sendable, Equatable {
    /// At least one; the first and the last may be empty.
    private let pieces: [[UInt8]]

    init(_ word: [UInt8]) {
        pieces = word.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false).map(Array.init)
    }

    /// Where these pieces end when the text begins with them, each as early as can be; nil when it doesn't.
    func first(in text: RawSpan) -> Int? { first(pieces.count, in: text) }

    private func first(_ count: Int, in text: RawSpan) -> Int? {
        var position = 0
        for index in 0..<count {
            let piece = pieces[index]
            if index > 0 {
                while position + piece.count <= text.byteCount, !Self.isThere(piece, in: text, at: position) {
                    position += 1
                }
            }
            guard Self.isThere(piece, in: text, at: position) else { return nil }
            position += piece.count
        }
        return position
    }

    /// Where these pieces begin when the text ends with them, each as late as can be, and not before `least`; nil when it doesn't.
    func last(in text: RawSpan, notBefore least: Int) -> Int? {
        var position = text.byteCount
        var index = pieces.count
        while index > 0 {
            index -= 1
            let piece = pieces[index]
            position -= piece.count
            if index < pieces.count - 1 {
                while position >= least, !Self.isThere(piece, in: text, at: position) { position -= 1 }
            }
            guard position >= least, Self.isThere(piece, in: text, at: position) else { return nil }
        }
        return position
    }

    /// Whether the text is these pieces, with nothing before or behind them.
    func isWhole(_ text: RawSpan) -> Bool {
        guard pieces.count > 1 else {
            return pieces[0].count == text.byteCount && Self.isThere(pieces[0], in: text, at: 0)
        }
        let tail = pieces[pieces.count - 1]
        guard let end = first(pieces.count - 1, in: text) else { return false }
        return end + tail.count <= text.byteCount && Self.isThere(tail, in: text, at: text.byteCount - tail.count)
    }

    /// Whether the text, of which the end is missing, may be these pieces.
    func canGoOn(_ text: RawSpan) -> Bool {
        for index in 0..<min(pieces[0].count, text.byteCount) where pieces[0][index] != text.byte(index) {
            return false
        }
        return pieces.count > 1 || text.byteCount <= pieces[0].count
    }

    private static func isThere(_ piece: [UInt8], in text: RawSpan, at position: Int) -> Bool {
        guard position >= 0, position + piece.count <= text.byteCount else { return false }
        for index in piece.indices where piece[index] != text.byte(position + index) { return false }
        return true
    }
}
