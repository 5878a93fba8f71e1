/// Bytes in short (FNV-1a, 64 bits): the same in every process, which `Hasher` is not. Nobody gains by making two alike.
public struct Fingerprint: Sendable {
    /// Of what was added so far.
    public private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    /// Of nothing.
    public init() {}

    /// Goes on with these bytes; where one part ends and the next begins, it does not tell.
    public mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { add(byte) }
    }

    /// Goes on with the eight bytes of a number, the lowest first.
    public mutating func add(number: some FixedWidthInteger) {
        let number = UInt64(truncatingIfNeeded: number)
        for shift in stride(from: 0, to: 64, by: 8) { add(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    private mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
}
