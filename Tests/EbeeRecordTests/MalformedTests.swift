import CEvents
import EbeeTestSupport
import Testing

@testable import EbeeRecord

/// Every way for a record to be none: each is an error, and none is a crash.
@Suite struct MalformedTests {
    /// Reads everything that can be read of the record.
    private static func readAll(_ bytes: [UInt8]) throws(MalformedRecord) {
        let raw = unsafe bytes.span.bytes
        let header = try RecordHeader(checking: raw)
        var writer = JSONWriter()
        let cursor = EventCursor(stream: "e", window: 1, position: 64)
        switch header.kind {
        case RecordKind.exec, RecordKind.process:
            writer.exec(try ProcessRecord(raw), raw, cursor: cursor)
        case RecordKind.delete:
            writer.delete(try DeleteRecord(raw), raw, by: nil, cursor: cursor)
        case RecordKind.lost:
            writer.lost(raw.head(ebee_lost.self), stream: "exec")
        default: break
        }
    }

    @Test(arguments: [0, 1, 8, 31])
    func shorterThanAHeader(count: Int) {
        #expect(throws: MalformedRecord.self) { try Self.readAll(Array(repeating: 1, count: count)) }
    }

    @Test func sizeThatIsNotTheRecords() {
        for size in [0, 1, 31, 32, 168, 0xffff_ffff] as [UInt32] {
            var bytes = ProcessFields().bytes
            bytes.put(size, at: 0)
            #expect(throws: MalformedRecord.self) { try Self.readAll(bytes) }
        }
    }

    @Test func sizeThatIsNoMultipleOfEight() {
        for extra in 1...7 {
            var bytes = ProcessFields().bytes + Array(repeating: 0, count: extra)
            bytes.put(UInt32(bytes.count), at: 0)
            #expect(throws: MalformedRecord.self) { try Self.readAll(bytes) }
        }
    }

    @Test func longerThanAnyRecord() throws {
        var fields = ProcessFields()
        fields.arguments = Array(repeating: 65, count: Int(EBEE_RECORD_MAX))
        #expect(throws: MalformedRecord.self) { try Self.readAll(fields.bytes) }
        fields.arguments = []
        fields.arguments = Array(repeating: 65, count: Int(EBEE_RECORD_MAX) - fields.bytes.count - 8)
        try Self.readAll(fields.bytes)
    }

    @Test(arguments: [0, 7, 8, 0x100, 0xffff] as [UInt16])
    func kindThatThereIsNot(kind: UInt16) {
        var bytes = ProcessFields().bytes
        bytes.put(kind, at: 4)
        #expect(throws: MalformedRecord.self) { try Self.readAll(bytes) }
    }

    /// Each kind, one word shorter than its struct.
    @Test(arguments: [(1, 168), (2, 56), (3, 168), (4, 168), (5, 64), (6, 48)] as [(UInt16, Int)])
    func shorterThanItsStruct(kind: UInt16, size: Int) {
        var bytes = [UInt8](repeating: 0, count: size)
        bytes.put(kind, at: 4)
        bytes.put(UInt32(size), at: 0)
        #expect(throws: Never.self) { _ = try header(bytes) }
        bytes.removeLast(8)
        bytes.put(UInt32(bytes.count), at: 0)
        #expect(throws: MalformedRecord.self) { try Self.readAll(bytes) }
    }

    /// A record of one kind read as another.
    @Test func wrongKind() {
        let execution = ProcessFields().bytes
        let deletion = DeleteFields {
            $0.base = []; $0.name = []
        }.bytes
        #expect(throws: MalformedRecord.self) { _ = try unsafe DeleteRecord(execution.span.bytes) }
        #expect(throws: MalformedRecord.self) { _ = try unsafe ProcessRecord(deletion.span.bytes) }
        #expect(throws: MalformedRecord.self) { _ = try StoredProcess(deletion) }
    }

    /// Each length, one too long and as long as can be, at its offset in events.h.
    @Test(arguments: [92, 96, 100, 104, 108, 112])
    func lengthsOfAProcessThatLie(offset: Int) throws {
        let whole = ProcessFields { $0.arguments.append(contentsOf: Array("pad".utf8)) }.bytes
        let length = whole.get(UInt32.self, at: offset)
        let slack =
            UInt32(whole.count)
            - (168 + 40 + [96, 100, 104, 108, 112].reduce(0) { $0 + whole.get(UInt32.self, at: $1) })
        for lie in [length + slack + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
            var bytes = whole
            bytes.put(lie, at: offset)
            #expect(throws: MalformedRecord.self) { try Self.readAll(bytes) }
        }
    }

    @Test(arguments: [132, 136, 140, 144])
    func lengthsOfADeletionThatLie(offset: Int) {
        let whole = DeleteFields().bytes
        let length = whole.get(UInt32.self, at: offset)
        let slack =
            UInt32(whole.count) - (168 + [132, 136, 140, 144].reduce(0) { $0 + whole.get(UInt32.self, at: $1) })
        for lie in [length + slack + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
            var bytes = whole
            bytes.put(lie, at: offset)
            #expect(throws: MalformedRecord.self) { try Self.readAll(bytes) }
        }
    }

    @Test func truncatedAnywhere() {
        for whole in [ProcessFields().bytes, DeleteFields().bytes] {
            for count in 0..<whole.count {
                var bytes = Array(whole.prefix(count))
                #expect(throws: MalformedRecord.self) { try Self.readAll(bytes) }
                // The same with a size that agrees: the parts are what is missing.
                guard count >= 32, count % 8 == 0 else { continue }
                bytes.put(UInt32(count), at: 0)
                #expect(throws: MalformedRecord.self) { try Self.readAll(bytes) }
            }
        }
    }

    /// 100,000 records of which a few bytes were changed: read, or refused, and never anything else.
    @Test func mutations() {
        var generator = SeededGenerator(2)
        let whole = [
            ProcessFields().bytes, DeleteFields().bytes,
            DeleteFields {
                $0.how = EBEE_RENAME.rawValue; $0.sourceName = Array("../y".utf8)
            }.bytes,
        ]
        var read = 0
        var refused = 0
        for _ in 0..<100_000 {
            var bytes = whole.randomElement(using: &generator) ?? []
            // Mostly in the fixed part, where the lengths are.
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let offset = Int.random(in: 0..<(Bool.random(using: &generator) ? bytes.count : 168), using: &generator)
                bytes[offset] = UInt8.random(in: 0...255, using: &generator)
            }
            // And of these, half with a size that agrees, so that more than the header is tried.
            if Bool.random(using: &generator) { bytes.put(UInt32(bytes.count), at: 0) }
            do {
                try Self.readAll(bytes)
                read += 1
            } catch {
                refused += 1
            }
        }
        #expect(read > 10_000 && refused > 10_000, "\(read) read, \(refused) refused")
    }
}
