import EbeeProtocol

/// A point in time as journalctl takes it, by systemd.time(7).
struct TimeExpression {
    /// What was typed; given on to another machine as it is, because only that one knows its zone.
    let text: String
    /// What it means.
    let moment: Moment

    /// What is said about a text that is no time.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    /// Reads the text. `now` and `zone` decide what `today` and `10:00` are.
    init(_ text: String, now: Int64, zone: Zone) throws(Malformed) {
        let trimmed = text.trimmingBlanks()
        guard
            let moment = Self.relative(trimmed) ?? Self.word(trimmed, now: now, zone: zone)
                ?? Self.sinceEpoch(trimmed) ?? Self.calendar(trimmed, now: now, zone: zone)
        else {
            throw Malformed(
                description: """
                    not a time; for example 5m, "2h 30min", -10min, "10 minutes ago", now, today, yesterday, 10:00, \
                    10:00:05.5, 2026-11-23, "2026-11-23 10:00", "2026-11-23 10:00 UTC", 2026-11-23T10:00:00Z, \
                    @1790000000
                    """)
        }
        self.text = text
        self.moment = moment
    }

    /// `5m`, `-10min` and `10 minutes ago` are before now, `+5s` is after it.
    private static func relative(_ text: String) -> Moment? {
        if text.hasPrefix("-") {
            return TimeSpan.parse(String(text.dropFirst())).map { .ago(nanoseconds: $0) }
        }
        if text.hasPrefix("+") {
            return TimeSpan.parse(String(text.dropFirst())).map { .ago(nanoseconds: -$0) }
        }
        if text.hasSuffix(" ago") {
            return TimeSpan.parse(String(text.dropLast(4))).map { .ago(nanoseconds: $0) }
        }
        // A bare number might be meant as a year, a clock or an epoch: it needs a unit.
        return TimeSpan.parse(text, needsUnit: true).map { .ago(nanoseconds: $0) }
    }

    private static func word(_ text: String, now: Int64, zone: Zone) -> Moment? {
        let days: Int
        switch text {
        case "now": return .ago(nanoseconds: 0)
        case "today": days = 0
        case "yesterday": days = -1
        case "tomorrow": days = 1
        default: return nil
        }
        // Calendar days, not 24 hours: on two days of the year they differ.
        let today = zone.civil(now)
        let noon = CivilTime(year: today.year, month: today.month, day: today.day, hour: 12)
        guard let utc = noon.utcNanoseconds else { return nil }
        let day = CivilTime(utc: utc + Int64(days) * 86_400_000_000_000)
        return zone.nanoseconds(CivilTime(year: day.year, month: day.month, day: day.day)).map {
            .wall(nanoseconds: $0)
        }
    }

    /// `@1790000000.5`
    private static func sinceEpoch(_ text: String) -> Moment? {
        var scanner = TextScanner(text)
        guard scanner.take("@"), let (seconds, nanoseconds) = scanner.decimal(), scanner.isAtEnd else { return nil }
        return Int64(seconds: seconds, nanoseconds: nanoseconds).map { .wall(nanoseconds: $0) }
    }

    /// `[Mon] [2026-11-23] [10:00[:05[.5]]] [Z|UTC|+01:00]`, with a date or a time of day or both.
    private static func calendar(_ text: String, now: Int64, zone: Zone) -> Moment? {
        var scanner = TextScanner(text)
        let weekday = scanner.letters()
        scanner.skipBlanks()
        let date = date(&scanner)
        if date != nil, !scanner.take("T") { scanner.skipBlanks() }
        let timeOfDay = timeOfDay(&scanner)
        scanner.skipBlanks()
        guard date != nil || timeOfDay != nil, weekday.isEmpty || date != nil else { return nil }
        guard let zone = scanner.isAtEnd ? zone : self.zone(&scanner), scanner.isAtEnd else { return nil }

        var time = date ?? zone.civil(now)
        time.hour = timeOfDay?.hour ?? 0
        time.minute = timeOfDay?.minute ?? 0
        time.second = timeOfDay?.second ?? 0
        time.nanosecond = timeOfDay?.nanosecond ?? 0
        guard time.isValid, weekday.isEmpty || isWeekday(weekday, of: time) else { return nil }
        return zone.nanoseconds(time).map { .wall(nanoseconds: $0) }
    }

    private static func date(_ scanner: inout TextScanner) -> CivilTime? {
        var ahead = scanner
        guard let year = ahead.number(digits: 4...4), ahead.take("-"), let month = ahead.number(digits: 1...2),
            ahead.take("-"), let day = ahead.number(digits: 1...2)
        else { return nil }
        scanner = ahead
        return CivilTime(year: year, month: month, day: day)
    }

    private static func timeOfDay(_ scanner: inout TextScanner) -> CivilTime? {
        var ahead = scanner
        guard let hour = ahead.number(digits: 1...2), ahead.take(":"), let minute = ahead.number(digits: 2...2) else {
            return nil
        }
        var time = CivilTime(year: 1970, month: 1, day: 1, hour: hour, minute: minute)
        if ahead.take(":") {
            guard let second = ahead.number(digits: 2...2) else { return nil }
            time.second = second
            if ahead.rest.first == "." {
                guard let fraction = ahead.decimal()?.fraction else { return nil }
                time.nanosecond = Int(fraction)
            }
        }
        scanner = ahead
        return time
    }

    private static func zone(_ scanner: inout TextScanner) -> Zone? {
        if scanner.take("Z") || scanner.take("UTC") { return .utc() }
        let sign: Int64 = scanner.take("-") ? -1 : scanner.take("+") ? 1 : 0
        guard sign != 0, let hours = scanner.number(digits: 2...2), scanner.take(":"),
            let minutes = scanner.number(digits: 2...2), hours < 24, minutes < 60
        else { return nil }
        return .utc(offsetSeconds: sign * Int64(hours * 3600 + minutes * 60))
    }

    private static func isWeekday(_ name: String, of time: CivilTime) -> Bool {
        let names = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"]
        let date = CivilTime(year: time.year, month: time.month, day: time.day)
        guard let nanoseconds = date.utcNanoseconds else { return false }
        // The epoch was a Thursday.
        let day = nanoseconds.flooredDivision(by: 86_400_000_000_000).quotient.flooredDivision(by: 7).remainder
        let full = names[Int(day)].lowercased()
        return name.lowercased() == full || name.lowercased() == full.prefix(3)
    }
}

extension String {
    fileprivate func trimmingBlanks() -> String {
        let blank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        var text = self[...].drop(while: blank)
        while let last = text.last, blank(last) { text.removeLast() }
        return String(text)
    }
}
