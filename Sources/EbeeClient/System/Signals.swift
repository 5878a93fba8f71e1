import Glibc

/// What signals do to a client.
enum Signals {
    /// A write to a closed pipe is an error to look at, not a signal to die of: how that ends is decided in one place.
    static func ignoreBrokenPipes() {
        _ = signal(SIGPIPE, SIG_IGN)
    }

    /// Restores the terminal's colour before dying of a signal, in case that comes in the middle of a row. The
    /// process still dies of the signal itself, so that the shell sees 130 for Ctrl-C.
    static func restoreColourWhenKilled() {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var old = sigaction()
            // Who started us may have chosen to ignore it (nohup).
            guard unsafe sigaction(number, nil, &old) == 0,
                unsafe unsafeBitCast(old.__sigaction_handler.sa_handler, to: Int.self) == 0
            else { continue }
            _ = signal(number) { number in
                // Only what is safe within a handler: no allocation, no lock.
                let reset: StaticString = "\u{1b}[0m"
                _ = unsafe write(STDOUT_FILENO, reset.utf8Start, reset.utf8CodeUnitCount)
                _ = signal(number, SIG_DFL)
                _ = kill(getpid(), number)
            }
        }
    }
}
