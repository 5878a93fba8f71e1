import ArgumentParser
import EbeeProtocol

/// How to write the answer.
struct OutputOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "How to write events.")
    var output: OutputFormat = .table

    @Option(name: .customLong("color"), help: "When to use colours; NO_COLOR is honoured.")
    var colour: ColourMode = .auto

    /// The same options for another ebeectl.
    var arguments: [String] { ["--output=\(output.rawValue)", "--color=\(colour.rawValue)"] }

    func formatter(for stream: EventStream, showsFailed: Bool, showsHeaderAtOnce: Bool) -> any EventFormatter {
        let isTerminal = Terminal.isTerminal(1)
        switch output {
        case .table:
            let paint = Paint(isOn: colour.isOn)
            if paint.isOn { Signals.restoreColourWhenKilled() }
            return TableFormatter(
                stream: stream, showsFailed: showsFailed, showsHeaderAtOnce: showsHeaderAtOnce, paint: paint)
        case .json: return JSONFormatter(isPretty: false, isForTerminal: isTerminal)
        case .jsonPretty: return JSONFormatter(isPretty: true, isForTerminal: isTerminal)
        case .csv: return CSVFormatter(isForTerminal: isTerminal)
        }
    }
}

extension Daemon {
    /// Asks, and writes events and loss marks to standard output as they come. Returns what `done` says.
    func show(_ query: Request.Query, as formatter: any EventFormatter) async throws -> JSON {
        var formatter = formatter
        var output = StandardOutput()
        var hasHeader = false
        return try await ask(query) { replies in
            if !hasHeader {
                try output.append(formatter.header().utf8)
                hasHeader = true
            }
            for case .scope(Scope.own.rawValue) in replies { tell(ownEventsOnly) }
            for case .event(let event) in replies { try output.append(formatter.format(event)) }
            try output.flush()
        }
    }
}
