import EbeeProtocol

/// Writes JSON into bytes that are kept and reused. It is ours because it is the hot path: a test compares what it
/// writes with what Foundation's decoder reads.
///
/// Members are written in order; the writer knows only whether a comma is due.
public struct JSONWriter: ~Copyable {
    /// What has been written.
    public private(set) var bytes: [UInt8] = []
    private var needsComma = false

    /// An empty writer.
    public init() {}

    /// How many bytes have been written since the last `removeAll`.
    public var count: Int { bytes.count }

    /// Starts anew and keeps the memory.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    /// Opens an object: the value of `key`, an element, or a line.
    public mutating func beginObject(_ key: StaticString? = nil) { open(UInt8(ascii: "{"), key) }
    /// Closes it.
    public mutating func endObject() { close(UInt8(ascii: "}")) }
    /// Opens an array.
    public mutating func beginArray(_ key: StaticString? = nil) { open(UInt8(ascii: "["), key) }
    /// Closes it.
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    /// Whole lines made elsewhere.
    public mutating func append(_ lines: [UInt8]) { bytes.append(contentsOf: lines) }

    /// Ends a line; the next value starts anew.
    public mutating func endLine() {
        bytes.append(UInt8(ascii: "\n"))
        needsComma = false
    }

    /// A value that is JSON already.
    public mutating func json(_ key: StaticString, _ value: [UInt8]) {
        self.key(key)
        bytes.append(contentsOf: value)
    }

    /// A member that is true or false.
    public mutating func bool(_ key: StaticString, _ value: Bool) {
        self.key(key)
        bytes.append(contentsOf: value ? "true".utf8 : "false".utf8)
    }

    /// A member that is an integer.
    public mutating func number(_ key: StaticString, _ value: some FixedWidthInteger) {
        self.key(key)
        decimal(value)
    }

    /// An element of an array of numbers.
    public mutating func number(_ value: some FixedWidthInteger) {
        separate()
        decimal(value)
    }

    /// A member that is text of our own.
    public mutating func string(_ key: StaticString, _ value: String) {
        self.key(key)
        var value = value
        value.withUTF8 { _ = unsafe quoted($0.span.bytes) }
    }

    /// An element of an array of strings.
    public mutating func string(_ value: String) {
        separate()
        var value = value
        value.withUTF8 { _ = unsafe quoted($0.span.bytes) }
    }

    /// Bytes as text. What is not UTF-8 shows as U+FFFD, and `rawKey`, where there is one, then has the bytes in base64.
    public mutating func text(_ key: StaticString, _ value: RawSpan, raw rawKey: StaticString? = nil) {
        self.key(key)
        if !quoted(value), let rawKey {
            self.key(rawKey)
            base64(value)
        }
    }

    /// The same of bytes in an array.
    public mutating func text(_ key: StaticString, _ value: [UInt8], raw rawKey: StaticString? = nil) {
        unsafe text(key, value.span.bytes, raw: rawKey)
    }

    /// An element of an array of texts; false where it is not UTF-8.
    public mutating func text(_ value: RawSpan) -> Bool {
        separate()
        return quoted(value)
    }

    /// An element of an array of base64 strings.
    public mutating func raw(_ value: RawSpan) {
        separate()
        base64(value)
    }

    /// A wall-clock time, in nanoseconds since the epoch, as RFC 3339 in UTC.
    public mutating func time(_ key: StaticString, _ nanoseconds: Int64) {
        self.key(key)
        bytes.append(UInt8(ascii: "\""))
        time(nanoseconds)
        bytes.append(UInt8(ascii: "\""))
    }

    /// The same without quotes, outside of any value.
    public mutating func time(_ nanoseconds: Int64) { timestamp(nanoseconds) }

    // MARK: - Pieces

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func key(_ key: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount))
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func open(_ bracket: UInt8, _ key: StaticString?) {
        if let key { self.key(key) } else { separate() }
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func decimal(_ value: some FixedWidthInteger) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        var rest = UInt64(value.magnitude)
        let start = bytes.count
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }

    private mutating func decimal(_ value: Int, digits: Int) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }

    private mutating func timestamp(_ nanoseconds: Int64) {
        let time = CivilTime(utc: nanoseconds)
        decimal(time.year, digits: 4)
        bytes.append(UInt8(ascii: "-"))
        decimal(time.month, digits: 2)
        bytes.append(UInt8(ascii: "-"))
        decimal(time.day, digits: 2)
        bytes.append(UInt8(ascii: "T"))
        decimal(time.hour, digits: 2)
        bytes.append(UInt8(ascii: ":"))
        decimal(time.minute, digits: 2)
        bytes.append(UInt8(ascii: ":"))
        decimal(time.second, digits: 2)
        bytes.append(UInt8(ascii: "."))
        decimal(time.nanosecond, digits: 9)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// A JSON string; false where the bytes are not UTF-8 and were repaired.
    @discardableResult
    private mutating func quoted(_ value: RawSpan) -> Bool {
        bytes.append(UInt8(ascii: "\""))
        defer { bytes.append(UInt8(ascii: "\"")) }
        // Most text is ASCII, and has nothing to escape.
        var (isASCII, isPlain) = (true, true)
        for index in 0..<value.byteCount {
            let byte = value.byte(index)
            isASCII = isASCII && byte < 0x80
            isPlain =
                isPlain && (0x20..<0x7f).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
        }
        if isPlain {
            unsafe value.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
            return true
        }
        if isASCII {
            for index in 0..<value.byteCount { escaped(value.byte(index)) }
            return true
        }
        let copy = value.copy(0..<value.byteCount)
        if let string = String(validating: copy, as: UTF8.self) {
            for byte in string.utf8 { escaped(byte) }
            return true
        }
        for byte in String(decoding: copy, as: UTF8.self).utf8 { escaped(byte) }
        return false
    }

    private mutating func escaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        case 0x0a: bytes.append(contentsOf: "\\n".utf8)
        case 0x09: bytes.append(contentsOf: "\\t".utf8)
        case 0x0d: bytes.append(contentsOf: "\\r".utf8)
        case 0..<0x20, 0x7f:
            bytes.append(contentsOf: "\\u00".utf8)
            bytes.append(Self.hexadecimal[Int(byte >> 4)])
            bytes.append(Self.hexadecimal[Int(byte & 15)])
        default: bytes.append(byte)
        }
    }

    private static let hexadecimal = Array("0123456789abcdef".utf8)
    private static let base64Digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// RFC 4648, with padding.
    private mutating func base64(_ value: RawSpan) {
        bytes.append(UInt8(ascii: "\""))
        var index = 0
        while index < value.byteCount {
            let left = value.byteCount - index
            let first = UInt32(value.byte(index)) << 16
            let second = left > 1 ? UInt32(value.byte(index + 1)) << 8 : 0
            let third = left > 2 ? UInt32(value.byte(index + 2)) : 0
            let group = first | second | third
            bytes.append(Self.base64Digits[Int(group >> 18)])
            bytes.append(Self.base64Digits[Int(group >> 12 & 63)])
            bytes.append(left > 1 ? Self.base64Digits[Int(group >> 6 & 63)] : UInt8(ascii: "="))
            bytes.append(left > 2 ? Self.base64Digits[Int(group & 63)] : UInt8(ascii: "="))
            index += 3
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
