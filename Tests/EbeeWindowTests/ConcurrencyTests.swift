import CEvents
import Dispatch
import EbeeRecord
import EbeeTestSupport
import Glibc
import Synchronization
import Testing

@testable import EbeeWindow

/// Records that show when a byte of them is wrong: the sequence number stands at both ends, and what is between is one of
/// a few known patterns.
private struct Pattern: Sendable {
    private let templates: [[UInt8]]

    init() {
        templates = (0..<64).map { index in
            ProcessFields { $0.arguments = Array(repeating: UInt8(index + 1), count: 8 + index * index) }.bytes
        }
    }

    func record(_ sequence: UInt64) -> [UInt8] {
        var bytes = templates[Int(sequence % 64)]
        bytes.put(sequence, at: 8)
        bytes.put(sequence, at: bytes.count - 8)
        return bytes
    }

    func isIntact(_ header: RecordHeader, _ bytes: RawSpan) -> Bool {
        let template = templates[Int(header.sequence % 64)]
        guard bytes.byteCount == template.count else { return false }
        let tail = unsafe bytes.unsafeLoad(fromByteOffset: bytes.byteCount - 8, as: UInt64.self)
        return unsafe tail == header.sequence
            && template.withUnsafeBytes { known in
                unsafe bytes.withUnsafeBytes { read in
                    // Behind the sequence number.
                    unsafe memcmp(
                        known.baseAddress.unsafelyUnwrapped + 16, read.baseAddress.unsafelyUnwrapped + 16,
                        template.count - 24) == 0
                }
            }
    }
}

@Suite(.serialized) struct ConcurrencyTests {
    private final class Run: Sendable {
        let isWriting = Atomic<Bool>(true)
        let generated = Atomic<UInt64>(0)
        let faults = Mutex<[String]>([])
        let evicted = Atomic<UInt64>(0)
        let read = Atomic<UInt64>(0)

        func fault(_ text: String) { faults.withLock { if $0.count < 10 { $0.append(text) } } }
    }

    private static func write(_ window: Window, _ run: Run, _ pattern: Pattern, seconds: UInt64) {
        let recorder = Recorder(window)
        let end = Clock.boot() + seconds * second
        var sequence: UInt64 = 0
        while Clock.boot() < end {
            for _ in 0..<100 {
                sequence += 1
                recorder.record(pattern.record(sequence))
                if sequence % 7 == 0 { recorder.publish() }
            }
        }
        recorder.publish()
        run.generated.store(sequence, ordering: .releasing)
        run.isWriting.store(false, ordering: .releasing)
    }

    /// Every event is read, or counted as evicted: never both, never neither, for readers of any speed.
    @Test func everyEventIsReadOrCounted() throws {
        let window = try Window.small()
        let run = Run()
        let pattern = Pattern()
        let done = DispatchGroup()
        for delay in [0, 0, 2000, 20_000] as [UInt32] {
            let cursor = window.start
            done.enter()
            try startThread(name: "reader") {
                Self.follow(window, from: cursor, run, pattern, delay: delay)
                done.leave()
            }
        }
        done.enter()
        try startThread(name: "writer") {
            Self.write(window, run, pattern, seconds: 2)
            done.leave()
        }
        done.wait()
        #expect(run.faults.withLock { $0 } == [])
        #expect(run.evicted.load(ordering: .relaxed) > 0, "no reader fell behind: the test shows nothing")
        #expect(run.read.load(ordering: .relaxed) > run.generated.load(ordering: .relaxed), "hardly anything was read")
    }

    private static func follow(
        _ window: Window, from start: Window.Cursor, _ run: Run, _ pattern: Pattern, delay: UInt32
    ) {
        let batch = Batch()
        var cursor = start
        var seen: UInt64 = 0
        while true {
            let wasWriting = run.isWriting.load(ordering: .acquiring)
            switch window.read(batch, at: &cursor) {
            case .evicted(let count):
                seen += count
                run.evicted.add(count, ordering: .relaxed)
            case .records:
                while let header = batch.next {
                    seen += 1
                    if header.sequence != seen { return run.fault("\(header.sequence) came where \(seen) was due") }
                    let isIntact = batch.take(moving: &cursor) { header, bytes, _ in pattern.isIntact(header, bytes) }
                    if isIntact != true { return run.fault("\(seen) is damaged") }
                    if cursor.ordinal != seen { return run.fault("ordinal \(cursor.ordinal) at \(seen)") }
                    run.read.add(1, ordering: .relaxed)
                }
                if delay > 0 { usleep(delay) }
            case .end:
                if !wasWriting {
                    let generated = run.generated.load(ordering: .acquiring)
                    if seen != generated { run.fault("\(seen) seen of \(generated)") }
                    return
                }
                usleep(100)
            }
        }
    }

    /// A reader that begins at the end, as `tail` does, knows how many came before it.
    @Test func theEndKnowsItsOrdinal() throws {
        let window = try Window.small()
        let run = Run()
        let pattern = Pattern()
        let done = DispatchGroup()
        for begin in [\Window.end, \Window.start] as [KeyPath<Window, Window.Cursor> & Sendable] {
            done.enter()
            try startThread(name: "reader") {
                let batch = Batch()
                while run.isWriting.load(ordering: .acquiring) {
                    var cursor = window[keyPath: begin]
                    let ordinal = cursor.ordinal
                    guard case .records = window.read(batch, at: &cursor), let first = batch.next else { continue }
                    if first.sequence != ordinal + 1 { run.fault("\(first.sequence) follows upon \(ordinal)") }
                    run.read.add(1, ordering: .relaxed)
                }
                done.leave()
            }
        }
        done.enter()
        try startThread(name: "writer") {
            Self.write(window, run, pattern, seconds: 1)
            done.leave()
        }
        done.wait()
        #expect(run.faults.withLock { $0 } == [])
        #expect(run.read.load(ordering: .relaxed) > 100)
    }
}
