import ArgumentParser
import EbeeProtocol

/// `ebeectl tail`
struct TailVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Show executions and deletions as they happen.",
        discussion: """
            Runs until Ctrl-C, or until nobody reads its output any more. What was lost is shown in its place.

            EXAMPLES
              ebeectl tail exec                        every program that runs
              ebeectl tail deletes --path '/srv/*'     every file deleted below /srv
              ebeectl tail -n 20 --user ana            ana's last 20 events, and all to come
              ebeectl tail exec --unit nginx --failed  also what nginx fails to run
              ebeectl tail deletes -o json | jq -r .file.path
            """)

    @Argument(help: "Which events.")
    var stream: EventStream = .all

    @Option(
        name: [.customShort("n"), .long],
        help: ArgumentHelp("Begin with the newest events so far.", valueName: "number"))
    var backlog = 0

    @OptionGroup(title: "Filters") var filters: FilterOptions
    @OptionGroup(title: "Output") var output: OutputOptions
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func validate() throws {
        guard backlog >= 0 else { throw ValidationError("The number of events is never negative.") }
    }

    func run() async throws {
        try connection.askElsewhere("tail", arguments)
        let query = Tail(stream: stream, backlog: backlog, filter: try filters.filter())
        let formatter = output.formatter(for: stream, showsFailed: filters.failed, showsHeaderAtOnce: true)
        _ = try await connection.daemon.show(.tail(query), as: formatter)
        throw ClientFailure.stopped
    }

    /// The same question for another ebeectl.
    var arguments: [String] {
        [stream.rawValue, "--backlog=\(backlog)"] + filters.arguments + output.arguments
    }
}
