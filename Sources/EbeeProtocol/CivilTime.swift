/// A date and a time of day in the Gregorian calendar, without a time zone.
public struct CivilTime: Sendable, Equatable {
    /// The year, 1677 to 2262 where it came from nanoseconds.
    public var year: Int
    /// 1 to 12
    public var month: Int
    /// 1 to 31
    public var day: Int
    /// 0 to 23
    public var hour: Int
    /// 0 to 59
    public var minute: Int
    /// 0 to 59
    public var second: Int
    /// 0 to 999,999,999
    public var nanosecond: Int

    /// A date, by default at its midnight.
    public init(
        year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0, nanosecond: Int = 0
    ) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.nanosecond = nanosecond
    }

    /// The date and time in UTC, of nanoseconds since the epoch.
    public init(utc nanoseconds: Int64) {
        let (seconds, nanosecond) = nanoseconds.flooredDivision(by: 1_000_000_000)
        let (days, secondOfDay) = seconds.flooredDivision(by: 86_400)
        // Count from 1 March of the year 0, so that the leap day is the last of its year; an era is 400 years.
        let (era, dayOfEra) = (days + 719_468).flooredDivision(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        self.init(
            year: Int(era * 400 + yearOfEra + (month <= 2 ? 1 : 0)), month: Int(month),
            day: Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1),
            hour: Int(secondOfDay / 3600), minute: Int(secondOfDay / 60 % 60), second: Int(secondOfDay % 60),
            nanosecond: Int(nanosecond))
    }

    /// Nanoseconds since the epoch of this time read as UTC; nil beyond what 64 bits hold.
    public var utcNanoseconds: Int64? {
        let year = Int64(month <= 2 ? year - 1 : year)
        let (era, yearOfEra) = year.flooredDivision(by: 400)
        let monthFromMarch = Int64((month + 9) % 12)
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + Int64(day) - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        let seconds = days * 86_400 + Int64(hour) * 3600 + Int64(minute) * 60 + Int64(second)
        return Int64(seconds: seconds, nanoseconds: Int64(nanosecond))
    }

    /// True where each field is within its range and the day exists in its month.
    public var isValid: Bool {
        guard 1...12 ~= month, 0...23 ~= hour, 0...59 ~= minute, 0...59 ~= second, 0...999_999_999 ~= nanosecond
        else { return false }
        let isLeapYear = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeapYear ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return 1...lengths[month - 1] ~= day
    }
}

extension Int64 {
    /// Seconds and nanoseconds (0 to 999,999,999) as nanoseconds; nil where 64 bits can't hold them.
    public init?(seconds: Int64, nanoseconds: Int64) {
        // In 128 bits, because the earliest times overflow before their nanoseconds bring them back into range.
        self.init(exactly: Int128(seconds) * 1_000_000_000 + Int128(nanoseconds))
    }

    /// Division that rounds towards the past, with a remainder that is never negative.
    public func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
