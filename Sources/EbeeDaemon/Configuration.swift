import EbeeKernel
import EbeeProtocol
import EbeeServer
import Logging
import EbeeWindow
import TOMLKit

/// What an administrator can set: every key with its default; ranges are in `Schema`.
public struct Configuration: Sendable, Equatable {
    /// A stream: `exec` or `deletes`.
    public struct Stream: Sendable, Equatable {
        /// Whether it is recorded at all.
        public var record = true
        /// Whether it goes to the journal.
        public var journal = true
        /// Memory of the window, in bytes.
        public var windowBytes = 64 << 20
        /// Age at which a record is given up, in seconds.
        public var windowSeconds = 3600
        /// Memory between kernel and daemon, in bytes: a power of two.
        public var ringBytes = 2 << 20
        /// What fails is recorded too.
        public var failed = true
        /// What 32-bit system calls do is recorded too where that slows all system calls.
        public var calls32Bit = true
        /// The only rung to use, by its name; nil: the best that the kernel takes.
        public var hooks: String?
    }

    /// Executions.
    public var exec = Stream()
    /// Deletions.
    public var deletes = Self.deletesDefault
    /// Bytes of arguments kept of each execution.
    public var argumentBytes = 16384
    /// What is hidden of arguments before anything keeps them.
    public var redaction = Redaction.nothing
    /// Entries that are written to the journal in the long run.
    public var journalEntriesPerSecond = 300
    /// Entries that are written at once after a quiet time, and events that may wait, before they are folded.
    public var journalBacklog = 10000
    /// How long a stream may be without an event before it is tested.
    public var quietSeconds = 300
    /// The directory of a BPF filesystem in which what outlives ebeed is pinned, where no service manager keeps it; nil: nothing is.
    public var pin: String?
    /// Where the socket is.
    public var socket = Defaults.socketPath
    /// What those see who are neither root nor in the group.
    public var access = Access.Others.own
    /// Whose members see everything, besides root.
    public var group = Defaults.group
    /// Connections at one time.
    public var clients = 256
    /// Of these, by one user who sees only their own events.
    public var clientsPerUser = 16
    /// Requests under way on one connection.
    public var requests = 8
    /// Longest request line, in bytes.
    public var requestBytes = Limits.requestBytes
    /// How long a connection may be without a request under way.
    public var idleSeconds = 60
    /// How long a client may take nothing of its answers.
    public var stalledSeconds = 3600
    /// The least that is worth a line of the log.
    public var logLevel = Logger.Level.info

    /// Deletions come ten times as fast as executions, and in storms.
    private static var deletesDefault: Stream {
        var stream = Stream()
        stream.ringBytes = 4 << 20
        return stream
    }

    /// The defaults.
    public init() {}
}

/// What is wrong with a configuration: file, line, key and what is allowed. Exit code 78.
public struct ConfigurationError: Error, CustomStringConvertible, Equatable {
    /// One sentence for people.
    public let description: String

    /// - Parameter description: it may quote what is in the file, which must neither move the cursor nor break the line.
    init(description: String) {
        self.description = String(
            String.UnicodeScalarView(
                description.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator: "\u{fffd}"
                    default: scalar
                    }
                }))
    }
}

extension Configuration {
    /// Reads a configuration's text, which `TOMLTrial` has tried.
    /// - Parameter file: its name, for errors.
    public init(parsing text: String, file: String) throws(ConfigurationError) {
        self.init()
        let table: TOMLTable
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw ConfigurationError(description: "\(file):\(error.source.begin.line): \(error.description)")
        } catch {
            throw ConfigurationError(description: "\(file): \(error)")
        }
        let locator = LineLocator(text)
        let sections = Schema.sections
        for section in table.keys.sorted() {
            guard let schema = sections[section] else {
                throw ConfigurationError(
                    description: "\(file):\(locator.line(section: section, key: nil)): no section [\(section)]; "
                        + "there are \(sections.keys.sorted().map { "[\($0)]" }.joined(separator: " "))")
            }
            guard let keys = table[section]?.table else {
                throw ConfigurationError(
                    description:
                        "\(file):\(locator.line(section: "", key: section)): \(section) is a section: write [\(section)]"
                )
            }
            for key in keys.keys.sorted() {
                let place = "\(file):\(locator.line(section: section, key: key)): \(section).\(key)"
                guard let setting = schema[key] else {
                    throw ConfigurationError(
                        description:
                            "\(place): no such key; [\(section)] has \(schema.keys.sorted().joined(separator: ", "))")
                }
                guard let value = keys[key] else { continue }
                if let allowed = setting.apply(value, &self) {
                    throw ConfigurationError(description: "\(place): must be \(allowed)")
                }
            }
        }
    }
}

/// A key's type and range, and where its value goes.
private struct Setting {
    /// Stores the value; returns what is allowed when it isn't that.
    let apply: (any TOMLValueConvertible, inout Configuration) -> String?

    static func bool(_ path: WritableKeyPath<Configuration, Bool>) -> Setting {
        Setting { value, configuration in
            guard let bool = value.bool else { return "true or false" }
            configuration[keyPath: path] = bool
            return nil
        }
    }

    static func integer(
        _ path: WritableKeyPath<Configuration, Int>, _ range: ClosedRange<Int>, powerOfTwo: Bool = false
    ) -> Setting {
        Setting { value, configuration in
            let allowed =
                "\(powerOfTwo ? "a power of two" : "an integer") from \(range.lowerBound) to \(range.upperBound)"
            guard let integer = value.int, range.contains(integer), !powerOfTwo || integer.nonzeroBitCount == 1 else {
                return allowed
            }
            configuration[keyPath: path] = integer
            return nil
        }
    }

    static func string(
        _ path: WritableKeyPath<Configuration, String>, _ allowed: String, _ isValid: @escaping (String) -> Bool
    ) -> Setting {
        Setting { value, configuration in
            guard let string = value.string, isValid(string) else { return allowed }
            configuration[keyPath: path] = string
            return nil
        }
    }
}

/// Every key there is.
private enum Schema {
    static var sections: [String: [String: Setting]] {
        [
            "exec": stream(\.exec, .exec).merging(
                ["argument_bytes": .integer(\.argumentBytes, 256...32768), "redact": redact]) { $1 },
            "deletes": stream(\.deletes, .deletes),
            "journal": [
                "entries_per_second": .integer(\.journalEntriesPerSecond, 10...100_000),
                "backlog": .integer(\.journalBacklog, 100...1_000_000),
            ],
            "self_test": ["quiet_seconds": .integer(\.quietSeconds, 1...86_400)],
            "handover": ["pin": pin],
            "server": [
                // sun_path holds 108 bytes with its NUL (unix(7)).
                "socket": .string(\.socket, "an absolute path of at most 107 bytes") {
                    $0.hasPrefix("/") && $0.utf8.count <= 107 && !$0.utf8.contains(0)
                },
                "group": .string(\.group, "the name of a group") { !$0.isEmpty && !$0.utf8.contains(0) },
                "access": access,
                "clients": .integer(\.clients, 1...4096),
                "clients_per_user": .integer(\.clientsPerUser, 1...4096),
                "requests": .integer(\.requests, 1...64),
                "request_bytes": .integer(\.requestBytes, 1024...1_048_576),
                "idle_seconds": .integer(\.idleSeconds, 1...86_400),
                "stalled_seconds": .integer(\.stalledSeconds, 1...604_800),
            ],
            "log": ["level": level],
        ]
    }

    private static var redact: Setting {
        Setting { value, configuration in
            guard let array = value.array else { return "an array of patterns, each in quotes" }
            var patterns: [String] = []
            for value in array {
                guard let pattern = value.string else { return "an array of patterns, each in quotes" }
                patterns.append(pattern)
            }
            do throws(RedactionError) {
                configuration.redaction = try Redaction(patterns)
                return nil
            } catch {
                return error.expected
            }
        }
    }

    private static var pin: Setting {
        Setting { value, configuration in
            // PATH_MAX, with room for the longest name below it.
            guard let path = value.string, path.isEmpty || path.hasPrefix("/"), path.utf8.count <= 3800,
                !path.utf8.contains(0)
            else { return "an absolute path, or \"\"" }
            configuration.pin = path.isEmpty ? nil : path
            return nil
        }
    }

    private static func stream(
        _ stream: WritableKeyPath<Configuration, Configuration.Stream>, _ recording: Recording
    ) -> [String: Setting] {
        let rungs = ["auto"] + recording.rungs.map(\.name)
        return [
            "record": .bool(stream.appending(path: \.record)),
            "journal": .bool(stream.appending(path: \.journal)),
            "window_bytes": .integer(stream.appending(path: \.windowBytes), 1 << 20...4 << 30),
            "window_seconds": .integer(stream.appending(path: \.windowSeconds), 60...604_800),
            "ring_bytes": .integer(stream.appending(path: \.ringBytes), 1 << 16...1 << 30, powerOfTwo: true),
            "failed": .bool(stream.appending(path: \.failed)),
            "calls_32_bit": .bool(stream.appending(path: \.calls32Bit)),
            "hooks": Setting { value, configuration in
                guard let name = value.string, rungs.contains(name) else {
                    return "one of " + rungs.map { "\"\($0)\"" }.joined(separator: ", ")
                }
                configuration[keyPath: stream].hooks = name == "auto" ? nil : name
                return nil
            },
        ]
    }

    private static var access: Setting {
        Setting { value, configuration in
            guard let others = value.string.flatMap({ Access.Others(rawValue: $0) }) else {
                return "one of " + Access.Others.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
            }
            configuration.access = others
            return nil
        }
    }

    private static var level: Setting {
        Setting { value, configuration in
            guard let level = value.string.flatMap({ Logger.Level(rawValue: $0) }) else {
                return "one of " + Logger.Level.allCases.map { "\"\($0)\"" }.joined(separator: ", ")
            }
            configuration.logLevel = level
            return nil
        }
    }
}

/// Finds the line that a key stands in; the TOML library knows lines only of what it can't parse.
private struct LineLocator {
    private let lines: [Substring]

    init(_ text: String) { lines = text.split(separator: "\n", omittingEmptySubsequences: false) }

    /// The line of a key, or of a section's head; of the section where the key is written in another way than `key = value`.
    func line(section: String, key: String?) -> Int {
        var current = ""
        var head = 1
        for (index, line) in lines.enumerated() {
            let text = line.drop { $0 == " " || $0 == "\t" }
            if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
                current = Self.name(text[..<end].drop { $0 == "[" })
                if current == section || section.isEmpty && current == key { head = index + 1 }
                if current == section, key == nil { return index + 1 }
                if let key, current == "\(section).\(key)" { return index + 1 }
            } else if let equals = text.firstIndex(of: "=") {
                let name = Self.name(text[..<equals])
                if let key, current == section, name == key { return index + 1 }
                if let key, current.isEmpty, name == "\(section).\(key)" { return index + 1 }
                if current.isEmpty, name == section { head = index + 1 }
                if key == nil, current.isEmpty, name == section { return index + 1 }
            }
        }
        return head
    }

    private static func name(_ text: Substring) -> String {
        text.filter { !" \t\"'".contains($0) }
    }
}
