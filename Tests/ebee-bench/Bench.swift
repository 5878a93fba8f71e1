import ArgumentParser
import EbeeTrial
import Glibc

/// What it costs to be recorded, and to ask, side by side with other tools in the same run.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ebee-bench",
        abstract: "Measures what ebeed costs those who delete, execute and do neither, next to other tools.",
        discussion: """
            In each round, every tool by itself sees the same load as nobody does; what counts is the ratio of the two in \
            one round, because a machine is faster in one minute than in the next. Those that are not installed, or \
            can't run here, are left out, and it says why. `make bench` builds and runs it; ROUNDS, TOOLS and SCALE are its options.

            TOOLS
              ebeed      with the default configuration
              bpftrace   one line of text for each event, by the tracepoints of the system calls, into a file in memory
              auditd     with a rule for each of the two kinds, into a file in memory; not where audit is in use

            EXAMPLES
              sudo make bench
              sudo make bench TOOLS=ebeed ROUNDS=10
              sudo .build/release/ebee-bench -o json
            """)

    enum Format: String, ExpressibleByArgument { case table, json }

    @Option(help: "How often each tool is measured.")
    var rounds = 5

    @Option(help: "Only these, with commas between them.")
    var tools: String?

    @Option(help: "So many times the usual number of events.")
    var scale = 1.0

    @Option(name: .shortAndLong, help: "table, or json: one object for each tool, and for each question.")
    var output = Format.table

    @Option(help: "Where ebeed, ebeectl, ebee-load and ebee-act were built.")
    var programs = ".build/release"

    private var names: [String] { tools?.split(separator: ",").map(String.init) ?? Kind.allCases.map(\.rawValue) }

    func validate() throws {
        if let name = names.first(where: { Kind(rawValue: $0) == nil }) {
            let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("There is no tool \(name) here; there are \(known).")
        }
        guard (1...100).contains(rounds) else { throw ValidationError("Rounds are 1 to 100.") }
        guard scale >= 0.01, scale <= 3 else { throw ValidationError("The scale is 0.01 to 3.") }
    }

    func run() throws {
        guard geteuid() == 0 else { throw Failure("must run as root", 0) }
        Interruption.arm()
        defer { showProgress("") }
        let load = Load(programs: programs, scale: scale)
        var kinds: [Kind] = []
        var absent: [String] = []
        for kind in Kind.allCases where names.contains(kind.rawValue) {
            if let reason = kind.reasonAgainst { absent.append("\(kind): \(reason)") } else { kinds.append(kind) }
        }
        var series: [Kind?: [Sample]] = [:]
        for round in 0..<rounds {
            // Nobody is always the first after a pause.
            let order = [nil] + kinds.map(Optional.some)
            for index in order.indices {
                let kind = order[(index + round) % order.count]
                if let kind, !kinds.contains(kind) { continue }
                showProgress("round \(round + 1) of \(rounds): \(kind?.rawValue ?? "nothing")")
                do {
                    series[kind, default: []].append(try measure(kind, load))
                } catch {
                    try Interruption.check()
                    guard let kind, kind != .ebeed else { throw error }
                    absent.append("\(kind): \(error)")
                    kinds.removeAll { $0 == kind }
                }
            }
        }
        showProgress("questions")
        let questions = try kinds.contains(.ebeed) ? Questions(programs: programs, load: load).ask() : []
        showProgress("")
        let report = Report(series: series, kinds: kinds, absent: absent, questions: questions)
        print(output == .table ? report.table : report.json)
    }

    private func measure(_ kind: Kind?, _ load: Load) throws -> Sample {
        guard let kind else { return try load.fall(upon: nil) }
        let tool = try kind.start(programs: programs)
        return try load.fall(upon: tool)
    }
}
