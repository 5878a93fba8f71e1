import ArgumentParser
import EbeeProtocol

/// Whom to ask.
struct ConnectionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The socket of the daemon (default: $\(Defaults.socketVariable), or \(Defaults.socketPath)).",
            valueName: "path"))
    var socket: String?

    @Option(name: [.customShort("H"), .long], help: "Ask another machine over ssh, by the ebeectl that it has.")
    var host: Remote?

    var daemon: Daemon {
        let path = socket ?? environmentVariable(Defaults.socketVariable) ?? ""
        return Daemon(socketPath: path.isEmpty ? Defaults.socketPath : path)
    }

    /// Where another machine was named, hands the question over to it and doesn't return.
    func askElsewhere(_ verb: String, _ arguments: [String]) throws(ClientFailure) {
        guard let host else { return }
        try host.ask([verb] + (socket.map { ["--socket=\($0)"] } ?? []) + arguments)
    }
}
