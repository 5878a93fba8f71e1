import CEvents
import CSystemd
import EbeeRecord
import Glibc

/// One structured entry, put together in memory that is kept. A field's value is bytes: the journal takes any, so what a process calls its
/// files or itself can't forge a field.
struct JournalEntry: ~Copyable {
    private var bytes: [UInt8] = []
    private var ends: [Int] = []

    mutating func begin() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
    }

    mutating func field(_ name: StaticString, _ value: some Sequence<UInt8>) {
        unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(UInt8(ascii: "="))
        bytes.append(contentsOf: value)
        ends.append(bytes.count)
    }

    mutating func field(_ name: StaticString, _ value: String) { field(name, value.utf8) }

    mutating func field(_ name: StaticString, _ value: some FixedWidthInteger) { field(name, String(value).utf8) }

    /// Hands the entry to the journal; blocks while journald is slow. 0, or the errno.
    func send() -> Int32 {
        let result = unsafe bytes.withUnsafeBytes { all in
            var start = 0
            var vectors: [iovec] = unsafe []
            unsafe vectors.reserveCapacity(ends.count)
            for end in ends {
                let address = unsafe UnsafeMutableRawPointer(mutating: all.baseAddress.unsafelyUnwrapped + start)
                unsafe vectors.append(iovec(iov_base: address, iov_len: end - start))
                start = end
            }
            return unsafe sd_journal_sendv(vectors, Int32(vectors.count))
        }
        return -result
    }
}

/// The kinds of entries. The ids are random and stand in systemd/ebeed.catalog too, where each has its explanation.
enum MessageID {
    static let exec = "3b43cc70298844f39709b18262331fd2"
    static let delete = "847ad9ce4cfb4839bd58644154a16d85"
    static let lost = "1b782810fd4a41c2aa5a2c3a7ec70234"
    static let burst = "d62ad19288e74bf7b9c29d974d0d7c0d"
}

/// A command line as one would type it: arguments that are not plain are quoted, control characters escaped.
enum CommandLine {
    static func text(_ arguments: [ArraySlice<UInt8>]) -> [UInt8] {
        var text: [UInt8] = []
        for argument in arguments {
            if !text.isEmpty { text.append(UInt8(ascii: " ")) }
            append(argument, to: &text)
        }
        return text
    }

    private static let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-".utf8)

    private static func append(_ argument: ArraySlice<UInt8>, to text: inout [UInt8]) {
        if !argument.isEmpty, argument.allSatisfy({ plain.contains($0) || $0 >= 0x80 }) {
            text += argument
            return
        }
        let isHostile = argument.contains { $0 < 0x20 || $0 == 0x7f }
        text += isHostile ? Array("$'".utf8) : [UInt8(ascii: "'")]
        for byte in argument {
            switch byte {
            case 0..<0x20, 0x7f:
                text += "\\x".utf8
                text += [hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
            case UInt8(ascii: "\\") where isHostile: text += "\\\\".utf8
            case UInt8(ascii: "'"): text += isHostile ? Array("\\'".utf8) : Array("'\\''".utf8)
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "'"))
    }

    private static let hexadecimal = Array("0123456789abcdef".utf8)
}
