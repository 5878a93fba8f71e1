/// Times as RFC 3339 writes them, to and from nanoseconds since the epoch.
public enum RFC3339 {
    /// In UTC with nine digits of fraction: `2026-11-23T06:45:01.123456789Z`.
    public static func format(_ nanoseconds: Int64) -> String {
        let time = CivilTime(utc: nanoseconds)
        return time.date + "T" + time.timeOfDay(fractionDigits: 9) + "Z"
    }

    /// Nanoseconds since the epoch, of a text with any offset and none to nine digits of fraction; nil where it is
    /// no such text, no such date, or outside of 1677 to 2262. A leap second is the second after it.
    public static func parse(_ text: String) -> Int64? {
        var digits = DigitReader(text)
        guard let year = digits.number(4), digits.take("-"), let month = digits.number(2), digits.take("-"),
            let day = digits.number(2), digits.take("T") || digits.take("t") || digits.take(" "),
            let hour = digits.number(2), digits.take(":"), let minute = digits.number(2), digits.take(":"),
            let second = digits.number(2), second <= 60
        else { return nil }
        var nanosecond = 0
        if digits.take(".") {
            guard let fraction = digits.fraction() else { return nil }
            nanosecond = fraction
        }
        guard let offset = digits.offset(), digits.isAtEnd else { return nil }
        let time = CivilTime(
            year: year, month: month, day: day, hour: hour, minute: minute, second: min(second, 59),
            nanosecond: nanosecond)
        guard time.isValid, let utc = time.utcNanoseconds else { return nil }
        // The offset and the leap second are small, but the time may be at the edge of what 64 bits hold.
        return Int64(exactly: Int128(utc) + Int128((second == 60 ? 1 : 0) - offset) * 1_000_000_000)
    }
}

extension CivilTime {
    /// `2026-11-23`
    public var date: String { "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))" }

    /// `06:45:01` with none to nine digits of fraction, cut rather than rounded.
    public func timeOfDay(fractionDigits: Int) -> String {
        let time = "\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2))"
        return fractionDigits == 0 ? time : "\(time).\(padded(nanosecond, 9).prefix(fractionDigits))"
    }
}

private func padded(_ value: Int, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}

/// Reads fixed-width fields of ASCII digits from a text.
private struct DigitReader {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = text[...].utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    mutating func digit() -> Int? {
        guard let byte = rest.first, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte else { return nil }
        rest.removeFirst()
        return Int(byte - UInt8(ascii: "0"))
    }

    mutating func number(_ width: Int) -> Int? {
        var value = 0
        for _ in 0..<width {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// One to nine digits, as nanoseconds.
    mutating func fraction() -> Int? {
        var value = 0
        var scale = 1_000_000_000
        while let digit = digit() {
            guard scale > 1 else { return nil }
            scale /= 10
            value += digit * scale
        }
        return scale == 1_000_000_000 ? nil : value
    }

    /// `Z`, or `+hh:mm` as seconds east of Greenwich.
    mutating func offset() -> Int? {
        if take("Z") || take("z") { return 0 }
        let sign = take("-") ? -1 : take("+") ? 1 : 0
        guard sign != 0, let hours = number(2), take(":"), let minutes = number(2), hours < 24, minutes < 60 else {
            return nil
        }
        return sign * (hours * 3600 + minutes * 60)
    }
}
