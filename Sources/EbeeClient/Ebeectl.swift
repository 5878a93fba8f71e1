import ArgumentParser
import Dispatch
import EbeeProtocol

/// The command `ebeectl`.
public struct Ebeectl: AsyncParsableCommand {
    /// Its name, help and verbs.
    public static let configuration = CommandConfiguration(
        commandName: "ebeectl",
        abstract: "Ask ebeed what ran and what was deleted on this machine.",
        discussion: """
            EXAMPLES
              ebeectl recent deletes --since 5m   what was deleted just now, by whom
              ebeectl tail exec                   what is running right now
              ebeectl status                      how far back the record goes
            """,
        version: Defaults.version,
        subcommands: [TailVerb.self, RecentVerb.self, StatusVerb.self])

    /// For the argument parser.
    public init() {}

    /// Runs the command that the arguments ask for, and exits: 0, 1 where nothing can be asked, 3 where an answer had
    /// to be complete and isn't, 64 for wrong usage.
    public static func runAndExit() -> Never {
        // Before anything asynchronous, whose own descriptors would take the place of a standard stream.
        openMissingStandardStreams()
        Task { await answer() }
        dispatchMain()
    }

    private static func answer() async -> Never {
        do {
            var command = try parseAsRoot(verbFirst(Array(CommandLine.arguments.dropFirst())))
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                // --help and the like
                try command.run()
            }
            exit(withError: nil)
        } catch let failure as ClientFailure {
            tell("ebeectl: \(failure.message)")
            exit(withError: ExitCode(failure.exitCode))
        } catch StandardOutput.Failure.closed {
            // Who reads no further has seen enough.
            exit(withError: nil)
        } catch StandardOutput.Failure.failed(let code) {
            tell("ebeectl: can't write to standard output: \(describe(errno: code))")
            exit(withError: ExitCode(1))
        } catch {
            exit(withError: error)
        }
    }

    /// Moves `-H HOST` and `--socket PATH` from before the verb to behind it, where the parser wants them: people write
    /// them in either place.
    static func verbFirst(_ arguments: [String]) -> [String] {
        var rest = arguments[...]
        var moved: [String] = []
        while let option = rest.first {
            if ["-H", "--host", "--socket"].contains(option), rest.count >= 2 {
                moved += rest.prefix(2)
                rest = rest.dropFirst(2)
            } else if option.hasPrefix("-H") || option.hasPrefix("--host=") || option.hasPrefix("--socket=") {
                moved.append(option)
                rest = rest.dropFirst()
            } else {
                break
            }
        }
        guard let verb = rest.first, !moved.isEmpty else { return arguments }
        return [verb] + moved + rest.dropFirst()
    }
}
