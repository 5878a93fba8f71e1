import CEvents

/// Records as the kernel would write them, put together byte by byte in the order of events.h, without the layout that Swift
/// imports: so that one checks the other.
package struct RecordBytes {
    package private(set) var bytes: [UInt8] = []

    package init(kind: UInt32, lane: UInt16 = 0, sequence: UInt64, time: UInt64, pid: UInt32, tid: UInt32) {
        add(UInt32(0))  // the size, once it is known
        add(UInt16(kind))
        add(lane)
        add(sequence)
        add(time)
        add(pid)
        add(tid)
    }

    package mutating func add(_ value: some FixedWidthInteger) {
        for shift in 0..<value.bitWidth / 8 { bytes.append(UInt8(truncatingIfNeeded: value >> (shift * 8))) }
    }

    package mutating func add(_ text: String, width: Int) {
        bytes += Array(text.utf8.prefix(width))
        bytes += Array(repeating: 0, count: max(0, width - text.utf8.count))
    }

    package mutating func add(_ part: [UInt8]) { bytes += part }

    /// Rounded up to 8 bytes, with the size in its place.
    package func finished() -> [UInt8] {
        var whole = bytes
        whole += Array(repeating: 0, count: (8 - whole.count % 8) % 8)
        whole.put(UInt32(whole.count), at: 0)
        return whole
    }
}

extension [UInt8] {
    /// Overwrites the bytes at an offset.
    package mutating func put(_ value: some FixedWidthInteger, at offset: Int) {
        for index in 0..<value.bitWidth / 8 { self[offset + index] = UInt8(truncatingIfNeeded: value >> (index * 8)) }
    }

    /// The integer at an offset.
    package func get<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) -> T {
        (0..<T.bitWidth / 8).reduce(0) { $0 | T(truncatingIfNeeded: self[offset + $1]) << ($1 * 8) }
    }

    /// A path as the kernel's tree is walked: components, innermost first, each ended by a NUL.
    package init(path: String) {
        self = path.split(separator: "/").reversed().flatMap { Array($0.utf8) + [0] }
    }

    /// Texts, each ended by a NUL.
    package init(arguments: [String]) { self = arguments.flatMap { Array($0.utf8) + [0] } }
}

/// What a test says of a process; the rest is as here.
package struct ProcessFields {
    package var kind = EBEE_EXEC.rawValue
    package var lane: UInt16 = 0
    package var sequence: UInt64 = 1
    package var time: UInt64 = 5_000_000_000
    package var pid: UInt32 = 4312
    package var tid: UInt32 = 4313
    package var start: UInt64 = 4_999_000_000
    package var exitDuration: UInt64 = 0
    package var exitStatus: UInt32 = 0
    package var flags =
        EBEE_COUNT_KNOWN.rawValue | EBEE_EXECUTABLE_KNOWN.rawValue | EBEE_DIRECTORY_KNOWN.rawValue
        | EBEE_CGROUP_KNOWN.rawValue
    package var ppid: UInt32 = 4000
    package var uid: UInt32 = 11
    package var euid: UInt32 = 12
    package var gid: UInt32 = 13
    package var loginUID: UInt32 = 1000
    package var sessionID: UInt32 = 3
    package var pidNamespace: UInt32 = 4_026_531_836
    package var mntNamespace: UInt32 = 4_026_531_841
    package var argumentsCount: UInt32 = 3
    package var comm = "rm"
    package var tty = "pts0"
    package var ancestors: [(pid: UInt32, comm: String)] = [(4000, "make"), (900, "sshd")]
    package var executable = [UInt8](path: "/usr/bin/rm")
    package var directory = [UInt8](path: "/srv/app")
    package var cgroup = [UInt8](path: "/system.slice/ci.service")
    package var interpreter: [UInt8] = []
    package var arguments = [UInt8](arguments: ["rm", "-rf", "x"])
    package var result: Int32 = 0

    package init() {}

    package init(_ change: (inout ProcessFields) -> Void) { change(&self) }

    /// An execution that failed: of `name`, as the system call was given it, seen from the directory `base`.
    package mutating func fail(_ name: String, from base: String, errno: Int32 = 2) {
        result = -errno
        executable = [UInt8](path: base)
        interpreter = Array(name.utf8)
    }

    package var bytes: [UInt8] {
        var record = RecordBytes(kind: kind, lane: lane, sequence: sequence, time: time, pid: pid, tid: tid)
        record.add(start)
        record.add(exitDuration)
        record.add(exitStatus)
        record.add(flags)
        record.add(ppid)
        record.add(uid)
        record.add(euid)
        record.add(gid)
        record.add(loginUID)
        record.add(sessionID)
        record.add(pidNamespace)
        record.add(mntNamespace)
        record.add(argumentsCount)
        record.add(UInt32(ancestors.count))
        for part in [executable, directory, cgroup, interpreter, arguments] { record.add(UInt32(part.count)) }
        record.add(result)
        record.add(comm, width: 16)
        record.add(tty, width: 32)
        for ancestor in ancestors {
            record.add(ancestor.pid)
            record.add(ancestor.comm, width: 16)
        }
        for part in [executable, directory, cgroup, interpreter, arguments] { record.add(part) }
        return record.finished()
    }
}

/// What a test says of a deletion; the rest is as here.
package struct DeleteFields {
    package var lane: UInt16 = 0
    package var sequence: UInt64 = 1
    package var time: UInt64 = 6_000_000_000
    package var pid: UInt32 = 4312
    package var tid: UInt32 = 4313
    package var start: UInt64 = 4_999_000_000
    package var process: UInt64 = 0
    package var inode: UInt64 = 12
    package var size: UInt64 = 4096
    package var mtime: (seconds: Int64, nanoseconds: UInt32) = (1_700_000_000, 123_456_789)
    package var created: (seconds: Int64, nanoseconds: UInt32) = (1_600_000_000, 1)
    package var device: UInt32 = 254 << 20 | 7
    package var mode: UInt32 = 0o100644
    package var owner: UInt32 = 21
    package var group: UInt32 = 22
    package var links: UInt32 = 2
    package var victimFlags = EBEE_VICTIM_KNOWN.rawValue | EBEE_LINKS_KNOWN.rawValue | EBEE_CREATED_KNOWN.rawValue
    package var uid: UInt32 = 11
    package var euid: UInt32 = 12
    package var result: Int32 = 0
    package var how = EBEE_UNLINK.rawValue
    package var via = EBEE_SYSCALL.rawValue
    package var flags: UInt32 = 0
    package var comm = "rm"
    package var base = [UInt8](path: "/srv/app")
    package var name = Array("x".utf8)
    package var sourceBase: [UInt8] = []
    package var sourceName: [UInt8] = []

    package init() {}

    package init(_ change: (inout DeleteFields) -> Void) { change(&self) }

    package var bytes: [UInt8] {
        var record = RecordBytes(
            kind: EBEE_DELETE.rawValue, lane: lane, sequence: sequence, time: time, pid: pid, tid: tid)
        record.add(start)
        record.add(process)
        record.add(inode)
        record.add(size)
        record.add(mtime.seconds)
        record.add(created.seconds)
        record.add(mtime.nanoseconds)
        record.add(created.nanoseconds)
        for number in [device, mode, owner, group, links, victimFlags, uid, euid] { record.add(number) }
        record.add(result)
        record.add(UInt16(how))
        record.add(UInt16(via))
        record.add(flags)
        for part in [base, name, sourceBase, sourceName] { record.add(UInt32(part.count)) }
        record.add(UInt32(0))
        record.add(comm, width: 16)
        for part in [base, name, sourceBase, sourceName] { record.add(part) }
        return record.finished()
    }
}

/// An exit, which completes an execution.
package func exitBytes(
    lane: UInt16 = 0, time: UInt64, pid: UInt32, start: UInt64, duration: UInt64, status: UInt32
) -> [UInt8] {
    var record = RecordBytes(kind: EBEE_EXIT.rawValue, lane: lane, sequence: 0, time: time, pid: pid, tid: pid)
    record.add(start)
    record.add(duration)
    record.add(status)
    record.add(UInt32(0))
    return record.finished()
}
