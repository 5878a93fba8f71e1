import EbeeProtocol
import Glibc

/// An ebeed of our own, and the questions that it is asked.
final class Daemon {
    private let ebeectl: [UInt8]
    private let socket: [UInt8]
    private let log: [UInt8]
    private let child: Child

    /// - Parameters:
    ///   - act: starts it so that it ends with this process.
    ///   - hooks: the ones to use, by section of the configuration; without, the daemon chooses.
    init(ebeed: [UInt8], ebeectl: [UInt8], act: [UInt8], in place: [UInt8], hooks: [String: String]) throws {
        self.ebeectl = ebeectl
        socket = place / "ebeed.sock"
        log = place / "ebeed.log"
        let configuration = place / "ebeed.toml"
        let sections = ["exec", "deletes"].map { section in
            "[\(section)]\njournal = false\n" + (hooks[section].map { "hooks = \(JSON.quoted($0))\n" } ?? "")
        }
        try System.file(configuration, Array(sections.joined().utf8))
        let command = [ebeed, Array("--config".utf8), configuration, Array("--socket".utf8), socket]
        child = try Child([act] + ["with-parent", "exec"].map { Array($0.utf8) } + [ebeed] + command, file: log)
        do {
            // The verifier takes its time where processors are emulated.
            try wait("ebeed to answer", seconds: 180, pause: 20_000) { () -> JSON? in
                if let ending = try child.reap() { throw Failure("ebeed ended at once with \(ending)", 0) }
                guard unsafe access(cString(socket), F_OK) == 0 else { return nil }
                return try? status()
            }
        } catch {
            let said = String(decoding: ((try? System.content(log)) ?? []).suffix(4000), as: UTF8.self)
            throw Failure("\(error); it said: \(said)", 0)
        }
    }

    /// SIGTERM, and SIGKILL with the last reference to the child.
    func stop() {
        child.stop(SIGTERM)
        _ = try? wait("ebeed to stop", seconds: 20) { try child.reap() }
    }

    /// The lines that ebeectl prints.
    private func ask(_ words: String...) throws -> [JSON] {
        let asked = try Child([ebeectl] + (words + ["-o", "json", "--socket"]).map { Array($0.utf8) } + [socket])
        let ending = try asked.finish(seconds: 120)
        guard ending.code == 0 else {
            throw Failure("ebeectl \(words.joined(separator: " ")): \(ending) \(shown(asked.errors))", 0)
        }
        return try asked.output.split(separator: UInt8(ascii: "\n")).map { line in
            do { return try JSON(parsing: Array(line)) } catch {
                throw Failure("ebeectl's line is not JSON: \(error)", 0)
            }
        }
    }

    func status() throws -> JSON {
        guard let status = try ask("status").first else { throw Failure("ebeectl status prints nothing", 0) }
        return status
    }

    /// Everything that was recorded, failures too, once all that happened before this call is there.
    ///
    /// A ring keeps the order in which events were begun, so a deletion and an execution of our own that have arrived
    /// are behind all that came before them; the exit of what came before is known once a later one is.
    func everything(marker: [UInt8], act: [UInt8]) throws -> [Event] {
        try System.file(marker, [])
        let remover = try Child([act, Array("unlink".utf8), marker])
        guard try remover.finish().code == 0 else { throw Failure("can't delete \(shown(marker))", 0) }
        return try wait("ebeed to record \(shown(marker))", seconds: 60, pause: 50_000) {
            let deletions = try ask("recent", "deletes", "--failed").map(Event.init)
            guard deletions.contains(where: { $0.path == marker }) else { return nil }
            let executions = try ask("recent", "exec", "--failed").map(Event.init)
            let hasEnded = executions.contains { $0.pid == Int64(remover.pid) && $0["process", "exit_code"] != nil }
            return hasEnded ? deletions + executions : nil
        }
    }
}

/// What the daemon says of itself.
struct Status {
    let json: JSON

    /// Of `exec` or `deletes`: the hook in use.
    func rung(_ stream: String) -> String? { self.stream(stream)?["rung"]?.string }

    /// The sentences about what it can't see.
    func limits(_ stream: String) -> [String] { self.stream(stream)?["cannot_see"]?.array?.compactMap(\.string) ?? [] }

    private func stream(_ name: String) -> JSON? { json["streams"]?.array?.first { $0["stream"]?.string == name } }
}

/// One event as ebeectl printed it.
struct Event {
    let json: JSON

    init(_ json: JSON) { self.json = json }

    /// The member at the end of a path of keys.
    subscript(_ keys: String...) -> JSON? { keys.reduce(json) { $0?[$1] } }

    var kind: String { json["event"]?.string ?? "?" }
    var pid: Int64? { self["process", "pid"]?.integer }
    var tid: Int64? { self["process", "tid"]?.integer }
    var path: [UInt8]? { bytes(json["file"], "path") }
    var replacedBy: [UInt8]? { bytes(json, "replaced_by") }
    var result: String { json["result"]?.string ?? "success" }

    /// A text's bytes, whether they are UTF-8 or not.
    func bytes(_ object: JSON?, _ key: String) -> [UInt8]? {
        if let raw = object?[key + "_raw"]?.string { return [UInt8](base64: raw) }
        return object?[key]?.string.map { Array($0.utf8) }
    }

    var arguments: [[UInt8]]? {
        let process = json["process"]
        if let raw = process?["args_raw"]?.array { return raw.map { $0.string.flatMap { [UInt8](base64: $0) } ?? [] } }
        return process?["args"]?.array?.map { Array(($0.string ?? "").utf8) }
    }

    /// In a few words.
    var summary: String {
        if kind == "delete" {
            return "\(json["how"]?.string ?? "?") \(shown(path ?? [])) (\(result)) by process \(pid ?? 0)"
        }
        return "\(kind) of \(shown(bytes(json["process"], "executable") ?? [])) (\(result)) by process \(pid ?? 0)"
    }
}
