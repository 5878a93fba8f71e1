import EbeeProtocol

/// Sizes and durations for people.
enum HumanUnits {
    /// As `ls -h` writes it: `812`, `4.0K`, `1.2M`.
    static func size(_ bytes: Int64) -> String {
        scaled(bytes, units: ["K", "M", "G", "T", "P", "E"]) ?? String(bytes)
    }

    /// In a sentence: `812 bytes`, `4.0 KiB`.
    static func sizeInWords(_ bytes: Int64) -> String {
        scaled(bytes, units: [" KiB", " MiB", " GiB", " TiB", " PiB", " EiB"]) ?? count(bytes, "byte")
    }

    private static func scaled(_ bytes: Int64, units: [String]) -> String? {
        guard bytes >= 1024 else { return nil }
        var tenths = bytes / 1024 * 10 + bytes % 1024 * 10 / 1024
        for unit in units {
            if tenths < 100 { return "\(tenths / 10).\(tenths % 10)\(unit)" }
            if tenths < 10_240 { return "\(tenths / 10)\(unit)" }
            tenths /= 1024
        }
        return nil
    }

    /// `850µs`, `1.2ms`, `3.45s`, `2m3s`, `1h2m`, `3d4h`: one word.
    static func duration(_ nanoseconds: Int64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        switch nanoseconds {
        case ..<1000: return "\(nanoseconds)ns"
        case ..<1_000_000: return "\(nanoseconds / 1000)µs"
        case ..<1_000_000_000: return "\(nanoseconds / 1_000_000).\(nanoseconds / 100_000 % 10)ms"
        case ..<60_000_000_000:
            let hundredths = nanoseconds / 10_000_000 % 100
            return "\(seconds).\(hundredths < 10 ? "0" : "")\(hundredths)s"
        default: break
        }
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60)
        if days > 0 { return "\(days)d" + (hours > 0 ? "\(hours)h" : "") }
        if hours > 0 { return "\(hours)h" + (minutes > 0 ? "\(minutes)m" : "") }
        return "\(minutes)m" + (seconds % 60 > 0 ? "\(seconds % 60)s" : "")
    }

    /// `1 event`, `1,200 events`.
    static func count(_ number: Int64, _ noun: String) -> String {
        "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")"
    }

    /// `1,200`
    static func grouped(_ number: Int64) -> String {
        var digits = Array(String(number))
        var index = digits.count - 3
        while index > (number < 0 ? 1 : 0) {
            digits.insert(",", at: index)
            index -= 3
        }
        return String(digits)
    }
}

/// Writes times of day as the reader's clock shows them, with the date only where it isn't today.
struct ReaderClock {
    let now: Int64
    let zone: Zone

    static var current: ReaderClock { ReaderClock(now: wallClock(), zone: .local) }

    func isToday(_ nanoseconds: Int64) -> Bool { zone.civil(nanoseconds).date == zone.civil(now).date }

    func text(_ nanoseconds: Int64, fractionDigits: Int, withDate: Bool? = nil) -> String {
        let time = zone.civil(nanoseconds)
        let clock = time.timeOfDay(fractionDigits: fractionDigits)
        return withDate ?? !isToday(nanoseconds) ? "\(time.date) \(clock)" : clock
    }
}
