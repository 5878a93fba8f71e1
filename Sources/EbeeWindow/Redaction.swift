import CEvents
import EbeeRecord
import Synchronization

/// What must not be kept of arguments, such as passwords on command lines: patterns, and `***` in the place of what they find.
///
/// A pattern is words with a space between, each for one argument, one after the other, wherever they stand among the arguments:
/// - `*` in a word is any text, also none; it is kept.
/// - `***` is the secret. There is one in a pattern, in a word of its own or with text before and behind it.
/// - the word `**`, somewhere before the secret, is any number of arguments.
///
/// Where a word can be read in several ways, the secret is the longest: rather too much is hidden than too little. What was cut off of
/// long arguments is taken to be what the pattern asks for. An empty secret stays.
public struct Redaction: Sendable, Equatable {
    /// What stands in the place of a secret.
    public static let mark = "***"
    /// The most patterns there can be: each is tried at every argument of every execution.
    public static let patternsMaximum = 64
    /// The longest pattern, in bytes.
    public static let patternBytesMaximum = 256

    fileprivate let patterns: [RedactionPattern]

    /// - Parameter patterns: as the type has them.
    public init(_ patterns: [String]) throws(RedactionError) {
        guard patterns.count <= Self.patternsMaximum else {
            throw RedactionError("at most \(Self.patternsMaximum) patterns")
        }
        var parsed: [RedactionPattern] = []
        for text in patterns { parsed.append(try RedactionPattern(text)) }
        self.patterns = parsed
    }

    /// Arguments stay as they are.
    public static let nothing = Redaction(nothing: ())

    private init(nothing: ()) { patterns = [] }

    var isEmpty: Bool { patterns.isEmpty }

}

/// A pattern that says nothing that can be looked for.
public struct RedactionError: Error, Equatable {
    /// What would be right.
    public let expected: String

    init(_ expected: String) { self.expected = expected }
}

/// The present redaction, which the drain asks for at each execution, and which anybody may set meanwhile.
public final class Redactions: Sendable {
    private let current: Mutex<Redaction>

    init(_ redaction: Redaction) { current = Mutex(redaction) }

    /// Holds for all that comes from now on.
    public func set(_ redaction: Redaction) { current.withLock { $0 = redaction } }

    var now: Redaction { current.withLock { $0 } }
}

/// Writes records anew without their secrets. One thread's; nothing here allocates once it is there.
@safe final class Redactor {
    /// The record that is written, and the arguments as the pattern before left them.
    private let buffers: (UnsafeMutableRawBufferPointer, UnsafeMutableRawBufferPointer)

    init() {
        let size = Int(EBEE_RECORD_MAX)
        unsafe buffers = (
            UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8),
            UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
        )
    }

    deinit {
        unsafe buffers.0.deallocate()
        unsafe buffers.1.deallocate()
    }

    /// The record of a process without secrets: it, where it has none, or memory that stays until the next one.
    func redact(_ bytes: UnsafeRawBufferPointer, _ redaction: Redaction) -> UnsafeRawBufferPointer {
        // A malformed one is refused by whoever reads it.
        guard let record = try? unsafe ProcessRecord(bytes.bytes), !record.arguments.isEmpty else {
            return unsafe bytes
        }
        let place = record.arguments.lowerBound
        let limit = min(Int(EBEE_RECORD_MAX) - place, max(Int(EBEE_ARGUMENTS_MAX), record.arguments.count))
        var arguments = unsafe UnsafeRawBufferPointer(rebasing: bytes[record.arguments])
        var isCut = record.has(EBEE_ARGUMENTS_CUT)
        var (buffer, other) = unsafe buffers
        var isWritten = false
        for index in redaction.patterns.indices {
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[place..<place + limit])
            guard let output = unsafe redact(arguments, isCut: isCut, redaction.patterns[index], into: room) else {
                continue
            }
            unsafe arguments = UnsafeRawBufferPointer(rebasing: room[..<output.count])
            isCut = isCut || output.isFull
            isWritten = true
            unsafe swap(&buffer, &other)
        }
        // The last one that was written is now the other one.
        return isWritten ? unsafe finish(other, bytes, record, count: arguments.count, isCut: isCut) : unsafe bytes
    }

    /// Writes arguments without what the pattern finds; nil where it finds nothing.
    private func redact(
        _ arguments: UnsafeRawBufferPointer, isCut: Bool, _ pattern: RedactionPattern,
        into room: UnsafeMutableRawBufferPointer
    ) -> Output? {
        var output = unsafe Output(room)
        var done = 0
        guard var start = unsafe pattern.start(in: arguments.bytes, isCut: isCut) else { return nil }
        while let secret = unsafe pattern.next(in: arguments.bytes, isCut: isCut, from: &start) {
            unsafe output.put(UnsafeRawBufferPointer(rebasing: arguments[done..<secret.lowerBound]))
            output.putMark()
            done = secret.upperBound
        }
        guard done > 0 else { return nil }
        unsafe output.put(UnsafeRawBufferPointer(rebasing: arguments[done...]))
        return output
    }

    private func finish(
        _ buffer: UnsafeMutableRawBufferPointer, _ bytes: UnsafeRawBufferPointer, _ record: ProcessRecord, count: Int,
        isCut: Bool
    ) -> UnsafeRawBufferPointer {
        let place = record.arguments.lowerBound
        let size = (place + count + 7) & ~7
        unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<place]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: bytes[..<place]))
        for index in place + count..<size { unsafe buffer[index] = 0 }
        var fixed = record.fixed
        fixed.header.size = UInt32(size)
        fixed.arguments_length = UInt32(count)
        fixed.flags |= EBEE_ARGUMENTS_REDACTED.rawValue
        if isCut { fixed.flags |= EBEE_ARGUMENTS_CUT.rawValue }
        unsafe buffer.storeBytes(of: fixed, as: ebee_process.self)
        return unsafe UnsafeRawBufferPointer(rebasing: buffer[..<size])
    }

    /// Where arguments are written to, as far as there is room.
    @safe private struct Output {
        private let buffer: UnsafeMutableRawBufferPointer
        private(set) var count = 0
        private(set) var isFull = false

        init(_ buffer: UnsafeMutableRawBufferPointer) { unsafe self.buffer = buffer }

        mutating func put(_ bytes: UnsafeRawBufferPointer) {
            let fitting = unsafe min(bytes.count, buffer.count - count)
            isFull = isFull || fitting < bytes.count
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + fitting]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[..<fitting]))
            count += fitting
        }

        mutating func putMark() {
            let mark: StaticString = "***"
            unsafe put(UnsafeRawBufferPointer(start: mark.utf8Start, count: mark.utf8CodeUnitCount))
        }
    }
}
