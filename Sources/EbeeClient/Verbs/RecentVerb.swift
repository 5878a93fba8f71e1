import ArgumentParser
import EbeeProtocol

/// `ebeectl recent`
struct RecentVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recent",
        abstract: "Show what ran and what was deleted.",
        discussion: """
            The last line, on standard error, says which interval the answer covers, and whether anything in it is \
            missing.

            A time is what journalctl takes: 5m (ago), "2h 30min", -10min, "10 minutes ago", now, today, yesterday, \
            10:00, 2026-11-23, "2026-11-23 10:00:05", @1790000000, 2026-11-23T10:00:00Z.

            EXAMPLES
              ebeectl recent deletes --since 5m     what was deleted just now, by whom
              ebeectl recent exec --since 10:00 --until 10:05 --unit ci
              ebeectl recent deletes --path '*/config.yml' --since today
              ebeectl recent exec --ppid 4000 --failed -o csv > build.csv
              ebeectl recent -n 20 -r               the newest 20 events, newest first
              ebeectl recent --since 1h --require-complete -o json > evidence.json
            """)

    @Argument(help: "Which events.")
    var stream: EventStream = .all

    @Option(
        parsing: .unconditional, help: ArgumentHelp("From this time on.", valueName: "time"), transform: readTime)
    var since: TimeExpression?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Up to this time.", valueName: "time"), transform: readTime)
    var until: TimeExpression?

    @Option(
        name: [.customShort("n"), .long], help: ArgumentHelp("Only the newest events.", valueName: "number"))
    var limit: Int?

    @Flag(name: .shortAndLong, help: "The newest first.")
    var reverse = false

    @Flag(help: "Exit with 3 if anything in the interval is missing.")
    var requireComplete = false

    @OptionGroup(title: "Filters") var filters: FilterOptions
    @OptionGroup(title: "Output") var output: OutputOptions
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func validate() throws {
        if let limit, limit < 0 { throw ValidationError("The number of events is never negative.") }
        let now = wallClock()
        if let since, let until, since.moment.nanoseconds(now: now) > until.moment.nanoseconds(now: now) {
            throw ValidationError("The interval ends before it begins.")
        }
    }

    func run() async throws {
        try connection.askElsewhere("recent", arguments)
        let query = Recent(
            stream: stream, since: since?.moment, until: until?.moment, limit: limit, reverse: reverse,
            filter: try filters.filter())
        let formatter = output.formatter(for: stream, showsFailed: filters.failed, showsHeaderAtOnce: false)
        let done = try await connection.daemon.show(.recent(query), as: formatter)
        guard let account = Completeness(done) else { throw ClientFailure.malformed("'done' is not whole") }
        tell(closingLine(account, asked: query, clock: .current))
        if requireComplete, !account.complete { throw ExitCode(3) }
    }

    /// The same question for another ebeectl, in whose time zone times are then read and shown.
    var arguments: [String] {
        var arguments = [stream.rawValue]
        if let since { arguments.append("--since=\(since.text)") }
        if let until { arguments.append("--until=\(until.text)") }
        if let limit { arguments.append("--limit=\(limit)") }
        if reverse { arguments.append("--reverse") }
        if requireComplete { arguments.append("--require-complete") }
        return arguments + filters.arguments + output.arguments
    }
}

private func readTime(_ text: String) throws -> TimeExpression {
    do {
        return try TimeExpression(text, now: wallClock(), zone: .local)
    } catch {
        throw ValidationError(error.description)
    }
}
