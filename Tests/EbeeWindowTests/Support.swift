import CEvents
import EbeeRecord
import EbeeTestSupport

@testable import EbeeWindow

let second: UInt64 = 1_000_000_000

extension Window {
    /// A window of four segments, as small as there is.
    static func small(maximumAge: UInt64 = .max / 2) throws -> Window {
        try Window(name: "test", bytes: 1, maximumAge: maximumAge, lanes: 2, doorbell: Doorbell())
    }

    /// Everything behind a cursor.
    func records(at cursor: inout Cursor) -> (records: [Stored], evicted: UInt64) {
        let batch = Batch()
        var records: [Stored] = []
        var evicted: UInt64 = 0
        while true {
            switch read(batch, at: &cursor) {
            case .end: return (records, evicted)
            case .evicted(let count): evicted += count
            case .records:
                while let record = batch.take(
                    moving: &cursor,
                    { header, bytes, position in
                        Stored(header: header, bytes: bytes.copy(0..<bytes.byteCount), position: position)
                    })
                {
                    records.append(record)
                }
            }
        }
    }

    var all: [Stored] {
        var cursor = start
        return records(at: &cursor).records
    }

    /// The number of the segment that a position is in.
    func segment(at position: UInt64) -> UInt64 { position / UInt64(segmentBytes) }
}

/// A record that was read.
struct Stored {
    let header: RecordHeader
    let bytes: [UInt8]
    let position: UInt64

    var lost: ebee_lost? {
        header.kind == RecordKind.lost ? unsafe bytes.span.bytes.head(ebee_lost.self) : nil
    }
    var deletion: ebee_delete? {
        header.kind == RecordKind.delete ? unsafe bytes.span.bytes.head(ebee_delete.self) : nil
    }
    var process: ebee_process? {
        header.kind == RecordKind.exec || header.kind == RecordKind.process
            ? unsafe bytes.span.bytes.head(ebee_process.self) : nil
    }
}

extension Recorder {
    func record(_ bytes: [UInt8]) { unsafe bytes.withUnsafeBytes { unsafe record($0) } }

    /// Compares with the kernel's count: by lane, how many events there were, and how many of them found the ring full.
    func settle(
        sequences: [UInt64], lost: [UInt64] = [], missed: [UInt64] = [], hasArrived: Bool = true, isLast: Bool = false,
        now: UInt64
    ) {
        settle(
            accounts: { lane in
                ebee_account(
                    sequence: lane < sequences.count ? sequences[lane] : 0, lost: lane < lost.count ? lost[lane] : 0,
                    missed: lane < missed.count ? missed[lane] : 0, unjoined: 0,
                    open: 0, hidden: 0, padding: (0, 0))
            }, hasArrived: hasArrived, isLast: isLast, now: now)
    }
}

func execution(_ sequence: UInt64, lane: UInt16 = 0, time: UInt64, pid: UInt32 = 10, start: UInt64 = 1) -> [UInt8] {
    ProcessFields {
        $0.sequence = sequence
        $0.lane = lane
        $0.time = time
        $0.pid = pid
        $0.start = start
    }.bytes
}
