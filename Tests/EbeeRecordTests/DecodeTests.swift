import CEvents
import EbeeTestSupport
import Testing

@testable import EbeeRecord

@Suite struct DecodeTests {
    @Test func everyFieldOfAProcess() throws {
        let fields = ProcessFields {
            $0.lane = 5
            $0.sequence = 77
            $0.exitDuration = 1_200_000
            $0.exitStatus = EBEE_EXITED | 9
            $0.flags |= EBEE_INTERPRETER_KNOWN.rawValue
            $0.interpreter = Array("/bin/sh".utf8)
        }
        let bytes = fields.bytes
        let record = try decodeProcess(bytes)
        let fixed = record.fixed
        #expect(Int(fixed.header.size) == bytes.count)
        #expect(fixed.header.kind == 1)
        #expect(fixed.header.lane == 5)
        #expect(fixed.header.sequence == 77)
        #expect(fixed.header.time == 5_000_000_000)
        #expect(fixed.header.pid == 4312)
        #expect(fixed.header.tid == 4313)
        #expect(fixed.start == 4_999_000_000)
        #expect(fixed.exit_duration == 1_200_000)
        #expect(fixed.exit_status == 0x10009)
        #expect(fixed.flags == fields.flags)
        #expect(fixed.ppid == 4000)
        #expect(fixed.uid == 11)
        #expect(fixed.euid == 12)
        #expect(fixed.gid == 13)
        #expect(fixed.login_uid == 1000)
        #expect(fixed.session_id == 3)
        #expect(fixed.pid_namespace == 4_026_531_836)
        #expect(fixed.mnt_namespace == 4_026_531_841)
        #expect(fixed.arguments_count == 3)
        #expect(fixed.ancestors == 2)
        #expect(text(bytes[record.comm]) == "rm")
        #expect(text(bytes[record.tty]) == "pts0")
        #expect(Array(bytes[record.executable]) == fields.executable)
        #expect(Array(bytes[record.directory]) == fields.directory)
        #expect(Array(bytes[record.cgroup]) == fields.cgroup)
        #expect(text(bytes[record.interpreter]) == "/bin/sh")
        #expect(Array(bytes[record.arguments]) == fields.arguments)
        let arguments = unsafe record.argumentRanges(in: bytes.span.bytes).map { text(bytes[$0]) }
        #expect(arguments == ["rm", "-rf", "x"])
        let first = unsafe record.ancestor(0, in: bytes.span.bytes)
        let second = unsafe record.ancestor(1, in: bytes.span.bytes)
        #expect(first.pid == 4000 && text(bytes[first.comm]) == "make")
        #expect(second.pid == 900 && text(bytes[second.comm]) == "sshd")
    }

    @Test func everyFieldOfADeletion() throws {
        let fields = DeleteFields {
            $0.lane = 3
            $0.process = 4096
            $0.result = -13
            $0.how = EBEE_RENAME.rawValue
            $0.via = EBEE_IO_URING.rawValue
            $0.flags = EBEE_BASE_CUT.rawValue
            $0.sourceBase = [UInt8](path: "/srv")
            $0.sourceName = Array("new".utf8)
        }
        let bytes = fields.bytes
        let record = try decodeDeletion(bytes)
        let fixed = record.fixed
        #expect(Int(fixed.header.size) == bytes.count)
        #expect(fixed.header.kind == 3)
        #expect(fixed.header.lane == 3)
        #expect(fixed.header.time == 6_000_000_000)
        #expect(fixed.header.pid == 4312 && fixed.header.tid == 4313)
        #expect(fixed.start == 4_999_000_000)
        #expect(fixed.process == 4096)
        #expect(fixed.victim.inode == 12)
        #expect(fixed.victim.size == 4096)
        #expect(fixed.victim.mtime_seconds == 1_700_000_000 && fixed.victim.mtime_nanoseconds == 123_456_789)
        #expect(fixed.victim.created_seconds == 1_600_000_000 && fixed.victim.created_nanoseconds == 1)
        #expect(fixed.victim.device == 254 << 20 | 7)
        #expect(fixed.victim.mode == 0o100644)
        #expect(fixed.victim.owner == 21 && fixed.victim.group == 22)
        #expect(fixed.victim.links == 2)
        #expect(fixed.victim.flags == 7)
        #expect(fixed.uid == 11)
        #expect(fixed.result == -13)
        #expect(fixed.how == 3 && fixed.via == 2)
        #expect(record.has(EBEE_BASE_CUT) && !record.has(EBEE_NAME_UNREAD))
        #expect(text(bytes[record.comm]) == "rm")
        #expect(Array(bytes[record.base]) == fields.base)
        #expect(text(bytes[record.name]) == "x")
        #expect(Array(bytes[record.sourceBase]) == fields.sourceBase)
        #expect(text(bytes[record.sourceName]) == "new")
        #expect(unsafe record.path(in: bytes.span.bytes).map { text($0) } == "/srv/app/x")
        #expect(unsafe record.source(in: bytes.span.bytes).map { text($0) } == "/srv/new")
    }

    /// A name that fills its field has no NUL.
    @Test func namesThatFillTheirField() throws {
        let bytes = ProcessFields {
            $0.comm = "0123456789abcdef"
            $0.tty = String(repeating: "t", count: 32)
            $0.ancestors = [(1, "fedcba9876543210")]
        }.bytes
        let record = try decodeProcess(bytes)
        #expect(text(bytes[record.comm]) == "0123456789abcdef")
        #expect(text(bytes[record.tty]) == String(repeating: "t", count: 32))
        #expect(unsafe text(bytes[record.ancestor(0, in: bytes.span.bytes).comm]) == "fedcba9876543210")
    }

    @Test(arguments: [
        ([], []), (["a"], ["a"]), (["", ""], ["", ""]), (["ls", "a b", ""], ["ls", "a b", ""]),
    ])
    func arguments(given: [String], read: [String]) throws {
        let bytes = ProcessFields { $0.arguments = [UInt8](arguments: given) }.bytes
        let record = try decodeProcess(bytes)
        #expect(unsafe record.argumentRanges(in: bytes.span.bytes).map { text(bytes[$0]) } == read)
    }

    /// The last argument has no NUL where it was cut; how many there were is known only from the kernel then.
    @Test func argumentsThatWereCut() throws {
        var fields = ProcessFields {
            $0.arguments = Array("rm\0-r".utf8)
            $0.flags |= EBEE_ARGUMENTS_CUT.rawValue
        }
        var record = try decodeProcess(fields.bytes)
        #expect(
            unsafe record.argumentRanges(in: fields.bytes.span.bytes).map { text(fields.bytes[$0]) } == ["rm", "-r"])
        #expect(unsafe record.argumentCount(in: fields.bytes.span.bytes) == 3)
        fields.flags &= ~EBEE_COUNT_KNOWN.rawValue
        record = try decodeProcess(fields.bytes)
        #expect(unsafe record.argumentCount(in: fields.bytes.span.bytes) == nil)
        fields.flags &= ~EBEE_ARGUMENTS_CUT.rawValue
        record = try decodeProcess(fields.bytes)
        #expect(unsafe record.argumentCount(in: fields.bytes.span.bytes) == 2)
        fields.flags |= EBEE_ARGUMENTS_UNREAD.rawValue
        record = try decodeProcess(fields.bytes)
        #expect(unsafe record.argumentCount(in: fields.bytes.span.bytes) == nil)
    }

    @Test func exits() throws {
        func exit(_ status: UInt32, _ duration: UInt64) throws -> ProcessExit? {
            ProcessExit(
                try decodeProcess(
                    ProcessFields {
                        $0.exitStatus = status; $0.exitDuration = duration
                    }.bytes
                ).fixed)
        }
        #expect(try exit(0, 0) == nil)
        #expect(try exit(0, 5) == nil, "the status is stored second")
        #expect(try exit(EBEE_EXITED, 0) == nil, "the duration is not there yet")
        guard case .code(0) = try exit(EBEE_EXITED, 1)?.status else { Issue.record("exit 0"); return }
        guard case .code(255) = try exit(EBEE_EXITED | 0xff00, 1)?.status else { Issue.record("exit 255"); return }
        guard case .signal(9) = try exit(EBEE_EXITED | 9, 1)?.status else { Issue.record("SIGKILL"); return }
        guard case .signal(11) = try exit(EBEE_EXITED | 0x8b, 1)?.status else { Issue.record("core dump"); return }
        #expect(try exit(EBEE_EXITED, 7)?.duration == 7)
    }
}
