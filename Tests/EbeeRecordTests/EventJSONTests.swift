import CEvents
import EbeeProtocol
import EbeeTestSupport
import Foundation
import Testing

@testable import EbeeRecord

/// Events as product.md promises them: exactly these members, and none that isn't known.
@Suite struct EventJSONTests {
    private let cursor = EventCursor(stream: "e", window: 0xabc, position: 0x40)

    private func exec(_ fields: ProcessFields) throws -> NSDictionary {
        let bytes = fields.bytes
        let record = try decodeProcess(bytes)
        return try object { writer in unsafe writer.exec(record, bytes.span.bytes, cursor: cursor) }
    }

    private func delete(_ fields: DeleteFields, by process: StoredProcess? = nil) throws -> NSDictionary {
        let bytes = fields.bytes
        let record = try decodeDeletion(bytes)
        return try object { writer in unsafe writer.delete(record, bytes.span.bytes, by: process, cursor: cursor) }
    }

    private func object(_ write: (inout JSONWriter) -> Void) throws -> NSDictionary {
        var writer = JSONWriter()
        writer.beginObject()
        write(&writer)
        writer.endObject()
        return try #require(try JSONSerialization.jsonObject(with: Data(writer.bytes)) as? NSDictionary)
    }

    private func wall(_ boot: UInt64) -> String { RFC3339.format(Clock.wall(boot: boot)) }

    private func equals(_ read: NSDictionary, _ json: String, sourceLocation: SourceLocation = #_sourceLocation) throws
    {
        let expected = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? NSDictionary)
        #expect(read == expected, sourceLocation: sourceLocation)
    }

    private func process(of event: NSDictionary) throws -> [String: Any] {
        try #require(event["process"] as? [String: Any])
    }

    private let processJSON = """
        "name":"rm","executable":"/usr/bin/rm","args":["rm","-rf","x"],"args_count":3,
        "working_directory":"/srv/app","parent":{"pid":4000,"name":"make"},
        "ancestors":[{"pid":4000,"name":"make"},{"pid":900,"name":"sshd"}],
        "user":{"id":11},"effective_user":{"id":12},"group":{"id":13},"login_user":{"id":1000},"session_id":3,
        "tty":"pts0","cgroup":"/system.slice/ci.service","unit":"ci.service",
        "namespaces":{"pid":4026531836,"mnt":4026531841}
        """

    @Test func execution() throws {
        try equals(
            exec(ProcessFields()),
            """
            {"event":"exec","time":"\(wall(5_000_000_000))","cursor":"e-abc-40","process":{"pid":4312,"tid":4313,
             "start":"\(wall(4_999_000_000))",\(processJSON)}}
            """)
    }

    /// What was asked for stands where otherwise what runs does; the rest is the process as it still is.
    @Test func failedExecution() throws {
        try equals(
            exec(
                ProcessFields {
                    $0.fail("/usr/bin/rm", from: "/", errno: 13)
                }),
            """
            {"event":"exec","time":"\(wall(5_000_000_000))","cursor":"e-abc-40","result":"EACCES",
             "process":{"pid":4312,"tid":4313,"start":"\(wall(4_999_000_000))",\(processJSON)}}
            """)
    }

    @Test(
        arguments: [
            ("/usr/bin/tool", "/", "/usr/bin/tool"), ("tool", "/srv/app", "/srv/app/tool"),
            ("./tool", "/srv/app", "/srv/app/tool"), ("../tool", "/srv/app", "/srv/tool"),
            ("a//b/../tool", "/srv/app", "/srv/app/a/tool"), ("../../../..", "/srv/app", "/"),
            ("", "/srv/app", "/srv/app"),
            ("/opt/x/tool", "/new/root", "/new/root/opt/x/tool"), (" ", "/", "/ "),
        ])
    func failedExecutable(name: String, base: String, path: String) throws {
        let event = try exec(ProcessFields { $0.fail(name, from: base) })
        let read = try process(of: event)
        #expect(event["result"] as? String == "ENOENT")
        #expect(read["executable"] as? String == path)
        // In place of an interpreter the record has the name.
        for member in ["interpreter", "interpreter_raw", "executable_raw", "exit_code", "exit_signal", "duration_ns"] {
            #expect(read[member] == nil, "\(member)")
        }
    }

    @Test func failedExecutionOfWhatIsNotKnown() throws {
        let event = try exec(
            ProcessFields {
                $0.fail("tool", from: "/srv", errno: 14)
                $0.flags = $0.flags & ~EBEE_EXECUTABLE_KNOWN.rawValue | EBEE_ARGUMENTS_UNREAD.rawValue
                $0.executable = []
                $0.arguments = []
            })
        #expect(event["result"] as? String == "EFAULT")
        let read = try process(of: event)
        for member in ["executable", "interpreter", "args"] { #expect(read[member] == nil, "\(member)") }
    }

    @Test func failedExecutableThatIsCutOrNoText() throws {
        let read = try process(
            of: exec(
                ProcessFields {
                    $0.fail("", from: "/srv")
                    $0.interpreter = [0x61, 0xff]
                    $0.flags |= EBEE_EXECUTABLE_CUT.rawValue
                }))
        #expect(read["executable"] as? String == "/srv/a\u{fffd}")
        #expect(read["executable_raw"] as? String == "L3Nydi9h/w==")
        #expect(read["executable_truncated"] as? Bool == true)
    }

    /// Nothing is known: nothing is said.
    @Test func executionOfWhichLittleIsKnown() throws {
        let fields = ProcessFields {
            $0.flags = EBEE_NO_PARENT.rawValue | EBEE_ARGUMENTS_UNREAD.rawValue
            $0.ancestors = []
            $0.executable = []
            $0.directory = []
            $0.cgroup = []
            $0.arguments = []
            $0.tty = ""
            $0.loginUID = EBEE_NO_ID
            $0.sessionID = EBEE_NO_ID
        }
        try equals(
            exec(fields),
            """
            {"event":"exec","time":"\(wall(5_000_000_000))","cursor":"e-abc-40","process":{"pid":4312,"tid":4313,
             "start":"\(wall(4_999_000_000))","name":"rm","user":{"id":11},"effective_user":{"id":12},"group":{"id":13},
             "namespaces":{"pid":4026531836,"mnt":4026531841}}}
            """)
    }

    /// A path of no components is the root, where it is known.
    @Test func rootDirectory() throws {
        let read = try process(
            of: exec(
                ProcessFields {
                    $0.directory = []; $0.cgroup = []
                }))
        #expect(read["working_directory"] as? String == "/")
        #expect(read["cgroup"] as? String == "/")
        #expect(read["unit"] == nil)
    }

    @Test func cutArguments() throws {
        let read = try process(
            of: exec(
                ProcessFields {
                    $0.flags |= EBEE_ARGUMENTS_CUT.rawValue
                    $0.argumentsCount = 900
                }))
        #expect(read["args_truncated"] as? Bool == true)
        #expect(read["args_count"] as? Int == 900)
        #expect(read["args"] as? [String] == ["rm", "-rf", "x"])
    }

    @Test func cutPaths() throws {
        let cut = EBEE_EXECUTABLE_CUT.rawValue | EBEE_DIRECTORY_CUT.rawValue | EBEE_CGROUP_CUT.rawValue
        let read = try process(of: exec(ProcessFields { $0.flags |= cut }))
        for name in ["executable", "working_directory", "cgroup"] {
            #expect(read[name + "_truncated"] as? Bool == true)
        }
    }

    @Test func exitCode() throws {
        var fields = ProcessFields {
            $0.exitStatus = EBEE_EXITED | 3 << 8
            $0.exitDuration = 1_200_000
        }
        var read = try process(of: exec(fields))
        #expect(read["exit_code"] as? Int == 3)
        #expect(read["exit_signal"] == nil)
        #expect(read["duration_ns"] as? Int == 1_200_000)
        fields.exitStatus = EBEE_EXITED | 9
        read = try process(of: exec(fields))
        #expect(read["exit_code"] == nil)
        #expect(read["exit_signal"] as? Int == 9)
    }

    @Test func interpreterAndContainer() throws {
        let id = String(repeating: "ab", count: 32)
        let read = try process(
            of: exec(
                ProcessFields {
                    $0.flags |= EBEE_INTERPRETER_KNOWN.rawValue
                    $0.interpreter = Array("/bin/sh".utf8)
                    $0.cgroup = [UInt8](path: "/system.slice/docker-\(id).scope")
                }))
        #expect(read["interpreter"] as? String == "/bin/sh")
        #expect(read["container"] as? [String: String] == ["id": id])
    }

    @Test func bytesThatAreNoText() throws {
        let bytes: [UInt8] = [0x61, 0xff]
        let read = try process(
            of: exec(
                ProcessFields {
                    $0.arguments = Array("rm\0".utf8) + bytes + [0]
                    $0.executable = bytes + [0]
                    $0.directory = bytes + [0]
                }))
        #expect(read["args"] as? [String] == ["rm", "a\u{fffd}"])
        #expect(read["args_raw"] as? [String] == ["cm0=", "Yf8="])
        #expect(read["executable_raw"] as? String == "L2H/")
        #expect(read["working_directory"] as? String == "/a\u{fffd}")
        #expect(read["working_directory_raw"] as? String == "L2H/")
        #expect(read["name_raw"] == nil)
    }

    private let fileJSON = """
        "path":"/srv/app/x","type":"file","inode":12,"device":"254:7","size":4096,"mode":"0644","owner":21,"group":22,
        "links":2,"mtime":"2023-11-14T22:13:20.123456789Z","created":"2020-09-13T12:26:40.000000001Z"
        """

    @Test func deletion() throws {
        let deleter = try StoredProcess(
            ProcessFields {
                $0.kind = EBEE_PROCESS.rawValue
                $0.sequence = 0
                $0.tid = 1
            }.bytes)
        try equals(
            delete(DeleteFields(), by: deleter),
            """
            {"event":"delete","time":"\(wall(6_000_000_000))","cursor":"e-abc-40","how":"unlink","via":"syscall",
             "result":"success","file":{\(fileJSON)},"process":{"pid":4312,"tid":4313,
             "start":"\(wall(4_999_000_000))",\(processJSON)}}
            """)
    }

    /// Of a deleter that nothing more is known of.
    @Test func deletionBySomebody() throws {
        try equals(
            delete(
                DeleteFields {
                    $0.victimFlags = 0; $0.result = -13
                }),
            """
            {"event":"delete","time":"\(wall(6_000_000_000))","cursor":"e-abc-40","how":"unlink","via":"syscall",
             "result":"EACCES","file":{"path":"/srv/app/x"},"process":{"pid":4312,"tid":4313,
             "start":"\(wall(4_999_000_000))","name":"rm","user":{"id":11},"effective_user":{"id":12}}}
            """)
    }

    @Test func rename() throws {
        let read = try delete(
            DeleteFields {
                $0.how = EBEE_RENAME.rawValue
                $0.via = EBEE_IO_URING.rawValue
                $0.sourceBase = [UInt8](path: "/srv")
                $0.sourceName = Array("new".utf8)
                $0.flags = EBEE_SOURCE_BASE_CUT.rawValue
            })
        #expect(read["how"] as? String == "rename")
        #expect(read["via"] as? String == "io_uring")
        #expect(read["replaced_by"] as? String == "/srv/new")
        #expect(read["replaced_by_truncated"] as? Bool == true)
    }

    @Test func pathsThatWereCutOrAreNoText() throws {
        let read = try delete(
            DeleteFields {
                $0.flags = EBEE_BASE_CUT.rawValue
                $0.name = [0xfe]
                $0.victimFlags = 0
            })
        let file = try #require(read["file"] as? [String: Any])
        #expect(file["path_truncated"] as? Bool == true)
        #expect(file["path"] as? String == "/srv/app/\u{fffd}")
        #expect(file["path_raw"] as? String == "L3Nydi9hcHAv/g==")
        let unread = try delete(
            DeleteFields {
                $0.flags = EBEE_NAME_UNREAD.rawValue; $0.victimFlags = 0
            })
        #expect(unread["file"] as? [String: String] == [:])
    }

    @Test func whatIsNotKnownOfAFile() throws {
        let read = try delete(DeleteFields { $0.victimFlags = EBEE_VICTIM_KNOWN.rawValue })
        let file = try #require(read["file"] as? [String: Any])
        #expect(file["links"] == nil)
        #expect(file["created"] == nil)
        #expect(file["inode"] as? Int == 12)
        #expect(file["size"] as? Int == 4096)
    }

    /// A directory that the filesystem emptied before it was looked at.
    @Test func unknownSize() throws {
        let read = try delete(
            DeleteFields {
                $0.mode = 0o040755
                $0.size = 0
                $0.victimFlags |= EBEE_SIZE_UNKNOWN.rawValue
            })
        let file = try #require(read["file"] as? [String: Any])
        #expect(file["size"] == nil)
        #expect(file["type"] as? String == "directory")
        #expect(file["inode"] as? Int == 12 && file["links"] as? Int == 2)
    }

    /// A file may carry any time that its owner gives it (utimensat(2)); one that no RFC 3339 text of ours can tell
    /// is left out, and nothing crashes.
    @Test(arguments: [Int64.max, .min, 32_503_680_000, -62_135_596_800, 9_223_372_036, -9_223_372_038])
    func timesOutOfRange(seconds: Int64) throws {
        let read = try delete(
            DeleteFields {
                $0.mtime = (seconds, 999_999_999)
                $0.created = (seconds, 999_999_999)
            })
        let file = try #require(read["file"] as? [String: Any])
        #expect(file["mtime"] == nil)
        #expect(file["created"] == nil)
        #expect(file["inode"] as? Int == 12)
    }

    @Test(
        arguments: [
            (0o100644, "file", "0644"), (0o040755, "directory", "0755"), (0o120777, "symlink", "0777"),
            (0o010600, "fifo", "0600"), (0o140600, "socket", "0600"), (0o060660, "block_device", "0660"),
            (0o020666, "char_device", "0666"), (0o104755, "file", "4755"), (0o100000, "file", "0000"),
        ] as [(UInt32, String, String)])
    func modes(mode: UInt32, type: String, permissions: String) throws {
        let file = try #require(try delete(DeleteFields { $0.mode = mode })["file"] as? [String: Any])
        #expect(file["type"] as? String == type)
        #expect(file["mode"] as? String == permissions)
    }

    @Test(arguments: [(1, "ring_full"), (2, "missed"), (3, "evicted"), (4, "restart")] as [(UInt32, String)])
    func lost(why: UInt32, name: String) throws {
        var mark = ebee_lost()
        mark.count = 17
        mark.from = 1_000_000_000
        mark.to = 2_000_000_000
        mark.why = why
        try equals(
            object { $0.lost(mark, stream: "delete") },
            """
            {"event":"lost","stream":"delete",\(name == "restart" ? "" : "\"count\":17,")
             "from":"\(wall(1_000_000_000))","to":"\(wall(2_000_000_000))","why":"\(name)"}
            """)
    }
}
