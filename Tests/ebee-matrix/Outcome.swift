import EbeeProtocol

/// What a cell's machine told.
struct Outcome {
    let cell: Cell
    /// The kernel's version, as uname(1) prints it; nil when it did not come that far.
    var kernel: String?
    var steps: [StepOutcome] = []
    /// Seconds from its start to its end.
    var seconds = 0.0
    /// Everything that is not as it should be, a sentence each.
    var problems: [String] = []

    /// - Parameters:
    ///   - text: what the machine wrote.
    ///   - console: what its kernel wrote.
    ///   - status: how the process ended: 0, or 124 after its time.
    init(_ cell: Cell, text: String, console: String, seconds: Double, status: Int32) {
        self.cell = cell
        self.seconds = seconds
        var lines: [String] = []
        var begun: (index: Int, time: Double)?
        for line in text.split(separator: "\n").map(String.init) {
            guard line.hasPrefix("@ ") else {
                lines.append(line)
                continue
            }
            let words = line.split(separator: " ").map(String.init)
            switch words[1] {
            case "kernel": kernel = words.last
            case "begin":
                begun = (Int(words[2]) ?? 0, Double(words[3]) ?? 0)
                lines = []
            case "end":
                guard let start = begun, words.count == 5 else { continue }
                steps.append(
                    StepOutcome(
                        cell: cell, step: cell.steps[start.index], status: Int32(words[3]) ?? -1,
                        seconds: (Double(words[4]) ?? 0) - start.time, lines: lines))
                begun = nil
            default: problems.append("it is \(words.dropFirst().joined(separator: " "))")
            }
        }
        if status == 124 { problems.append("it took too long and was stopped") }
        if steps.count < cell.steps.count {
            problems.append("its machine ended in step \(steps.count + 1) of \(cell.steps.count)")
        }
        problems += steps.flatMap(\.problems)
        for line in console.split(whereSeparator: \.isNewline)
        where Self.alarms.contains(where: { line.contains($0) }) {
            problems.append("the kernel complained: \(line)")
        }
        if cell.condition == .cost, problems.isEmpty { checkCost() }
    }

    /// What a kernel says when something is wrong with it; a program of ours may be what.
    private static let alarms = ["] BUG: ", "] WARNING: ", "] Oops", "Kernel panic", "soft lockup"]

    /// Instructions of getppid without ebeed (the key nil) and with each rung.
    var cost: [String?: Double] {
        var cost: [String?: Double] = [:]
        for step in steps { if case .cost(let rung) = step.step { cost[rung] = step.cost } }
        return cost
    }

    private mutating func checkCost() {
        guard let without = cost[nil], let with = cost["fentry"] else { return }
        if with - without > Cost.tolerance {
            problems.append("getppid costs \(with) instructions with the first rung, \(without) without ebeed")
        }
    }
}

/// What a step told.
struct StepOutcome {
    let step: Step
    let seconds: Double
    var problems: [String] = []
    /// Of the coverage suite.
    var coverage: Coverage?
    /// The sentence of a refusal.
    var reason: String?
    /// Instructions of getppid.
    var cost: Double?
    /// Of storms: the hooks that were chosen, how many events were made, and how many counted as lost.
    var rungs: Rungs?
    var made = 0
    var lost = 0

    fileprivate init(cell: Cell, step: Step, status: Int32, seconds: Double, lines: [String]) {
        (self.step, self.seconds) = (step, seconds)
        switch step {
        case .coverage(let exec, let deletes):
            guard let coverage = Coverage(lines) else {
                problems.append("the suite ended with \(status) and no summary: \(lines.last ?? "no word")")
                return
            }
            self.coverage = coverage
            problems += coverage.failures.map { "\(coverage.rungs): \($0)" }
            if status != 0, coverage.failures.isEmpty { problems.append("the suite ended with \(status)") }
            if coverage.passed == 0 { problems.append("no route passed") }
            let wanted = (exec ?? cell.best?.exec, deletes ?? cell.best?.deletes)
            for (stream, found, wanted) in [
                ("executions", coverage.rungs.exec, wanted.0), ("deletions", coverage.rungs.deletes, wanted.1),
            ] where wanted != nil && wanted != found {
                problems.append("\(stream) are seen through \(found), not \(wanted ?? "")")
            }
        case .refusal:
            let lines = lines.filter { !$0.isEmpty }
            reason = lines.first
            if status != 69 { problems.append("ebeed ended with \(status), not with 69") }
            if lines.count != 1 { problems.append("ebeed said \(lines.count) lines, not one") }
            if seconds > 1 { problems.append("ebeed took \(decimal(seconds, 2)) s to say it, more than one") }
        case .blindness:
            let states = lines.compactMap { try? JSON(parsing: Array($0.utf8)) }
            // As it starts, while the tracing of functions is off, after it is on again, and, off, after a new start. Nobody
            // asks for a test: the canary notices.
            let best = cell.best?.deletes ?? ""
            let wanted = [(best, true), (best, false), (best, true), ("syscalls", true)]
            let found = states.map { status -> (String?, Bool?) in
                let stream = status["streams"]?.array?.first { $0["stream"]?.string == "deletes" }
                return (stream?["rung"]?.string, stream?["self_test"]?["passed"]?.bool)
            }
            if !found.elementsEqual(wanted, by: { $0.0 == $1.0 && $0.1 == $1.1 }) {
                problems.append("deletions and their self-test are \(found), not \(wanted)")
            }
            if !lines.contains(where: { $0.contains("deletes: events come again") }) {
                problems.append("ebeed does not say that it sees again")
            }
            reason = lines.first { $0.contains(": blind, ") }
            if reason == nil { problems.append("ebeed does not say that it is blind") }
        case .storm:
            let used = lines.filter { $0.hasSuffix(": yes, this one is used") }
                .map { $0.split(separator: ":").map { $0.drop { $0 == " " } } }
            let rungs = Rungs(
                exec: used.first { $0[0] == "exec" }.map { String($0[1]) } ?? "nothing",
                deletes: used.first { $0[0] == "deletes" }.map { String($0[1]) } ?? "nothing")
            self.rungs = rungs
            if rungs != cell.best { problems.append("the hooks are \(rungs), not \(cell.best?.description ?? "")") }
            let rows = lines.compactMap { try? JSON(parsing: Array($0.utf8)) }
            made = rows.reduce(0) { $0 + Int($1["made"]?.integer ?? 0) }
            for row in rows {
                for problem in row["problems"]?.array ?? [] {
                    problems.append("\(row["storm"]?.string ?? ""): \(problem.string ?? "")")
                }
            }
            lost = rows.reduce(0) { $0 + Int($1["lost"]?.integer ?? 0) }
            // A row for each stream of each storm; those that are not of the storm made nothing.
            if status != 0 || rows.count != (cell.hasFewReturns ? 14 : 16) || made == 0 {
                problems.append("the account ended with \(status): \(lines.last ?? "no word")")
            }
            // Where kretprobes have no room, or the crowd was none.
            for row in rows where row["storm"]?.string == "crowd" {
                let (stream, missed) = (row["stream"]?.string ?? "", row["missed"]?.integer ?? 0)
                if (missed > 0) != cell.hasFewReturns { problems.append("crowd: of \(stream), \(missed) were missed") }
            }
            if rows.contains(where: {
                $0["storm"]?.string?.hasPrefix("hidden") == true && $0["stream"]?.string == "deletes"
                    && $0["missed"]?.integer == 0
            }) {
                problems.append("hidden: bpf(2) was never interrupted")
            }
        case .cost(let rung):
            cost = lines.last { Double($0) != nil }.flatMap { Double($0) }
            if status != 0 || cost == nil {
                problems.append("nothing was counted with \(rung ?? "no ebeed"): \(lines.last ?? "no word")")
            }
        }
    }
}

/// What ebee-coverage told: a line for each route, then a summary.
struct Coverage {
    struct Route {
        let name: String
        let group: String
        let result: String
        let detail: String
    }

    let routes: [Route]
    let rungs: Rungs
    let cannotSee: [String]
    /// Instructions that the verifier went through, by program; empty before Linux 5.16.
    let programs: [String: Int]

    fileprivate init?(_ lines: [String]) {
        let objects = lines.compactMap { try? JSON(parsing: Array($0.utf8)) }
        guard let summary = objects.last, let rungs = summary["rungs"] else { return nil }
        self.rungs = Rungs(exec: rungs["exec"]?.string ?? "nothing", deletes: rungs["deletes"]?.string ?? "nothing")
        routes = objects.dropLast().compactMap { object in
            guard let name = object["route"]?.string, let result = object["result"]?.string else { return nil }
            return Route(
                name: name, group: object["group"]?.string ?? "", result: result,
                detail: object["detail"]?.string ?? "")
        }
        cannotSee = (summary["cannot_see"]?.array ?? []).compactMap(\.string)
        var programs: [String: Int] = [:]
        summary["programs"]?.collect(into: &programs)
        self.programs = programs
    }

    func count(_ result: String) -> Int { routes.count { $0.result == result } }
    var passed: Int { count("passed") }

    /// Routes that failed, a sentence each.
    var failures: [String] {
        routes.filter { $0.result == "failed" }.map { "\($0.name): \($0.detail)" }
    }
}

extension JSON {
    /// Every `{"name":…,"verified_instructions":…}` in it, however deep.
    fileprivate func collect(into programs: inout [String: Int]) {
        switch self {
        case .object(let members):
            if let name = self["name"]?.string, let count = self["verified_instructions"]?.integer {
                programs[name] = Int(count)
            }
            for member in members { member.value.collect(into: &programs) }
        case .array(let values):
            for value in values { value.collect(into: &programs) }
        default: break
        }
    }
}

/// A number with so many digits after the point.
func decimal(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int((value * scale).rounded())
    guard digits > 0 else { return "\(scaled)" }
    let fraction = "\(abs(scaled) % Int(scale))"
    return "\(scaled < 0 ? "-" : "")\(abs(scaled) / Int(scale))."
        + String(repeating: "0", count: digits - fraction.count) + fraction
}
