import Foundation

/// A JSON value as Foundation reads it: the product's own parser is not to be its own judge.
enum Value: Equatable, CustomStringConvertible {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case string(String)
    case array([Value])
    case object([String: Value])

    init(parsing bytes: some Sequence<UInt8>) throws {
        let data = Data(bytes)
        do {
            self.init(try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed))
        } catch {
            throw HarnessError("not JSON (\(error)): \(String(decoding: data.prefix(2000), as: UTF8.self))")
        }
    }

    private init(_ any: Any) {
        switch any {
        case let string as String: self = .string(string)
        case let array as [Any]: self = .array(array.map(Value.init))
        case let object as [String: Any]: self = .object(object.mapValues(Value.init))
        case let number as NSNumber:
            // A truth value and the numbers 0 and 1 are told apart by the type they are kept in.
            switch unsafe String(cString: number.objCType) {
            case "c", "B": self = .bool(number.boolValue)
            case "d", "f": self = .double(number.doubleValue)
            default: self = .integer(number.int64Value)
            }
        default: self = .null
        }
    }

    /// The member at the end of a path of keys; nil where there is none.
    subscript(_ keys: String...) -> Value? {
        var value = self
        for key in keys {
            guard case .object(let members) = value, let member = members[key] else { return nil }
            value = member
        }
        return value
    }

    var string: String? { if case .string(let value) = self { value } else { nil } }
    var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    var array: [Value]? { if case .array(let value) = self { value } else { nil } }
    var object: [String: Value]? { if case .object(let value) = self { value } else { nil } }
    /// Of an array of strings.
    var strings: [String]? { array?.compactMap(\.string) }
    /// What a string holds in base64.
    var base64: [UInt8]? { string.flatMap { Data(base64Encoded: $0) }.map(Array.init) }

    var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .double(let value): "\(value)"
        case .string(let value): value.debugDescription
        case .array(let values): "[" + values.map(\.description).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: ",") + "}"
        }
    }
}

/// What the contract says of an event, by the names that tests use most.
extension Value {
    var path: String? { self["file", "path"]?.string }
    /// A path's bytes, whether they are UTF-8 or not.
    var pathBytes: [UInt8]? { self["file", "path_raw"]?.base64 ?? path.map { Array($0.utf8) } }
    var how: String? { self["how"]?.string }
    var result: String? { self["result"]?.string }
    var pid: Int64? { self["process", "pid"]?.integer }
    var tid: Int64? { self["process", "tid"]?.integer }
    var args: [String]? { self["process", "args"]?.strings }
    /// How and which, for comparing sets of deletions.
    var deed: String { "\(how ?? "?") \(path ?? "?")" }
    /// Nanoseconds since the epoch.
    var time: Int64? { self["time"]?.string.flatMap(nanoseconds) }
}

/// An RFC 3339 time in UTC with nine digits, as nanoseconds since the epoch; nil for any other text.
func nanoseconds(_ text: String) -> Int64? {
    guard text.utf8.count == 30, text.hasSuffix("Z"), let fraction = Int64(text.dropFirst(20).dropLast()) else {
        return nil
    }
    let numbers = text.prefix(19).split { "-T:".contains($0) }.compactMap { Int32($0) }
    guard numbers.count == 6 else { return nil }
    var broken = unsafe tm()
    unsafe (broken.tm_year, broken.tm_mon, broken.tm_mday) = (numbers[0] - 1900, numbers[1] - 1, numbers[2])
    unsafe (broken.tm_hour, broken.tm_min, broken.tm_sec) = (numbers[3], numbers[4], numbers[5])
    return unsafe Int64(timegm(&broken)) * 1_000_000_000 + fraction
}
