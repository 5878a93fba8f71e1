import EbeeProtocol

/// Spans of time as systemd.time(7) writes them: `5m`, `2h 30min`, `1.5 days`.
enum TimeSpan {
    /// Every unit name of systemd.time(7), in nanoseconds. A month is 30.44 days and a year 365.25, as there.
    private static let units: [String: Int64] = {
        let names: [(Int64, [String])] = [
            (1, ["nsec", "ns"]),
            (1000, ["usec", "us", "\u{b5}s", "\u{3bc}s"]),
            (1_000_000, ["msec", "ms"]),
            (second, ["seconds", "second", "sec", "s"]),
            (60 * second, ["minutes", "minute", "min", "m"]),
            (3600 * second, ["hours", "hour", "hr", "h"]),
            (86_400 * second, ["days", "day", "d"]),
            (7 * 86_400 * second, ["weeks", "week", "w"]),
            (2_629_800 * second, ["months", "month", "M"]),
            (31_557_600 * second, ["years", "year", "y"]),
        ]
        return Dictionary(uniqueKeysWithValues: names.flatMap { unit in unit.1.map { ($0, unit.0) } })
    }()
    private static let second: Int64 = 1_000_000_000

    /// The span in nanoseconds; nil where the text is none, or beyond ``Limits/relativeNanoseconds``. A number without
    /// a unit is in seconds, unless a unit is asked for.
    static func parse(_ text: String, needsUnit: Bool = false) -> Int64? {
        var scanner = TextScanner(text)
        var total: Int128 = 0
        var hasUnit = false
        scanner.skipBlanks()
        guard !scanner.isAtEnd else { return nil }
        while !scanner.isAtEnd {
            guard let (whole, fraction) = scanner.decimal() else { return nil }
            scanner.skipBlanks()
            let name = scanner.letters()
            guard let unit = name.isEmpty ? second : units[name] else { return nil }
            hasUnit = hasUnit || !name.isEmpty
            total += Int128(whole) * Int128(unit) + Int128(fraction) * Int128(unit) / 1_000_000_000
            guard total <= Int128(Limits.relativeNanoseconds) else { return nil }
            scanner.skipBlanks()
        }
        return hasUnit || !needsUnit ? Int64(total) : nil
    }
}
