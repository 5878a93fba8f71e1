import EbeeProtocol
import Glibc

/// What became of a route.
enum Outcome: String, CaseIterable { case passed, limited, skipped, failed }

/// Prints what came out: a line for each route, then all of it together.
struct Report {
    let isJSON: Bool
    private var counts: [Outcome: Int] = [:]

    init(isJSON: Bool) { self.isJSON = isJSON }

    var hasFailed: Bool { counts[.failed, default: 0] > 0 }

    private static let start = monotonic()

    /// Standard error, so that standard output is what came out and nothing else.
    static func progress(_ text: String) {
        let line = Array("ebee-coverage: after \(Int(monotonic() - start)) s: \(text)\n".utf8)
        _ = unsafe write(2, line, line.count)
    }

    mutating func add(_ route: Route, _ outcome: Outcome, _ detail: String) {
        counts[outcome, default: 0] += 1
        if isJSON {
            let members = [
                ("route", route.name), ("group", route.group.rawValue), ("result", outcome.rawValue),
                ("detail", detail),
            ]
            put("{" + members.map { "\(JSON.quoted($0)):\(JSON.quoted($1))" }.joined(separator: ",") + "}")
        } else {
            let name = route.name + String(repeating: " ", count: max(1, 36 - route.name.count))
            put("\(outcome.rawValue.padded(8)) \(detail.isEmpty ? route.name : name + detail)")
        }
    }

    func end(_ status: Status) {
        var kernel = utsname()
        unsafe uname(&kernel)
        let release = unsafe withUnsafeBytes(of: kernel.release) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let rungs = ["exec", "deletes"].map { ($0, status.rung($0) ?? "") }
        let all = counts.values.reduce(0, +)
        let numbers = Outcome.allCases.map { ($0.rawValue, counts[$0, default: 0]) }
        let limits = ["exec", "deletes"].flatMap(status.limits)
        guard isJSON else {
            put("Linux \(release), " + rungs.map { "\($0) through \($1)" }.joined(separator: ", "))
            return put("\(all) routes: " + numbers.map { "\($1) \($0)" }.joined(separator: ", "))
        }
        var members = ["\"kernel\":\(JSON.quoted(release))"]
        members.append("\"rungs\":{" + rungs.map { "\"\($0)\":\(JSON.quoted($1))" }.joined(separator: ",") + "}")
        members.append("\"routes\":\(all)")
        members += numbers.map { "\"\($0)\":\($1)" }
        members.append("\"cannot_see\":[" + limits.map(JSON.quoted).joined(separator: ",") + "]")
        let programs = (status.json["streams"]?.array ?? []).flatMap { $0["programs"]?.array ?? [] }
        members.append("\"programs\":[" + programs.map(\.text).joined(separator: ",") + "]")
        put("{" + members.joined(separator: ",") + "}")
    }

    private func put(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        var written = 0
        while written < bytes.count {
            let count = unsafe write(1, Array(bytes[written...]), bytes.count - written)
            if count <= 0 { return }
            written += count
        }
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

extension JSON {
    /// It as it was written, but for blanks.
    fileprivate var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let digits): digits
        case .string(let string): JSON.quoted(string)
        case .array(let values): "[" + values.map(\.text).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\(JSON.quoted($0.key)):\($0.value.text)" }.joined(separator: ",") + "}"
        }
    }
}
