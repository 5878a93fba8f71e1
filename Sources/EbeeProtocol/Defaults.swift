/// Where things are, and what both sides assume without being told.
public enum Defaults {
    /// The socket that the daemon listens on.
    public static let socketPath = "/run/ebee/ebeed.sock"
    /// The environment variable that names another socket.
    public static let socketVariable = "EBEE_SOCKET"
    /// The group whose members see everything.
    public static let group = "ebee"
    /// The version of daemon and client, which are released together.
    public static let version = "0.1.0"
}

/// How much somebody sees.
public enum Scope: String, Sendable {
    /// Everything: root, and the members of the daemon's group.
    case all
    /// The events of processes that ran as them, and nothing else, not even counts.
    case own
}

/// The bounds of the protocol. Everything a peer can make grow has one.
public enum Limits {
    /// The longest request line, without its newline (`server.request_bytes`).
    public static let requestBytes = 64 * 1024
    /// The longest reply line, without its newline.
    public static let replyBytes = 1024 * 1024
    /// The longest `id` that is a string, in bytes of UTF-8.
    public static let idBytes = 64
    /// How many values each list of a filter may have: every one may be compared with every event.
    public static let filterValues = 256
    /// How many bytes the globs of a filter may hold between their first and last stars, all together: each may be compared
    /// with each byte of each event's path.
    public static let floatingGlobBytes = 512
    /// How far from now a relative time may be, in nanoseconds: 146 years, so that adding it to any present time
    /// can't overflow.
    public static let relativeNanoseconds: Int64 = 1 << 62
    /// How deep JSON may be nested. Events need five levels; the parser recurses, so this also bounds its stack.
    public static let jsonDepth = 32
}
