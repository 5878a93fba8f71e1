import CEvents
import EbeeProtocol
import EbeeRecord
import Glibc

@testable import EbeeServer
@testable import EbeeWindow

/// Records of any kind and content, one after the other, through the recorder into a window: afterwards each event is read, or counted as
/// given up, also by whoever adopts the window. Between them, the recorder settles its accounts and is replaced.
@Sendable func windowTarget(_ input: Input) {
    var input = input
    guard let first = try? Window(name: "fuzz", bytes: 1, maximumAge: 1 << 40, lanes: 2, doorbell: Doorbell()) else {
        return
    }
    var window = first
    var recorder = Recorder(window, processes: 16, redaction: secrets)
    var readers = [Reader(window.start), Reader(window.start)]
    // So that a few bytes fill segments.
    var copies = 0
    while !input.isEmpty, copies < 4096 {
        let action = input.byte()
        switch action % 16 {
        case 0: recorder.publish()
        case 1:
            let accounts = (0..<2).map { _ in
                ebee_account(
                    sequence: input.integer(UInt64.self), lost: input.integer(UInt64.self),
                    missed: input.integer(UInt64.self), unjoined: 0, open: 0, hidden: 0, padding: (0, 0))
            }
            recorder.settle(
                accounts: { accounts[$0] }, skipped: input.integer(UInt64.self), now: input.integer(UInt64.self))
        case 2:
            // Killed, and started again.
            guard let adopted = adopt(window) else { fatalError("a window of ours is not adopted") }
            window = adopted
            recorder = Recorder(window, processes: 16, redaction: secrets)
        case 3: readers[0].read(window)
        case 4: recorder.begin(generation: recorder.generation + 1, after: .attachedUntil(input.integer(UInt64.self)))
        default:
            let bytes = record(&input)
            // In order, as the ring keeps them, or as they come.
            let count = action & 0x80 != 0 ? Int(action >> 4) * 64 : 1
            for _ in 0..<count {
                copies += 1
                unsafe bytes.withUnsafeBytes { unsafe recorder.record($0) }
            }
        }
    }
    readers[1].read(window)
    readers[0].read(window)
    for reader in readers {
        require(reader.cursor.ordinal == window.end.ordinal, "\(reader.cursor.ordinal) of \(window.end.ordinal)")
        require(reader.seen == window.end.ordinal, "\(reader.seen) seen of \(window.end.ordinal)")
    }
    let state = window.state
    require(state.events + state.evicted == window.end.ordinal, "\(state)")
    guard let adopted = adopt(window) else { fatalError("a window of ours is not adopted") }
    require(adopted.end.ordinal == window.end.ordinal && adopted.end.position == window.end.position, "not the same")
}

/// A window's memory that something has written into: it is refused, or it is a window, which can be read and gone on with.
@Sendable func adoptTarget(_ input: Input) {
    var input = input
    guard let file = Damaged.memory else { return }
    Damaged.reset(file)
    while !input.isEmpty {
        // Near the beginning of the file, of a segment, of a record, or anywhere.
        let offset = Int(input.integer(UInt16.self))
        let segment = Int(input.byte()) % 5
        let base = segment == 0 ? 0 : Damaged.ledgerBytes + (segment - 1) * Damaged.segmentBytes
        let bytes = input.bytes(8)
        let count = unsafe pwrite(file, bytes, bytes.count, base + offset)
        require(count == bytes.count, "write")
    }
    guard
        let window = try? Window(
            adopting: fcntl(file, F_DUPFD_CLOEXEC, 0), maximumAge: 1 << 40, lanes: 2, doorbell: Doorbell())
    else { return }
    let recorder = Recorder(window, processes: 16, redaction: secrets)
    unsafe Damaged.deletion.withUnsafeBytes { unsafe recorder.record($0) }
    recorder.settle(accounts: { _ in ebee_account() }, now: 1 << 40)
    var reader = Reader(window.start)
    reader.read(window)
    _ = window.state
    _ = window.coveredSince
    _ = window.bookmark.map { window.cursor($0) }
    _ = window.cursor(since: 1 << 32)
    let source = Source(event: "delete", stream: "deletes", window: window)
    var writer = JSONWriter()
    // Few lines: what is written of a record is another target's.
    for recent in [
        Recent(filter: Filter(pid: [7])), Recent(limit: 3),
        Recent(since: .wall(nanoseconds: 0), until: .ago(nanoseconds: 5), limit: 3, reverse: true),
    ] {
        var answer = Question(.integer(1), recent, [source]).answer
        while answer.step(&writer) == .more { writer.removeAll() }
        writer.removeAll()
    }
    guard let larger = try? Window(name: "fuzz", bytes: 1, maximumAge: 1 << 40, lanes: 2, doorbell: Doorbell()) else {
        return
    }
    Recorder(larger, processes: 16).carry(over: window)
}

private let secrets = (try? Redaction(["*a ** b***c", "*** d", "x***"])) ?? .nothing

/// What somebody sees who reads on from a cursor.
private struct Reader {
    var cursor: Window.Cursor
    /// Events that were read, or that it was told of.
    var seen: UInt64 = 0
    private let batch = Batch()

    init(_ cursor: Window.Cursor) { self.cursor = cursor }

    mutating func read(_ window: Window) {
        while true {
            switch window.read(batch, at: &cursor) {
            case .end: return
            case .evicted(let count): seen += count
            case .records:
                while let sequence = batch.take(
                    moving: &cursor,
                    { header, bytes, _ in
                        require(bytes.byteCount == Int(header.size), "a record that is cut")
                        return header.sequence
                    })
                {
                    if sequence != 0 { seen += 1 }
                }
            }
        }
    }
}

private func adopt(_ window: Window) -> Window? {
    try? Window(
        adopting: fcntl(window.descriptor, F_DUPFD_CLOEXEC, 0), maximumAge: 1 << 40, lanes: 2, doorbell: Doorbell())
}
