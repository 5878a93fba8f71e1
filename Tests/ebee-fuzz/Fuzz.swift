import CFuzzer

/// Gives bytes that libFuzzer makes up to one part of the product, and stops with a trap where that doesn't do what it promises.
/// `make fuzz` builds and runs it; without libFuzzer it can't be built.
@main struct Fuzz {
    /// What a target does with one input.
    typealias Target = @Sendable (Input) -> Void

    static let targets: [(name: String, run: Target)] = [
        ("record", recordTarget), ("window", windowTarget), ("adopt", adoptTarget), ("request", requestTarget),
        ("configuration", configurationTarget), ("json", jsonTarget), ("terminal", terminalTarget),
    ]

    /// Set once, before libFuzzer begins; a function of C's can't bring it along.
    nonisolated(unsafe) private static var chosen: Target?

    static func main() {
        guard let target = targets.first(where: { $0.name == CommandLine.arguments.dropFirst().first }) else {
            print(targets.map(\.name).joined(separator: "\n"))
            return
        }
        unsafe chosen = target.run
        // The name of the target is not libFuzzer's.
        var arguments = unsafe CommandLine.unsafeArgv
        var count = CommandLine.argc - 1
        unsafe arguments[1] = arguments[0]
        unsafe arguments += 1
        var pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe arguments
        _ = unsafe LLVMFuzzerRunDriver(&count, &pointer) { data, size in
            unsafe Fuzz.chosen?(Input(Array(UnsafeBufferPointer(start: data, count: size))))
            return 0
        }
    }
}

/// What is promised. A trap in place of a return value, because libFuzzer keeps the input that leads to one.
func require(_ holds: Bool, _ promise: @autoclosure () -> String) {
    if !holds { fatalError(promise()) }
}

/// The bytes of one run, taken from the front.
struct Input {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isEmpty: Bool { rest.isEmpty }

    /// The next byte; 0 where there is none left.
    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    /// The next integer, the lowest byte first.
    mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T {
        (0..<T.bitWidth / 8).reduce(0) { $0 | T(truncatingIfNeeded: byte()) << ($1 * 8) }
    }

    /// At most so many of the next bytes.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// The next bytes, as many as the two before them say.
    mutating func string() -> [UInt8] {
        let count = Int(integer(UInt16.self))
        return bytes(count)
    }

    /// Strings until the end, of which one byte tells how long each is: short ones are as hostile as long ones.
    mutating func strings() -> [[UInt8]] {
        var strings: [[UInt8]] = []
        while !isEmpty {
            let count = Int(byte())
            strings.append(bytes(count))
        }
        return strings
    }

    /// All that is left.
    mutating func all() -> [UInt8] { bytes(rest.count) }
}
