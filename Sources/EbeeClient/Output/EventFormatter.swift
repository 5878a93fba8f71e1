import ArgumentParser
import EbeeProtocol

/// Turns events and loss marks into what is written to standard output.
protocol EventFormatter {
    /// What comes first, even where there is no event.
    mutating func header() -> String
    /// One event or loss mark, an object without `id`; ends with a newline.
    mutating func format(_ event: ArraySlice<UInt8>) throws(ClientFailure) -> ArraySlice<UInt8>
}

/// The names of the formats.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json
    case jsonPretty = "json-pretty"
    case csv
}

/// When to use colours.
enum ColourMode: String, ExpressibleByArgument, CaseIterable {
    case auto, always, never

    /// True where they are wanted, see no-color.org.
    var isOn: Bool {
        switch self {
        case .always: true
        case .never: false
        case .auto:
            Terminal.isTerminal(1) && (environmentVariable("NO_COLOR") ?? "").isEmpty
                && environmentVariable("TERM") != "dumb"
        }
    }
}
