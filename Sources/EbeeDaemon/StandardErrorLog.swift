import Glibc
import Logging

/// Standard error, a line in one write, so that lines of several threads don't mix.
enum StandardError {
    /// In front of the line goes its priority where the journal reads it (sd-daemon(3)), otherwise the name of the program.
    static func write(_ line: String, _ level: Logger.Level) {
        var line = "\(isJournal ? "<\(priority(level))>" : "ebeed: ")\(line)\n"
        // There is nobody to tell that standard error is gone.
        _ = line.withUTF8 { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// What a service starts inherits the variable: the stream that it names, by device and inode, must be this one (systemd.exec(5)).
    private static let isJournal: Bool = {
        var status = stat()
        guard let stream = unsafe getenv("JOURNAL_STREAM"), unsafe fstat(STDERR_FILENO, &status) == 0 else {
            return false
        }
        return unsafe String(cString: stream) == "\(status.st_dev):\(status.st_ino)"
    }()

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

/// The daemon's own log: a line each to standard error.
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

    func log(event: LogEvent) {
        let details = event.metadata.map { $0.map { " \($0)=\($1)" }.joined() } ?? ""
        StandardError.write("\(event.message)\(details)", event.level)
    }
}
