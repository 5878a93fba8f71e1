/// How many cells of a terminal a character takes: 0, 1 or 2.
///
/// Not wcwidth(3): that depends on the locale, and Swift's Glibc module lacks it. Emoji and what combines come from
/// the standard library's Unicode tables, the scripts of East Asia from the ranges below (UAX #11, W and F). Where
/// terminals disagree, the larger number: a row that is a cell short is better than one that wraps.
func cellWidth(of scalar: Unicode.Scalar) -> Int {
    if scalar.value < 0x300 { return 1 }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format: return 0
    default: break
    }
    switch scalar.value {
    case 0x1160...0x11ff, 0xd7b0...0xd7ff: return 0  // the vowels and finals that join a Hangul syllable
    case 0x1f1e6...0x1f1ff: return 1  // regional indicators: two of them make a flag of two cells
    default: return isEastAsianWide(scalar.value) || scalar.properties.isEmojiPresentation ? 2 : 1
    }
}

private func isEastAsianWide(_ value: UInt32) -> Bool {
    switch value {
    case 0x1100...0x115f, 0x2329...0x232a, 0x2e80...0x303e, 0x3041...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3,
        0xf900...0xfaff, 0xfe10...0xfe1f, 0xfe30...0xfe6f, 0xff01...0xff60, 0xffe0...0xffe6, 0x16fe0...0x18fff,
        0x1aff0...0x1b2ff, 0x1d300...0x1d376, 0x1f200...0x1f2ff, 0x1f300...0x1f64f, 0x1f900...0x1f9ff,
        0x20000...0x3fffd:
        true
    default: false
    }
}
