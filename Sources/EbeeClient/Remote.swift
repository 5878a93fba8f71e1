import ArgumentParser

/// Another machine, asked through its own ebeectl over ssh.
struct Remote: ExpressibleByArgument {
    let host: String

    /// A host that ssh can't take for an option: neither as a whole nor behind `user@`.
    init?(argument: String) {
        let host = argument.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        guard !argument.hasPrefix("-"), !argument.hasPrefix("@"), !host.isEmpty, !host.hasPrefix("-"),
            argument.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7f })
        else { return nil }
        self.host = argument
    }

    /// The arguments of ssh that run ebeectl there. Its shell takes the words apart again, so each is quoted.
    func sshArguments(_ arguments: [String], isInteractive: Bool) -> [String] {
        // With a terminal there, ebeectl knows its width, and Ctrl-C reaches it. ssh then would say goodbye.
        let terminal = isInteractive ? ["-t", "-o", "LogLevel=ERROR"] : []
        let command = (["ebeectl"] + arguments).map(ShellQuoting.posix).joined(separator: " ")
        return terminal + ["--", host, command]
    }

    /// Becomes ssh, which then also is who exits.
    func ask(_ arguments: [String]) throws(ClientFailure) -> Never {
        let isInteractive = [0, 1, 2].allSatisfy { Terminal.isTerminal($0) }
        let code = become("ssh", arguments: sshArguments(arguments, isInteractive: isInteractive))
        throw ClientFailure(message: "can't run ssh: \(describe(errno: code))")
    }
}
