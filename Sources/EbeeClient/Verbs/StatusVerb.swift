import ArgumentParser
import EbeeProtocol

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
            """)

    @OptionGroup(title: "Output") var output: OutputOptions
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func validate() throws {
        guard output.output != .csv else { throw ValidationError("The status is no table; use json.") }
    }

    func run() async throws {
        try connection.askElsewhere("status", output.arguments)
        var status: ArraySlice<UInt8>?
        _ = try await connection.daemon.ask(.status) { replies in
            for case .status(let object) in replies { status = object }
        }
        guard let status else { throw ClientFailure.malformed("there is no status in it") }
        var standardOutput = StandardOutput()
        switch output.output {
        case .table: try standardOutput.append(statusText(JSON(reply: status), clock: .current).utf8)
        case .jsonPretty: try standardOutput.append(prettyJSON(status) + [UInt8(ascii: "\n")])
        case .json, .csv: try standardOutput.append(status + [UInt8(ascii: "\n")])
        }
        try standardOutput.flush()
    }
}
