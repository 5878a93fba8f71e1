import EbeeProtocol
import EbeeRecord

@testable import EbeeClient

/// Whatever is in an event, also from a daemon that lies: what reaches a terminal is UTF-8, one line per row, and nothing in it moves the
/// cursor, colours, hides or turns around other text.
///
/// The first byte is the width of the terminal, the second how the event is made: of names, or by the daemon that lies.
@Sendable func terminalTarget(_ input: Input) {
    var input = input
    let width = Int(input.byte())
    let shape = input.byte()
    let event = shape & 1 == 0 ? made(of: input.strings(), shape) : input.all()

    let users = Users { uid in uid == 7 ? "a\u{1b}[31m\u{202e}b\n" : nil }
    let clock = ReaderClock(now: 1_700_000_000_000_000_000, zone: .utc())
    for stream in EventStream.allCases {
        var table = TableFormatter(
            stream: stream, showsFailed: shape & 2 != 0, showsHeaderAtOnce: false, paint: Paint(isOn: false),
            width: { width == 0 ? nil : width }, clock: { clock }, users: users)
        guard let first = try? table.format(event[...]) else { return }
        // The header and the row, but a loss has no header.
        requireHarmless(first, lines: 1...2)
        guard let second = try? table.format(event[...]) else { fatalError("once a row, and then none") }
        requireHarmless(second, lines: 1...1)
    }
    var csv = CSVFormatter(isForTerminal: true, users: users)
    if let row = try? csv.format(event[...]) { requireHarmless(row, lines: 1...1) }
    // Blanks between the members of JSON are the daemon's own, and it sends none.
    guard shape & 1 == 0 else { return }
    for isPretty in [false, true] {
        var json = JSONFormatter(isPretty: isPretty, isForTerminal: true, splicer: UserNameSplicer(users: users))
        requireHarmless(json.format(event[...]), lines: isPretty ? 1...1000 : 1...1)
    }
}

/// An event as the daemon writes it, with hostile bytes wherever somebody chooses a name.
private func made(of strings: [[UInt8]], _ shape: UInt8) -> [UInt8] {
    func string(_ index: Int) -> [UInt8] { strings.isEmpty ? [] : strings[index % strings.count] }
    let isDeletion = shape & 4 != 0
    var line = JSONWriter()
    line.beginObject()
    if shape & 0x30 == 0x30 {
        line.string("event", "lost")
        line.text("stream", string(0))
        line.number("count", Int(shape))
        line.text("why", string(1))
        line.endObject()
        return line.bytes
    }
    line.string("event", isDeletion ? "delete" : "exec")
    line.time("time", 1_700_000_000_000_000_000)
    if shape & 8 != 0 { line.text("result", string(4)) }
    if isDeletion {
        line.text("how", string(5))
        line.text("replaced_by", string(1), raw: "replaced_by_raw")
        line.beginObject("file")
        line.text("path", string(0), raw: "path_raw")
        line.bool("path_truncated", shape & 16 != 0)
        line.endObject()
    }
    line.beginObject("process")
    line.number("pid", 1)
    line.text("name", string(1), raw: "name_raw")
    line.text("executable", string(2), raw: "executable_raw")
    line.beginArray("args")
    for string in strings { _ = unsafe line.text(string.span.bytes) }
    line.endArray()
    if shape & 16 != 0 {
        line.beginArray("args_raw")
        for string in strings { unsafe line.raw(string.span.bytes) }
        line.endArray()
    }
    line.text("working_directory", string(3), raw: "working_directory_raw")
    line.beginObject("user")
    line.number("id", 7)
    if shape & 32 != 0 { line.text("name", string(2)) }
    line.endObject()
    line.text("unit", string(0), raw: "unit_raw")
    line.endObject()
    line.endObject()
    return line.bytes
}

private func requireHarmless(_ output: ArraySlice<UInt8>, lines: ClosedRange<Int>) {
    guard let text = String(validating: output, as: UTF8.self) else { fatalError("output that is not UTF-8") }
    require(text.unicodeScalars.last == "\n", "a row without its end")
    require(lines.contains(output.count { $0 == UInt8(ascii: "\n") }), "not \(lines) lines: \(text.debugDescription)")
    for scalar in text.unicodeScalars where scalar != "\n" {
        let isHarmless =
            switch scalar.value {
            case 0..<0x20, 0x7f..<0xa0: false  // controls
            case 0x61c, 0x200e, 0x200f, 0x202a...0x202e, 0x2066...0x2069: false  // marks of direction
            case 0x2028, 0x2029: false  // separators of lines
            case 0xe0000...0xe0fff: false  // invisible
            default: true
            }
        require(isHarmless, "U+\(String(scalar.value, radix: 16)) in \(text.debugDescription)")
    }
}
