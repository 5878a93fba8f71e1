import Foundation
import Logging
import Testing

@testable import EbeeDaemon

private func parse(_ text: String) throws -> Configuration { try Configuration(parsing: text, file: "f.toml") }

private func error(_ text: String) -> String? {
    do {
        _ = try parse(text)
        return nil
    } catch {
        return "\(error)"
    }
}

/// A key with an integer, its range, and where it goes.
struct IntegerKey: Sendable, CustomTestStringConvertible {
    let section: String
    let key: String
    let range: ClosedRange<Int>
    let read: @Sendable (Configuration) -> Int
    var isPowerOfTwo = false

    var testDescription: String { "\(section).\(key)" }
    var allowed: String {
        "\(isPowerOfTwo ? "a power of two" : "an integer") from \(range.lowerBound) to \(range.upperBound)"
    }

    func text(_ value: String) -> String { "# first line\n[\(section)]\n\(key) = \(value)\n" }
}

@Suite struct ConfigurationTests {
    static let integers = [
        IntegerKey(section: "exec", key: "window_bytes", range: 1_048_576...4_294_967_296) { $0.exec.windowBytes },
        IntegerKey(section: "exec", key: "window_seconds", range: 60...604_800) { $0.exec.windowSeconds },
        IntegerKey(
            section: "exec", key: "ring_bytes", range: 65_536...1_073_741_824, read: { $0.exec.ringBytes },
            isPowerOfTwo: true),
        IntegerKey(section: "exec", key: "argument_bytes", range: 256...32_768) { $0.argumentBytes },
        IntegerKey(section: "deletes", key: "window_bytes", range: 1_048_576...4_294_967_296) {
            $0.deletes.windowBytes
        },
        IntegerKey(section: "deletes", key: "window_seconds", range: 60...604_800) { $0.deletes.windowSeconds },
        IntegerKey(
            section: "deletes", key: "ring_bytes", range: 65_536...1_073_741_824, read: { $0.deletes.ringBytes },
            isPowerOfTwo: true),
        IntegerKey(section: "journal", key: "entries_per_second", range: 10...100_000) { $0.journalEntriesPerSecond },
        IntegerKey(section: "journal", key: "backlog", range: 100...1_000_000) { $0.journalBacklog },
        IntegerKey(section: "self_test", key: "quiet_seconds", range: 1...86_400) { $0.quietSeconds },
        IntegerKey(section: "server", key: "clients", range: 1...4096) { $0.clients },
        IntegerKey(section: "server", key: "clients_per_user", range: 1...4096) { $0.clientsPerUser },
        IntegerKey(section: "server", key: "idle_seconds", range: 1...86_400) { $0.idleSeconds },
        IntegerKey(section: "server", key: "stalled_seconds", range: 1...604_800) { $0.stalledSeconds },
        IntegerKey(section: "server", key: "requests", range: 1...64) { $0.requests },
        IntegerKey(section: "server", key: "request_bytes", range: 1024...1_048_576) { $0.requestBytes },
    ]

    @Test func defaults() throws {
        let configuration = try parse("")
        #expect(configuration == Configuration())
        for stream in [configuration.exec, configuration.deletes] {
            #expect(stream.record && stream.journal)
            #expect(stream.windowBytes == 67_108_864 && stream.windowSeconds == 3600)
        }
        #expect(configuration.exec.ringBytes == 2_097_152 && configuration.deletes.ringBytes == 4_194_304)
        #expect(configuration.argumentBytes == 16384)
        #expect(
            configuration.exec.failed && configuration.deletes.failed && configuration.deletes.calls32Bit
                && configuration.exec.calls32Bit)
        #expect(configuration.exec.hooks == nil && configuration.deletes.hooks == nil)
        #expect(configuration.journalBacklog == 10000)
        #expect(configuration.journalEntriesPerSecond == 300)
        #expect(configuration.quietSeconds == 300)
        #expect(configuration.socket == "/run/ebee/ebeed.sock" && configuration.group == "ebee")
        #expect(configuration.clients == 256 && configuration.requests == 8 && configuration.requestBytes == 65536)
        #expect(configuration.access == .own && configuration.clientsPerUser == 16)
        #expect(configuration.idleSeconds == 60 && configuration.stalledSeconds == 3600)
        #expect(configuration.logLevel == .info)
    }

    @Test func access() throws {
        #expect(try parse("[server]\naccess = \"group\"").access == .group)
        #expect(try parse("[server]\naccess = \"own\"").access == .own)
        for value in ["\"all\"", "true", "\"\""] {
            #expect(
                error("[server]\naccess = \(value)") == "f.toml:2: server.access: must be one of \"own\", \"group\"")
        }
    }

    @Test(arguments: integers)
    func rangeEdges(key: IntegerKey) throws {
        #expect(try key.read(parse(key.text("\(key.range.lowerBound)"))) == key.range.lowerBound)
        #expect(try key.read(parse(key.text("\(key.range.upperBound)"))) == key.range.upperBound)
        let refused = "f.toml:3: \(key.section).\(key.key): must be \(key.allowed)"
        for value in [
            "\(key.range.lowerBound - 1)", "\(key.range.upperBound + 1)", "-1", "0", "\(Int.max)", "\"1024\"", "1024.0",
            "true", "[1024]",
        ] {
            #expect(error(key.text(value)) == refused, "\(value)")
        }
        if key.isPowerOfTwo { #expect(error(key.text("100000")) == refused) }
    }

    @Test(arguments: [
        ("exec", "record"), ("exec", "journal"), ("exec", "failed"), ("deletes", "record"), ("deletes", "journal"),
        ("deletes", "failed"), ("deletes", "calls_32_bit"), ("exec", "calls_32_bit"),
    ])
    func booleans(section: String, key: String) throws {
        #expect(try parse("[\(section)]\n\(key) = false") != Configuration())
        #expect(try parse("[\(section)]\n\(key) = true") == Configuration())
        for value in ["1", "\"true\"", "[]"] {
            #expect(error("[\(section)]\n\n\(key) = \(value)") == "f.toml:3: \(section).\(key): must be true or false")
        }
    }

    @Test func eachBooleanGoesToItsPlace() throws {
        #expect(try parse("[exec]\nrecord = false").exec.record == false)
        #expect(try parse("[exec]\njournal = false").exec.journal == false)
        #expect(try parse("[deletes]\nrecord = false").deletes.record == false)
        #expect(try parse("[deletes]\njournal = false").deletes.journal == false)
        #expect(try parse("[deletes]\nfailed = false").deletes.failed == false)
        #expect(try parse("[exec]\nfailed = false").deletes.failed)
        #expect(try parse("[exec]\nfailed = false").exec.failed == false)
        #expect(try parse("[deletes]\nfailed = false").exec.failed)
        #expect(try parse("[deletes]\ncalls_32_bit = false").deletes.calls32Bit == false)
        #expect(try parse("[exec]\ncalls_32_bit = false").exec.calls32Bit == false)
    }

    @Test(arguments: [
        ("exec", ["tp_btf", "raw_tp", "kprobe", "tp"]), ("deletes", ["fentry", "kprobe", "syscalls"]),
    ])
    func hooks(section: String, names: [String]) throws {
        func hooks(_ value: String) throws -> (of: String?, other: String?) {
            let read = try parse("[\(section)]\nhooks = \(value)")
            return section == "exec" ? (read.exec.hooks, read.deletes.hooks) : (read.deletes.hooks, read.exec.hooks)
        }
        #expect(try parse("[\(section)]\nhooks = \"auto\"") == Configuration())
        for name in names {
            let read = try hooks("\"\(name)\"")
            #expect(read.of == name && read.other == nil)
        }
        let allowed = (["auto"] + names).map { "\"\($0)\"" }.joined(separator: ", ")
        let others = section == "exec" ? ["fentry", "syscalls"] : ["tp_btf", "tp"]
        for value in others.map({ "\"\($0)\"" }) + ["\"\"", "\"Auto\"", "\"none\"", "true", "1", "[\"\(names[0])\"]"] {
            #expect(
                error("[\(section)]\n\nhooks = \(value)") == "f.toml:3: \(section).hooks: must be one of \(allowed)",
                "\(value)")
        }
    }

    /// What the kernel was told when the programs were loaded stays; each key is named as the file has it.
    @Test(
        arguments: [
            ("[exec]\nhooks = \"tp\"", ["exec.hooks"]), ("[deletes]\nhooks = \"syscalls\"", ["deletes.hooks"]),
            ("[exec]\nhooks = \"auto\"", []), ("[exec]\nfailed = false", ["exec.failed"]),
            ("[deletes]\nfailed = false", ["deletes.failed"]),
            ("[deletes]\ncalls_32_bit = false", ["deletes.calls_32_bit"]),
            ("[exec]\ncalls_32_bit = false", ["exec.calls_32_bit"]),
            (
                "[exec]\nfailed = false\nhooks = \"tp\"\n[deletes]\nfailed = false\nhooks = \"kprobe\"\ncalls_32_bit = false",
                ["exec.failed", "exec.hooks", "deletes.failed", "deletes.calls_32_bit", "deletes.hooks"]
            ),
            ("[exec]\njournal = false\n[deletes]\njournal = false\n[log]\nlevel = \"debug\"", []),
        ] as [(String, [String])])
    func keysThatNeedARestart(text: String, keys: [String]) throws {
        let (old, new) = (Configuration(), try parse(text))
        #expect(new.needingRestart(from: old) == keys)
        #expect(old.needingRestart(from: new) == keys)
        #expect(new.needingRestart(from: new) == [])
    }

    @Test func strings() throws {
        let longest = "/" + String(repeating: "x", count: 106)
        #expect(try parse("[server]\nsocket = \"\(longest)\"").socket == longest)
        #expect(try parse("[server]\ngroup = \"adm\"").group == "adm")
        for value in ["\"\(longest)y\"", "\"relative\"", "\"\"", "1"] {
            #expect(
                error("[server]\nsocket = \(value)")
                    == "f.toml:2: server.socket: must be an absolute path of at most 107 bytes")
        }
        #expect(error("[server]\ngroup = \"\"") == "f.toml:2: server.group: must be the name of a group")
    }

    @Test func levels() throws {
        for level in Logger.Level.allCases { #expect(try parse("[log]\nlevel = \"\(level)\"").logLevel == level) }
        #expect(
            error("[log]\nlevel = \"loud\"")
                == "f.toml:2: log.level: must be one of \"trace\", \"debug\", \"info\", \"notice\", \"warning\", \"error\", \"critical\""
        )
    }

    @Test(arguments: [
        (
            "[exec]\n\nwindow = 1",
            "f.toml:3: exec.window: no such key; [exec] has argument_bytes, calls_32_bit, failed, hooks, journal, record, redact, ring_bytes, window_bytes, window_seconds"
        ),
        (
            "\n[files]\nx = 1",
            "f.toml:2: no section [files]; there are [deletes] [exec] [handover] [journal] [log] [self_test] [server]"
        ),
        (
            "record = true",
            "f.toml:1: no section [record]; there are [deletes] [exec] [handover] [journal] [log] [self_test] [server]"
        ),
        ("[handover]\npin = \"x\"", "f.toml:2: handover.pin: must be an absolute path, or \"\""),
        ("# x\nexec = 1", "f.toml:2: exec is a section: write [exec]"),
        ("# x\nexec.record = 1", "f.toml:2: exec.record: must be true or false"),
        ("# [exec]\n[ exec ]\n  \"record\" = 1", "f.toml:3: exec.record: must be true or false"),
        ("[deletes]\nrecord = true\n[exec]\nrecord = 1", "f.toml:4: exec.record: must be true or false"),
        ("\n\n[exec.record]\nx = 1", "f.toml:3: exec.record: must be true or false"),
        ("\n\nexec = { record = 1 }", "f.toml:3: exec.record: must be true or false"),
        ("\n\n[[exec]]\nrecord = true", "f.toml:3: exec is a section: write [exec]"),
    ])
    func errorsNameFileLineAndKey(text: String, expected: String) { #expect(error(text) == expected) }

    @Test(arguments: [("[exec]\nrecord = \n", 2), ("\n\n[exec\n", 3), ("[exec]\nrecord = true\nrecord = true", 3)])
    func whatIsNoTOML(text: String, line: Int) {
        #expect(error(text)?.hasPrefix("f.toml:\(line): ") == true, "\(error(text) ?? "accepted")")
    }

    /// The shipped file can't go stale: what it shows as defaults are the defaults, and it shows every key.
    @Test func shippedFile() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../config/ebeed.toml").path
        let shipped = try String(contentsOfFile: path, encoding: .utf8)
        #expect(try parse(shipped) == Configuration())
        // A comment with a space behind the # is prose.
        let uncommented = shipped.split(separator: "\n", omittingEmptySubsequences: false).map {
            $0.hasPrefix("#") && !$0.hasPrefix("# ") && $0.contains(" = ") ? $0.dropFirst() : $0
        }
        #expect(try parse(uncommented.joined(separator: "\n")) == Configuration())

        var shown: [String: Set<String>] = [:]
        var section = ""
        for line in uncommented {
            if line.hasPrefix("[") { section = String(line.dropFirst().dropLast()) }
            if !line.hasPrefix("#"), let key = line.split(separator: " ").first, line.contains(" = ") {
                let isNew = shown[section, default: []].insert(String(key)).inserted
                #expect(isNew, "\(section).\(key) twice")
            }
        }
        // The error for a key that there is not tells every key that there is.
        for section in ["exec", "deletes", "journal", "handover", "self_test", "server", "log"] {
            let message = try #require(error("[\(section)]\nx = 1"))
            let keys = try #require(message.components(separatedBy: " has ").last).components(separatedBy: ", ")
            #expect(shown[section] == Set(keys))
        }
        #expect(Set(shown.keys) == ["exec", "deletes", "journal", "handover", "self_test", "server", "log"])
    }
}
