import EbeeRecord

/// Whole records copied out of a window, private to one reader, which fills it again and again.
@safe public final class Batch {
    /// Twice the longest record, so that a batch holds at least one.
    private static let capacity = 2 * Window.recordLimit

    private let storage: UnsafeMutableRawBufferPointer
    private var filled = 0
    private var position: UInt64 = 0
    /// Bytes of whole records.
    private var byteCount = 0
    /// Where the next record is.
    private var offset = 0

    /// An empty batch, with its memory.
    public init() {
        unsafe storage = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.capacity, alignment: 16)
    }

    deinit { unsafe storage.deallocate() }

    /// The header of the next record; nil when there is none left.
    public var next: RecordHeader? {
        guard offset < byteCount else { return nil }
        return unsafe storage.load(fromByteOffset: offset, as: RecordHeader.self)
    }

    /// Hands the next record, with its position, to `body` and moves on, and `cursor` with it, which is the one the batch was read
    /// at. Nil when there is none left.
    public func take<Result>(
        moving cursor: inout Window.Cursor, _ body: (RecordHeader, RawSpan, UInt64) -> Result
    ) -> Result? {
        guard let header = next else { return nil }
        let end = offset + Int(header.size)
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: storage[offset..<end]).bytes
        let result = body(header, bytes, position + UInt64(offset))
        offset = end
        cursor.position += UInt64(header.size)
        if header.sequence != 0 { cursor.ordinal += 1 }
        return result
    }

    /// Forgets its records.
    public func clear() {
        filled = 0
        byteCount = 0
        offset = 0
    }

    /// Copies as much as fits.
    func fill(from source: UnsafeRawBufferPointer, position: UInt64) {
        let count = unsafe min(source.count, storage.count)
        unsafe storage.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
        filled = count
        self.position = position
    }

    /// Finds how many whole records were copied. The recorder has checked every record's size, and the copy is known to be
    /// good, so a size that leads nowhere is a fault of ours.
    func index() {
        while byteCount + RecordHeader.byteCount <= filled {
            let header = unsafe storage.load(fromByteOffset: byteCount, as: RecordHeader.self)
            precondition(header.size >= RecordHeader.byteCount, "a record of \(header.size) bytes in the window")
            if byteCount + Int(header.size) > filled { break }
            byteCount += Int(header.size)
        }
    }
}
