import Foundation
import Glibc
import Testing

/// A journald of a test's own, in a namespace of mounts of its own: the machine's journal and whoever reads it are not
/// touched, and all of its files go with the namespace.
final class Journald {
    let namespace: MountNamespace
    private var process: Child?

    /// - Parameter storage: of its journal, and `bytes` of the filesystem that a persistent one is on.
    init(storage: String = "volatile", bytes: Int? = nil) throws {
        let size = bytes.map { "-o size=\($0)" } ?? ""
        namespace = try MountNamespace(
            """
            mkdir -p /run/systemd /run/log /var/log/journal
            mount -t tmpfs tmpfs /run/systemd; mkdir -p /run/systemd/journal /run/systemd/journald.conf.d
            mount -t tmpfs tmpfs /run/log; mkdir -p /run/log/journal
            mount -t tmpfs \(size) tmpfs /var/log/journal
            if ! grep -qs '^[0-9a-f]\\{32\\}$' /etc/machine-id; then
                printf '0123456789abcdef0123456789abcdef\\n' > /run/log/machine-id
                [ -e /etc/machine-id ] || : > /etc/machine-id
                mount --bind /run/log/machine-id /etc/machine-id
            fi
            cat > /run/systemd/journald.conf.d/ebee.conf <<'END'
            [Journal]
            Storage=\(storage)
            RateLimitIntervalSec=0
            RateLimitBurst=0
            ReadKMsg=no
            Audit=no
            RuntimeMaxUse=256M
            END
            """)
    }

    func start() throws {
        let path = Requirement.journaldPath ?? ""
        let process = try Child((namespace.enter + [path]).map { Array($0.utf8) }, output: .null, errors: .null)
        self.process = process
        // A leftover of the one before refuses.
        guard EbeeSystemTests.wait(seconds: 20, for: { Self.receives(socket) ? true : nil }) == true else {
            throw HarnessError("journald does not start: \(String(describing: try process.wait(seconds: 0)))")
        }
    }

    /// Where this test sees its socket.
    var socket: String { namespace.outside("/run/systemd/journal/socket") }

    func signal(_ number: Int32) { process?.signal(number) }

    /// Ends it in order: it writes what it has taken, and leaves its socket behind.
    func stop() throws {
        signal(SIGTERM)
        guard try process?.wait(seconds: 60) != nil else { throw HarnessError("journald does not end") }
    }

    private static func receives(_ path: String) -> Bool {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8.prefix(107)) }
        return unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    deinit {
        process?.signal(SIGCONT)
        process?.signal(SIGTERM)
        _ = try? process?.wait(seconds: 10)
    }

    /// Entries as journalctl prints them.
    func entries(_ matches: String...) throws -> [Value] { try entries(matches, fields: nil) }

    /// - Parameter fields: only these, where there are very many entries.
    func entries(_ matches: [String], fields: String?) throws -> [Value] {
        let command =
            namespace.enter + ["journalctl", "--quiet", "--no-pager", "--all", "-t", "ebeed"] + matches + [
                "-o", "json",
            ] + (fields.map { ["--output-fields=\($0)"] } ?? [])
        let finished = try EbeeSystemTests.run(command.map { Array($0.utf8) }, seconds: 120)
        guard finished.status == 0 || finished.output.isEmpty else {
            throw HarnessError("journalctl: \(finished.ending) \(finished.errorText)")
        }
        return try finished.output.split(separator: 10).map { try Value(parsing: $0) }
    }

    /// Entries below a directory, once there are as many as expected.
    func deletions(below directory: String, count: Int, _ matches: String...) throws -> [Value] {
        var found: [Value] = []
        _ = try EbeeSystemTests.wait(seconds: 20) { () -> Bool? in
            found = try entries("EBEE_EVENT=delete").filter { entry in
                matches.allSatisfy { match in
                    let parts = match.split(separator: "=", maxSplits: 1).map(String.init)
                    return entry[parts[0]] == .string(parts[1])
                } && entry.field("EBEE_PATH")?.starts(with: Array("\(directory)/".utf8)) == true
            }
            return found.count >= count ? true : nil
        }
        return found
    }
}

extension Value {
    /// A field of a journal entry: journalctl prints a string, or numbers where it isn't printable.
    func field(_ name: String) -> [UInt8]? {
        switch self[name] {
        case .string(let text): Array(text.utf8)
        case .array(let numbers): numbers.compactMap { $0.integer.flatMap { UInt8(exactly: $0) } }
        default: nil
        }
    }
}
