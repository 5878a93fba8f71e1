import ArgumentParser
import Glibc

/// Deletes and executes by every route there is, and compares what ebeectl reports with what was done.
@main
struct Coverage: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ebee-coverage",
        abstract: "Takes every route by which files are deleted and programs executed, and checks what is reported.",
        discussion: """
            Starts an ebeed of its own. One line for each route says whether it was reported exactly once and exactly \
            as it was done (passed), whether ebeed itself says that it can't see it here (limited), whether this \
            machine can't take that route (skipped, with the reason), or what is wrong (failed). Ends with 0 if \
            nothing failed, else with 1.

            EXAMPLES
              ebee-coverage --ebeed .build/release/ebeed --ebeectl .build/release/ebeectl --act .build/debug/ebee-act
              ebee-coverage --list
            """)

    @Option(help: "The daemon to start.")
    var ebeed: String?

    @Option(help: "What asks it.")
    var ebeectl: String?

    @Option(help: "The program ebee-act, which acts.")
    var act: String?

    @Option(help: "The hooks for executions: tp_btf, raw_tp, kprobe or tp. Without, ebeed chooses.")
    var hooksExec: String?

    @Option(help: "The hooks for deletions: fentry, kprobe or syscalls. Without, ebeed chooses.")
    var hooksDeletes: String?

    @Flag(help: "Print one JSON object for each route, and one for all.")
    var json = false

    @Flag(help: "Print the names of the routes, and end.")
    var list = false

    @Argument(help: "The routes to take. Without, all.")
    var routes: [String] = []

    func validate() throws {
        let known = Set(Self.all.map(\.name))
        if let name = routes.first(where: { !known.contains($0) }) {
            throw ValidationError("There is no route \(name); --list prints those there are.")
        }
        if !list, [ebeed, ebeectl, act].contains(nil) {
            throw ValidationError("--ebeed, --ebeectl and --act are needed.")
        }
    }

    private static let all = deletionRoutes + executionRoutes

    func run() throws {
        if list { return Self.all.forEach { print("\($0.group) \($0.name)") } }
        guard let ebeed, let ebeectl, let act else { return }
        guard geteuid() == 0 else { throw Failure("must run as root", 0) }
        let programs = try [ebeed, ebeectl, act].map(Programs.real)
        try enterOwnMounts(act: programs[2])
        Interruption.arm()
        let chosen = routes.isEmpty ? Self.all : Self.all.filter { routes.contains($0.name) }
        let report = try take(chosen, ebeed: programs[0], ebeectl: programs[1], act: programs[2])
        if report.hasFailed { throw ExitCode(1) }
    }

    /// Starts over in a mount namespace of our own, so that whatever is mounted here goes with this process. ebee-act makes it:
    /// unshare(2) isn't in Swift's Glibc.
    private func enterOwnMounts(act: [UInt8]) throws {
        let mark = "EBEE_COVERAGE_INSIDE"
        if unsafe getenv(mark) != nil { return }
        unsafe setenv(mark, "1", 1)
        let own = try Programs.real("/proc/self/exe")
        let command = ["mountns", "exec"].map { Array($0.utf8) } + [own] + CommandLine.arguments.map { Array($0.utf8) }
        var arguments = unsafe ([act] + command).map { unsafe strdup(cString($0)) } + [nil]
        unsafe execv(cString(act), &arguments)
        throw Failure("execute \(shown(act))")
    }

    private func take(_ routes: [Route], ebeed: [UInt8], ebeectl: [UInt8], act: [UInt8]) throws -> Report {
        let machine = try Machine()
        defer { machine.leave() }
        let performances = routes.map(Performance.init)
        for made in performances where made.route.isOlder { try made.start(on: machine, act: act) }

        var hooks: [String: String] = [:]
        hooks["exec"] = hooksExec
        hooks["deletes"] = hooksDeletes
        Report.progress("starting ebeed")
        let daemon = try Daemon(ebeed: ebeed, ebeectl: ebeectl, act: act, in: machine.base, hooks: hooks)
        defer { daemon.stop() }

        Report.progress("taking \(routes.count) routes")
        for made in performances where !made.route.isOlder && made.route.isLong {
            try made.start(on: machine, act: act)
        }
        for made in performances where !made.route.isLong {
            if !made.route.isOlder { try made.start(on: machine, act: act) }
            try made.finish()
        }
        for made in performances where made.route.isLong { try made.finish() }

        Report.progress("asking what was recorded")
        let events = try daemon.everything(marker: machine.base / "marker", act: act)
        let status = Status(json: try daemon.status())
        let judge = Judge(deletionLimits: status.limits("deletes"), executionLimits: status.limits("exec"))
        var report = Report(isJSON: json)
        for event in events where event.kind == "lost" { Report.progress("lost: \(event.json)") }
        for made in performances { add(made, judge, events, to: &report) }
        report.end(status)
        return report
    }

    private func add(_ made: Performance, _ judge: Judge, _ events: [Event], to report: inout Report) {
        if let reason = made.refusal { return report.add(made.route, .skipped, reason) }
        if let error = made.error { return report.add(made.route, .failed, "not done: \(error)") }
        switch judge.verdict(made, events) {
        case .passed(let reason): report.add(made.route, .passed, reason.isEmpty ? "" : "but for: \(reason)")
        case .limited(let reason): report.add(made.route, .limited, reason)
        case .failed(let reason): report.add(made.route, .failed, reason)
        }
    }
}
