/// docs/coverage.md: what the matrix told, for people.
struct Document {
    let outcomes: [Outcome]
    let verifier: Verifier

    var text: String {
        """
        # Coverage

        Written by `make kernel-test`; don't edit it. Every route is a way to delete or to execute that is taken on the \
        kernel named, and what ebeed tells of it is compared with what was done.

        ## Kernels

        Stock Debian kernels in virtual machines without hardware acceleration, and the kernel of the machine it was made \
        on (`native`). `all`: everything is allowed; the hooks that ebeed chooses come first. `bare`: the kernel refuses \
        to load programs for trampolines and kprobes. `lockdown`: booted with `lockdown=confidentiality`. `no-btf`: \
        `/sys/kernel/btf` is hidden. `blind`: the tracing of functions is turned off while ebeed runs, and it must notice. \
        `preempt`: booted with `preempt=full`, and storms by threads that interrupt each other, of which nothing may be lost but what kretprobes have no room for, what bpf(2) hides, and calls that hang while another ebeed takes over, all of which is counted. A cell either passes on the best hooks there are, or ebeed ends with one reason.

        \(cells)
        ## What hooks can't see, or cost

        \(limits)
        ## Routes

        `yes`: reported exactly once, with its path or program, arguments, process and result, and every fact. `yes*`: \
        so, but for facts about the file or the program that these hooks can't tell, as listed above. `limited`: not \
        so, for a reason that ebeed itself gives; the notes below have it.

        \(routes)
        ## What a system call costs

        Instructions of one getppid(2), counted in a virtual machine with one processor.

        \(costs)
        ## The verifier

        Instructions that the kernel's verifier went through, which Linux tells since 5.16. Growth of more than 10 % fails.

        \(counts)
        """
    }

    private static func table(_ heading: [String], _ rows: [[String]]) -> String {
        ([heading, heading.map { _ in "---" }] + rows)
            .map { "| " + $0.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n" }.joined()
    }

    private var cells: String {
        Self.table(
            ["cell", "kernel", "hooks", "passed", "limited", "skipped", "failed", "seconds", "result"],
            outcomes.filter { $0.cell.condition != .cost }.flatMap { outcome in
                Table.rows(outcome).map { [outcome.cell.name, version(outcome)] + $0 }
            })
    }

    /// Without what a builder of kernels added, where it isn't Debian's.
    private func version(_ outcome: Outcome) -> String {
        let version = outcome.kernel ?? ""
        return outcome.cell.kernel == nil ? String(version.prefix { $0 != "-" }) : version
    }

    /// Every run of the suite with the name of its kernel.
    private var runs: [(kernel: String, coverage: Coverage)] {
        outcomes.flatMap { outcome in
            outcome.steps.compactMap(\.coverage).map { (outcome.cell.kernel ?? "native", $0) }
        }
    }

    private var rungs: [Rungs] { Set(runs.map(\.coverage.rungs)).sorted() }

    /// The kernels among `some`, or nothing where it is all that had these rungs.
    private func kernels(_ some: [String], of rungs: Rungs) -> String {
        let all = unique(runs.filter { $0.coverage.rungs == rungs }.map(\.kernel))
        let some = unique(some)
        return some.count == all.count ? "" : " on " + some.joined(separator: ", ")
    }

    private func unique(_ names: [String]) -> [String] {
        names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    private var limits: String {
        rungs.map { rungs in
            let told = runs.filter { $0.coverage.rungs == rungs }
            let sentences = unique(told.flatMap(\.coverage.cannotSee))
            return "\(rungs):\n\n"
                + sentences.map { sentence in
                    let on = told.filter { $0.coverage.cannotSee.contains(sentence) }.map(\.kernel)
                    return "- \(sentence)\(kernels(on, of: rungs).replacing(" on ", with: " — on "))\n"
                }.joined() + (sentences.isEmpty ? "- nothing\n" : "")
        }.joined(separator: "\n")
    }

    private var routes: String {
        var notes: [String] = []
        let names = unique(runs.flatMap { $0.coverage.routes.map(\.name) })
        let rows = names.map { name in
            [name]
                + rungs.map { rungs in
                    let told = runs.filter { $0.coverage.rungs == rungs }.flatMap { run in
                        run.coverage.routes.filter { $0.name == name }.map { (kernel: run.kernel, route: $0) }
                    }
                    let others = unique(told.map(\.route.result)).filter { $0 != "passed" }
                    if others.isEmpty {
                        return told.isEmpty ? "" : told.allSatisfy(\.route.detail.isEmpty) ? "yes" : "yes*"
                    }
                    return others.map { result in
                        let these = told.filter { $0.route.result == result }
                        let numbers = unique(these.map(\.route.detail)).map { detail in
                            let note = "\(result): \(detail)"
                            if !notes.contains(note) { notes.append(note) }
                            return "\((notes.firstIndex(of: note) ?? 0) + 1)"
                        }
                        return
                            "\(result)\(kernels(these.map(\.kernel), of: rungs)) (\(numbers.joined(separator: ", ")))"
                    }.joined(separator: "; ")
                }
        }
        return Self.table(["route"] + rungs.map(\.description), rows)
            + (notes.isEmpty
                ? "" : "\n" + notes.enumerated().map { "\($0.offset + 1). \($0.element)\n" }.joined())
    }

    private var costs: String {
        Self.table(
            ["kernel", "without ebeed"] + Cost.rungs,
            outcomes.filter { $0.cell.condition == .cost }.map { outcome in
                [version(outcome)]
                    + ([nil] + Cost.rungs).map { rung in outcome.cost[rung].map { decimal($0, 1) } ?? "" }
            })
    }

    private var counts: String {
        let kernels = Cell.kernels.filter { verifier.counts[$0]?.isEmpty == false }
        let programs = Set(kernels.flatMap { verifier.counts[$0]?.keys.map { $0 } ?? [] }).sorted()
        return Self.table(
            ["program"] + kernels,
            programs.map { program in [program] + kernels.map { verifier.counts[$0]?[program].map { "\($0)" } ?? "" } })
    }
}
