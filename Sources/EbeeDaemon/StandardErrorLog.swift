import Glibc
import Logging

/// Standard error, a line in one write, so that lines of several threads don't mix.
enum StandardError {
    static func write(_ line: String) {
        var line = line
        // There is nobody to tell that standard error is gone.
        _ = line.withUTF8 { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

/// The daemon's own log: a line each to standard error, with the priority in front where the journal reads it (sd-daemon(3)).
struct StandardErrorLog: LogHandler {
    let level: @Sendable () -> Logger.Level
    var metadata: Logger.Metadata = [:]

    init(level: @escaping @Sendable () -> Logger.Level) { self.level = level }

    var logLevel: Logger.Level {
        get { level() }
        set {}
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    private static let isJournal = unsafe getenv("JOURNAL_STREAM") != nil

    func log(event: LogEvent) {
        let details = event.metadata.map { $0.map { " \($0)=\($1)" }.joined() } ?? ""
        let prefix = Self.isJournal ? "<\(Self.priority(event.level))>" : "ebeed: "
        StandardError.write("\(prefix)\(event.message)\(details)\n")
    }

    /// syslog's numbers.
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
