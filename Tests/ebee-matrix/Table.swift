import Glibc

/// The table on the terminal: a row for each step of a cell, when the cell is over.
struct Table {
    private let isTerminal = isatty(1) == 1

    static let heading = ["CELL", "HOOKS", "PASSED", "LIMITED", "SKIPPED", "FAILED", "SECONDS", "RESULT"]
    private static let widths = [-14, -17, 7, 7, 7, 6, 7, 0]

    init() {
        put(Self.heading)
    }

    func add(_ outcome: Outcome) {
        clear()
        for (index, row) in Self.rows(outcome).enumerated() {
            put([index == 0 ? outcome.cell.name : ""] + row)
        }
        for problem in outcome.problems { print("    \(problem)") }
    }

    /// Hooks, passed, limited, skipped, failed, seconds and result of each step.
    static func rows(_ outcome: Outcome) -> [[String]] {
        let result = outcome.problems.isEmpty ? "ok" : "FAILED"
        if outcome.steps.isEmpty { return [["-", "", "", "", "", decimal(outcome.seconds, 0), result]] }
        return outcome.steps.map { step in
            let ok = step.problems.isEmpty ? "ok" : "FAILED"
            let seconds = decimal(step.seconds, step.reason == nil ? 0 : 2)
            if let coverage = step.coverage {
                return [
                    coverage.rungs.description, "\(coverage.passed)/\(coverage.routes.count)",
                    "\(coverage.count("limited"))", "\(coverage.count("skipped"))", "\(coverage.count("failed"))",
                    seconds, ok,
                ]
            }
            if let reason = step.reason { return ["-", "", "", "", "", seconds, "\(ok): \(reason)"] }
            if case .cost(let rung) = step.step {
                let cost = step.cost.map { "getppid: \(decimal($0, 1)) instructions" } ?? ""
                return [rung ?? "without ebeed", "", "", "", "", seconds, "\(ok) \(cost)"]
            }
            if let rungs = step.rungs {
                return [
                    rungs.description, "", "", "", "", seconds,
                    step.problems.isEmpty ? "ok: \(step.made) events, \(step.lost) counted as lost" : ok,
                ]
            }
            return ["-", "", "", "", "", seconds, ok]
        }
    }

    /// One line that the next one replaces; nothing where nobody watches.
    func progress(_ text: String) {
        guard isTerminal else { return }
        print("\r\u{1b}[K\(text)", terminator: "")
        fflush(nil)
    }

    private func clear() { progress("") }

    private func put(_ columns: [String]) {
        let cells = zip(columns, Self.widths).map { text, width in
            let blanks = String(repeating: " ", count: max(0, abs(width) - text.count))
            return width > 0 ? blanks + text : text + blanks
        }
        print(cells.joined(separator: "  "))
        fflush(nil)
    }
}
