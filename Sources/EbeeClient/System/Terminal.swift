import Glibc

/// What is known about a stream that may be a terminal.
enum Terminal {
    /// True where the descriptor is a terminal.
    static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// The width of the terminal on standard output in cells; nil where it isn't one, and nothing need be cut.
    static func width() -> Int? {
        guard isTerminal(STDOUT_FILENO) else { return nil }
        if let columns = environmentVariable("COLUMNS").flatMap({ Int($0) }), 1...10_000 ~= columns { return columns }
        var size = winsize()
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
