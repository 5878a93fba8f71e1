import EbeeTrial
import Glibc

/// What can be measured.
enum Kind: String, CaseIterable, CustomStringConvertible {
    case ebeed, bpftrace, auditd

    var description: String { rawValue }

    /// Why it can't be had here; nil where it can.
    var reasonAgainst: String? {
        switch self {
        case .ebeed: nil
        case .bpftrace: find("bpftrace") == nil ? "not installed" : nil
        case .auditd: AuditDaemon.reasonAgainst
        }
    }

    /// Starts it, and waits until it sees events.
    func start(programs: String) throws -> Tool {
        switch self {
        case .ebeed: try Ebeed(programs)
        case .bpftrace: try BPFTrace()
        case .auditd: try AuditDaemon()
        }
    }
}

/// One that runs; it ends with the value.
protocol Tool: AnyObject {
    var pid: pid_t { get }
    /// How many events of a load it has by now.
    func count(_ stream: EbeeTrial.Stream, _ made: Made) throws -> Int64
    /// How many it says that it lost.
    func lost() throws -> Int64
}

extension Tool {
    /// Waits until it has nothing to do any more: it took at most a hundredth of the last half of a second.
    /// - Returns: the processor time that it took in all its life, in seconds.
    func settle() throws -> Double {
        var last = -Double.infinity
        return try wait("\(type(of: self)) to have nothing to do", seconds: 120, pause: 0.5) {
            let now = try processorTime(of: pid)
            defer { last = now }
            return now - last <= 0.01 ? now : nil
        }
    }
}

/// A program of this name, where administrators have theirs too.
func find(_ name: String) -> String? {
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"].map { "\($0)/\(name)" }
        .first { unsafe access($0, X_OK) == 0 }
}

/// What grep(1) finds in a file; nothing where it is not there yet.
private func grep(_ options: String, _ pattern: String, in path: String) throws -> String {
    guard unsafe access(path, F_OK) == 0 else { return "" }
    let place = try Place()
    let grep = try Child(["/bin/grep", options, pattern, path], output: place("out"))
    // 1 where there is nothing.
    guard try grep.finish(seconds: 60) < 2 else { throw Failure("grep failed on \(path)", 0) }
    return String(decoding: place.read("out"), as: UTF8.self)
}

/// How many lines of a file match.
func lines(of path: String, matching pattern: String) throws -> Int64 {
    try String(grep("-acE", pattern, in: path).prefix { $0 != "\n" }).asCount
}

/// Waits until a tool that writes what it sees to a file has seen what is deleted here.
private func awaitSight(of place: Place, by tool: Child, _ name: String, in file: String, matching pattern: String)
    throws
{
    try wait("\(name) to see an event", seconds: 60, pause: 0.2) {
        if let ending = try tool.ending() {
            throw Failure("\(name) ended with \(ending): \(String(decoding: place.read("err"), as: UTF8.self))", 0)
        }
        _ = unsafe unlink(place("none"))
        return try lines(of: place(file), matching: pattern) > 0 ? true : nil
    }
}

extension String {
    fileprivate var asCount: Int64 { Int64(self) ?? 0 }
}

final class Ebeed: Tool {
    let daemon: Daemon

    init(_ programs: String) throws { daemon = try Daemon("\(programs)/ebeed", configuration: "") }

    var pid: pid_t { daemon.pid }

    func count(_ stream: EbeeTrial.Stream, _ made: Made) throws -> Int64 {
        try daemon.rows(stream, made.filter(stream)).events
    }

    func lost() throws -> Int64 { try daemon.account().values.reduce(0) { $0 + $1.lost } }
}

final class BPFTrace: Tool {
    private let place: Place
    private let child: Child

    private static let script = """
        tracepoint:syscalls:sys_enter_unlink, tracepoint:syscalls:sys_enter_unlinkat
        { printf("D %d %s %s\\n", pid, comm, str(args->pathname)); }
        tracepoint:sched:sched_process_exec { printf("E %d %s %s\\n", pid, comm, str(args->filename)); }

        """

    init() throws {
        guard let bpftrace = find("bpftrace") else { throw Failure("there is no bpftrace", 0) }
        place = try Place(in: "/dev/shm")
        try place.write("events.bt", Self.script)
        child = try Child(
            [bpftrace, "-B", "line", place("events.bt")], output: place("events"), errors: place("err"))
        try awaitSight(of: place, by: child, "bpftrace", in: "events", matching: "^D \(getpid()) ")
    }

    deinit {
        child.signal(SIGINT)
        child.end(within: 20)
    }

    var pid: pid_t { child.pid }

    func count(_ stream: EbeeTrial.Stream, _ made: Made) throws -> Int64 {
        try lines(
            of: place("events"),
            matching: stream == .exec ? "^E [0-9]+ true /bin/true$" : "^D \(made.pid) .*/dev/shm/ebee-load-")
    }

    /// It tells as it goes: `Lost 1234 events`.
    func lost() throws -> Int64 {
        let said = try ["events", "err"].flatMap {
            try grep("-aohE", "^Lost [0-9]+ events", in: place($0)).split(separator: "\n")
        }
        return said.reduce(0) { $0 + String($1.split(separator: " ")[1]).asCount }
    }
}

final class AuditDaemon: Tool {
    private let place: Place
    private let child: Child
    private let control: String
    /// Since the machine booted.
    private let lostBefore: Int64
    /// Records that the kernel keeps for it, as it was.
    private let limitBefore: Int64

    /// It would be in the way of another one, and another one's rules in its.
    static var reasonAgainst: String? {
        guard let control = find("auditctl"), find("auditd") != nil else { return "not installed" }
        guard let status = try? said([control, "-s"]), let rules = try? said([control, "-l"]) else {
            return "this kernel has no audit, or it is not to be asked from here"
        }
        let isIdle = status.contains("enabled 0") && status.contains("pid 0") && rules.contains("No rules")
        return isIdle ? nil : "audit is in use on this machine"
    }

    private static func said(_ words: [String]) throws -> String {
        let place = try Place()
        let child = try Child(words, output: place("out"), errors: place("err"))
        guard child.end(within: 10) == 0 else { throw Failure("\(words.joined(separator: " ")) failed", 0) }
        return String(decoding: place.read("out"), as: UTF8.self)
    }

    init() throws {
        guard let daemon = find("auditd"), let control = find("auditctl") else { throw Failure("no auditd", 0) }
        self.control = control
        place = try Place(in: "/dev/shm")
        lostBefore = try Self.status(control, "lost")
        limitBefore = try Self.status(control, "backlog_limit")
        // As Debian has it, but for the file, and nothing that turns it over or stops it.
        try place.write(
            "auditd.conf",
            """
            local_events = yes
            write_logs = yes
            log_file = \(place("log"))
            log_format = ENRICHED
            flush = INCREMENTAL_ASYNC
            freq = 50
            num_logs = 0
            max_log_file = 4000
            max_log_file_action = IGNORE
            space_left = 2
            space_left_action = IGNORE
            admin_space_left = 1
            admin_space_left_action = IGNORE
            disk_full_action = IGNORE
            disk_error_action = IGNORE
            plugin_dir = \(place.path)

            """)
        child = try Child([daemon, "-n", "-c", place.path], output: place("out"), errors: place("err"))
        _ = try Self.said([control, "-b", "8192"])
        for calls in ["execve,execveat", "unlink,unlinkat,rmdir,rename,renameat,renameat2"] {
            _ = try Self.said([control, "-a", "always,exit", "-F", "arch=b64", "-S", calls, "-k", "ebee-bench"])
        }
        _ = try Self.said([control, "-e", "1"])
        try awaitSight(of: place, by: child, "auditd", in: "log", matching: "^type=SYSCALL .* pid=\(getpid()) ")
    }

    deinit {
        for words in [["-e", "0"], ["-D"], ["-b", "\(limitBefore)"]] { _ = try? Self.said([control] + words) }
        child.signal(SIGTERM)
        child.end(within: 20)
    }

    var pid: pid_t { child.pid }

    /// 59 is execve, 87 unlink.
    func count(_ stream: EbeeTrial.Stream, _ made: Made) throws -> Int64 {
        try lines(
            of: place("log"),
            matching: stream == .exec
                ? "^type=SYSCALL .* syscall=59 success=yes .* ppid=\(made.pid) "
                : "^type=SYSCALL .* syscall=87 success=yes .* pid=\(made.pid) ")
    }

    func lost() throws -> Int64 { try Self.status(control, "lost") - lostBefore }

    /// A number of `auditctl -s`.
    private static func status(_ control: String, _ name: String) throws -> Int64 {
        let line = try said([control, "-s"]).split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.map { String($0.dropFirst(name.count + 1)).asCount } ?? 0
    }
}
