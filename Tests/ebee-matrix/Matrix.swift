import ArgumentParser
import Glibc
import Synchronization

/// Runs the coverage suite on every kernel in every condition, and prints and writes what came of it.
@main
struct Matrix: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ebee-matrix",
        abstract: "Runs ebeed on other kernels, in virtual machines.",
        discussion: """
            It must be started where the repository is; `make kernel-test` does that. Without --cells, all cells are run \
            and docs/coverage.md is written.
            """)

    @Option(help: "Only these cells, such as 6.1/all or '*/lockdown', with commas between them.")
    var cells: String?

    @Option(help: "Where ebeed, ebeectl, ebee-act, ebee-coverage, ebee-refuse and refuse.bpf.o were built.")
    var programs = ".build/release"

    @Option(help: "Where what each machine said is left.")
    var logs = ".build/matrix"

    @Option(help: "So many machines at a time.")
    var jobs = 2

    @Option(help: "Seconds after which a machine is stopped.")
    var limit = 900

    @Flag(help: "Fetch the newest packages of the kernels, even where older ones are cached.")
    var refresh = false

    @Flag(help: "Record what the verifier counted, as what later runs are compared with.")
    var record = false

    @Option(
        name: .customLong("run"),
        help: "Run this shell command in the cells, in place of the suite; print what it says.")
    var command: String?

    private static let document = "docs/coverage.md"
    private static let recorded = "Tests/ebee-matrix/verifier.tsv"
    /// The signal that ends us; the machines are ended first.
    private static let signal = Atomic<Int32>(0)

    private var chosen: [Cell] {
        guard let patterns = cells?.split(separator: ",") else { return Cell.matrix }
        return Cell.matrix.filter { cell in patterns.contains { unsafe fnmatch(String($0), cell.name, 0) == 0 } }
    }

    func validate() throws {
        guard !chosen.isEmpty else {
            throw ValidationError(
                "There is no such cell; there are \(Cell.matrix.map(\.name).joined(separator: ", ")).")
        }
        guard jobs > 0, limit > 0 else { throw ValidationError("Jobs and limit are at least 1.") }
    }

    func run() throws {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            Glibc.signal(number) { Matrix.signal.store($0, ordering: .relaxed) }
        }
        let chosen = chosen
        let machines = try Machines(
            for: chosen, programs: programs, directory: logs, limit: limit, refresh: refresh)
        if let command { return try show(command, chosen, machines) }

        let start = monotonic()
        let table = Table()
        var outcomes: [Outcome] = []
        try each(chosen, machines, { Script(cell: $0, programs: $0.kernel == nil ? programs : "/bin").text }, table) {
            cell, seconds, status in
            let outcome = Outcome(
                cell, text: read(machines.output(cell)),
                console: cell.kernel == nil ? "" : read(machines.console(cell)),
                seconds: seconds, status: status)
            table.add(outcome)
            outcomes.append(outcome)
        }
        // In the order of the matrix, not in that of their ends.
        outcomes = chosen.compactMap { cell in outcomes.first { $0.cell.name == cell.name } }
        let verified = checkVerifier(outcomes)
        if cells == nil {
            try write(Document(outcomes: outcomes, verifier: Verifier(outcomes)).text, to: Self.document)
        }
        try tell(outcomes, machines, seconds: monotonic() - start, verified: verified)
    }

    /// Starts cells, `jobs` at a time, and calls `finished` for each that is over, with its seconds and exit status.
    private func each(
        _ cells: [Cell], _ machines: Machines, _ script: (Cell) -> String, _ table: Table?,
        _ finished: (Cell, Double, Int32) throws -> Void
    ) throws {
        var waiting = cells[...]
        var running: [(cell: Cell, child: Child, start: Double)] = []
        while !waiting.isEmpty || !running.isEmpty {
            let signal = Self.signal.load(ordering: .relaxed)
            // What runs is ended with `running`.
            if signal != 0 { throw ExitCode(128 + signal) }
            while running.count < jobs, let cell = waiting.popFirst() {
                running.append((cell, try machines.start(cell, script(cell)), monotonic()))
            }
            for job in running where job.child.isOver {
                try finished(job.cell, monotonic() - job.start, job.child.wait())
            }
            running.removeAll { $0.child.isOver }
            table?.progress(
                running.map { "\($0.cell.name) \(decimal(monotonic() - $0.start, 0)) s" }.joined(separator: ", ")
                    + (waiting.isEmpty ? "" : ", \(waiting.count) to come"))
            usleep(200_000)
        }
    }

    /// Prints the command that repeats each failure, and the end of it all.
    private func tell(_ outcomes: [Outcome], _ machines: Machines, seconds: Double, verified: Bool) throws {
        print()
        let failed = outcomes.filter { !$0.problems.isEmpty }
        for outcome in failed {
            print("\(outcome.cell.name) failed. To repeat it: sudo make kernel-test CELLS='\(outcome.cell.name)'")
            print("  what it said: \(machines.output(outcome.cell))")
            if outcome.cell.kernel != nil { print("  its kernel's words: \(machines.console(outcome.cell))") }
        }
        if cells == nil { print("\(Self.document) is written.") }
        print(
            "\(outcomes.count - failed.count) cells passed, \(failed.count) failed, in \(decimal(seconds / 60, 1)) minutes"
        )
        if !failed.isEmpty || !verified { throw ExitCode.failure }
    }

    /// Whether no program grew too much; says so where one did. With `--record`, writes the counts instead.
    private func checkVerifier(_ outcomes: [Outcome]) -> Bool {
        let counted = Verifier(outcomes)
        let recorded = Verifier(file: Self.recorded)
        if record {
            do {
                try counted.save(to: Self.recorded, keeping: recorded)
                return true
            } catch {
                print(error)
                return false
            }
        }
        let problems = counted.problems(recorded: recorded)
        for problem in problems { print(problem) }
        if !problems.isEmpty { print("If that is as it should be: sudo make kernel-test RECORD=1") }
        return problems.isEmpty
    }

    /// `--run`: prints what the command says, cell by cell.
    private func show(_ command: String, _ cells: [Cell], _ machines: Machines) throws {
        var worst: Int32 = 0
        try each(cells, machines, { _ in "\(command)\n" }, nil) { cell, _, status in
            let lines = read(machines.output(cell)).split(separator: "\n", omittingEmptySubsequences: false)
            let end = lines.last { $0.hasPrefix("# ended ") }.flatMap { Int32($0.dropFirst(8)) }
            if cells.count > 1 { print("== \(cell.name)") }
            print(lines.filter { !$0.hasPrefix("# ended ") }.joined(separator: "\n"))
            worst = max(worst, cell.kernel == nil ? status : end ?? 124)
        }
        if worst != 0 { throw ExitCode(worst) }
    }
}
