import CEvents

/// A record that does not have the form that events.h gives it. Nothing of it is used.
public struct MalformedRecord: Error {
    /// What is wrong with it, for the log.
    public let reason: String

    init(_ reason: String) { self.reason = reason }
}

extension RawSpan {
    /// The byte at `offset`.
    @inline(__always)
    public func byte(_ offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// The C struct at the beginning, as the kernel wrote it. Precondition: the span is long enough.
    @inline(__always)
    public func head<T: BitwiseCopyable>(_ type: T.Type) -> T {
        unsafe unsafeLoadUnaligned(fromByteOffset: 0, as: type)
    }

    /// A copy of the bytes in `range`.
    public func copy(_ range: Range<Int>) -> [UInt8] {
        unsafe extracting(range).withUnsafeBytes { unsafe Array($0) }
    }

    /// The range of a C string of at most `length` bytes at `offset`, without its NUL.
    func string(at offset: Int, length: Int) -> Range<Int> {
        var end = offset
        while end < offset + length, byte(end) != 0 { end += 1 }
        return offset..<end
    }
}

/// The header that every record starts with.
public typealias RecordHeader = ebee_header

extension RecordHeader {
    /// Bytes of the struct.
    public static var byteCount: Int { MemoryLayout<ebee_header>.size }

    /// Reads the header of the record that fills `bytes`, and checks what has to hold for a record to be stored:
    /// its size is the span's, at least its kind's, at most a record's, and a multiple of 8.
    public init(checking bytes: RawSpan) throws(MalformedRecord) {
        guard bytes.byteCount >= Self.byteCount else { throw MalformedRecord("shorter than a header") }
        self = bytes.head(ebee_header.self)
        guard Int(size) == bytes.byteCount, size % 8 == 0 else { throw MalformedRecord("size \(size)") }
        let least: Int
        switch kind {
        case RecordKind.exec, RecordKind.process: least = MemoryLayout<ebee_process>.size
        case RecordKind.exit: least = MemoryLayout<ebee_exit>.size
        case RecordKind.delete: least = MemoryLayout<ebee_delete>.size
        case RecordKind.lost: least = MemoryLayout<ebee_lost>.size
        case RecordKind.double: least = MemoryLayout<ebee_double>.size
        default: throw MalformedRecord("kind \(kind)")
        }
        guard bytes.byteCount <= Int(EBEE_RECORD_MAX), bytes.byteCount >= least else {
            throw MalformedRecord("kind \(kind) of \(size) bytes")
        }
    }
}

/// The values of `kind`, typed as the header has it.
public enum RecordKind {
    /// `ebee_process`: a program was, or was not, executed.
    public static let exec = UInt16(EBEE_EXEC.rawValue)
    /// `ebee_exit`: its process is gone.
    public static let exit = UInt16(EBEE_EXIT.rawValue)
    /// `ebee_delete`
    public static let delete = UInt16(EBEE_DELETE.rawValue)
    /// `ebee_process`: who deletes.
    public static let process = UInt16(EBEE_PROCESS.rawValue)
    /// `ebee_lost`
    public static let lost = UInt16(EBEE_LOST.rawValue)
    /// `ebee_double`
    public static let double = UInt16(EBEE_DOUBLE.rawValue)
}

/// Cuts a record's variable bytes into the parts that its struct gives the lengths of.
struct Parts {
    private var position: Int
    private let end: Int

    init(after fixed: Int, in bytes: RawSpan) {
        position = fixed
        end = bytes.byteCount
    }

    /// The next part. A record whose parts overrun it is malformed.
    mutating func next(_ length: UInt32) throws(MalformedRecord) -> Range<Int> {
        guard Int(length) <= end - position else { throw MalformedRecord("a part of \(length) bytes overruns it") }
        defer { position += Int(length) }
        return position..<position + Int(length)
    }
}

/// An `EBEE_EXEC` or `EBEE_PROCESS` record: its fixed part, and where in the record its parts are.
public struct ProcessRecord {
    /// Its struct.
    public let fixed: ebee_process
    /// The name of the process.
    public let comm: Range<Int>
    /// The terminal; empty where there is none.
    public let tty: Range<Int>
    let ancestors: Range<Int>
    /// Path components, innermost first; of an execution that failed, where the name that was given starts.
    public let executable: Range<Int>
    /// Path components, innermost first.
    public let directory: Range<Int>
    /// Path components, innermost first.
    public let cgroup: Range<Int>
    /// A path as text: the interpreter of a script, or the name that an execution that failed was given.
    public let interpreter: Range<Int>
    /// Each argument ends with a NUL; the last one doesn't where it was cut.
    public let arguments: Range<Int>

    /// Reads a record whose header was checked.
    public init(_ bytes: RawSpan) throws(MalformedRecord) {
        guard bytes.byteCount >= MemoryLayout<ebee_process>.size else {
            throw MalformedRecord("too short for a process")
        }
        fixed = bytes.head(ebee_process.self)
        guard fixed.header.kind == RecordKind.exec || fixed.header.kind == RecordKind.process else {
            throw MalformedRecord("kind \(fixed.header.kind) is no process")
        }
        var parts = Parts(after: MemoryLayout<ebee_process>.size, in: bytes)
        guard fixed.ancestors <= EBEE_ANCESTORS_MAX else { throw MalformedRecord("\(fixed.ancestors) ancestors") }
        ancestors = try parts.next(fixed.ancestors * UInt32(MemoryLayout<ebee_ancestor>.size))
        executable = try parts.next(fixed.executable_length)
        directory = try parts.next(fixed.directory_length)
        cgroup = try parts.next(fixed.cgroup_length)
        interpreter = try parts.next(fixed.interpreter_length)
        arguments = try parts.next(fixed.arguments_length)
        comm = bytes.string(at: Self.commOffset, length: Int(EBEE_COMM_LENGTH))
        tty = bytes.string(at: Self.ttyOffset, length: Int(EBEE_TTY_LENGTH))
    }

    private static let commOffset = MemoryLayout<ebee_process>.offset(of: \.comm) ?? 0
    private static let ttyOffset = MemoryLayout<ebee_process>.offset(of: \.tty) ?? 0

    /// Whether a flag is set.
    public func has(_ flag: ebee_process_flag) -> Bool { fixed.flags & flag.rawValue != 0 }

    /// An execution that failed: what it asked for stands where otherwise what runs does.
    public var isFailure: Bool { fixed.result != 0 }

    /// The absolute path of the program, nil where the kernel could not tell.
    public func executablePath(in bytes: RawSpan) -> [UInt8]? {
        guard has(EBEE_EXECUTABLE_KNOWN) else { return nil }
        let components = bytes.extracting(executable)
        return isFailure
            ? Path.absolute(base: components, name: bytes.extracting(interpreter)) : Path.absolute(components)
    }

    /// Pid and name of the ancestor that is `index` generations above the parent.
    public func ancestor(_ index: Int, in bytes: RawSpan) -> (pid: UInt32, comm: Range<Int>) {
        let offset = ancestors.lowerBound + index * MemoryLayout<ebee_ancestor>.size
        let pid = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)
        return (pid, bytes.string(at: offset + 4, length: Int(EBEE_COMM_LENGTH)))
    }

    /// How many arguments there were, where that is known.
    public func argumentCount(in bytes: RawSpan) -> Int? {
        if has(EBEE_COUNT_KNOWN) { return Int(fixed.arguments_count) }
        if has(EBEE_ARGUMENTS_CUT) || has(EBEE_ARGUMENTS_UNREAD) { return nil }
        return argumentRanges(in: bytes).count
    }

    /// Where each argument is, without its NUL.
    public func argumentRanges(in bytes: RawSpan) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var start = arguments.lowerBound
        for index in arguments where bytes.byte(index) == 0 {
            ranges.append(start..<index)
            start = index + 1
        }
        if start < arguments.upperBound { ranges.append(start..<arguments.upperBound) }
        return ranges
    }
}

/// An `EBEE_DELETE` record: its fixed part, and where in the record its parts are.
public struct DeleteRecord {
    /// Its struct.
    public let fixed: ebee_delete
    /// The name of the process.
    public let comm: Range<Int>
    let base: Range<Int>
    let name: Range<Int>
    let sourceBase: Range<Int>
    let sourceName: Range<Int>

    /// Reads a record whose header was checked.
    public init(_ bytes: RawSpan) throws(MalformedRecord) {
        guard bytes.byteCount >= MemoryLayout<ebee_delete>.size else {
            throw MalformedRecord("too short for a deletion")
        }
        fixed = bytes.head(ebee_delete.self)
        guard fixed.header.kind == RecordKind.delete else {
            throw MalformedRecord("kind \(fixed.header.kind) is no deletion")
        }
        var parts = Parts(after: MemoryLayout<ebee_delete>.size, in: bytes)
        base = try parts.next(fixed.base_length)
        name = try parts.next(fixed.name_length)
        sourceBase = try parts.next(fixed.source_base_length)
        sourceName = try parts.next(fixed.source_name_length)
        comm = bytes.string(at: Self.commOffset, length: Int(EBEE_COMM_LENGTH))
    }

    private static let commOffset = MemoryLayout<ebee_delete>.offset(of: \.comm) ?? 0

    /// Whether a flag is set.
    public func has(_ flag: ebee_delete_flag) -> Bool { fixed.flags & flag.rawValue != 0 }
    /// The same of the flags that tell what is known of the file.
    public func victimHas(_ flag: ebee_victim_flag) -> Bool { fixed.victim.flags & flag.rawValue != 0 }

    /// When the file was last modified, in nanoseconds since the epoch; nil where that isn't known.
    public var modified: Int64? {
        let victim = fixed.victim
        return victimHas(EBEE_VICTIM_KNOWN) ? Self.nanoseconds(victim.mtime_seconds, victim.mtime_nanoseconds) : nil
    }

    /// When the file was created, likewise.
    public var created: Int64? {
        let victim = fixed.victim
        guard victimHas(EBEE_CREATED_KNOWN) else { return nil }
        return Self.nanoseconds(victim.created_seconds, victim.created_nanoseconds)
    }

    /// Whoever owns a file gives it any time (utimensat(2)), also one that is beyond 64 bits of nanoseconds.
    private static func nanoseconds(_ seconds: Int64, _ nanoseconds: UInt32) -> Int64? {
        Int64(exactly: Int128(seconds) * 1_000_000_000 + Int128(nanoseconds))
    }

    /// The absolute path of the deleted file; nil where the kernel could not read what it was asked for.
    public func path(in bytes: RawSpan) -> [UInt8]? {
        if has(EBEE_NAME_UNREAD) || has(EBEE_BASE_UNKNOWN) { return nil }
        return Path.absolute(base: bytes.extracting(base), name: bytes.extracting(name))
    }

    /// The absolute path of what replaced it, before the rename.
    public func source(in bytes: RawSpan) -> [UInt8]? {
        if Int32(fixed.how) != Int32(EBEE_RENAME.rawValue) || has(EBEE_SOURCE_UNREAD) || has(EBEE_SOURCE_BASE_UNKNOWN) {
            return nil
        }
        return Path.absolute(base: bytes.extracting(sourceBase), name: bytes.extracting(sourceName))
    }
}
