import ArgumentParser
import EbeeProtocol

/// The formats of the status.
enum StatusFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json
    case jsonPretty = "json-pretty"
    case openmetrics
}

/// `ebeectl status`
struct StatusVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how the daemon is, how far back it remembers, and what it can't see.",
        discussion: """
            EXAMPLES
              ebeectl status
              ebeectl status -o json | jq '.streams[].lost'
              ebeectl status -H root@web1
              ebeectl status -o openmetrics           for a monitoring system
            """)

    @Option(name: .shortAndLong, help: "How to write it.")
    var output: StatusFormat = .table

    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func run() async throws {
        try connection.askElsewhere("status", ["--output=\(output.rawValue)"])
        var status: ArraySlice<UInt8>?
        _ = try await connection.daemon.ask(.status) { replies in
            for case .status(let object) in replies { status = object }
        }
        guard let status else { throw ClientFailure.malformed("there is no status in it") }
        var standardOutput = StandardOutput()
        switch output {
        case .table: try standardOutput.append(statusText(JSON(reply: status), clock: .current).utf8)
        case .jsonPretty: try standardOutput.append(prettyJSON(status) + [UInt8(ascii: "\n")])
        case .openmetrics: try standardOutput.append(openMetrics(JSON(reply: status)).utf8)
        case .json: try standardOutput.append(status + [UInt8(ascii: "\n")])
        }
        try standardOutput.flush()
    }
}
