import CEvents
import EbeeRecord
import Glibc
import Testing

@testable import EbeeKernel
@testable import EbeeWindow

/// A ring that is too small and that nobody drains: what does not fit is counted, and the counts balance.
@Suite(.requiresKernel, .serialized) struct LossTests {
    /// The ring's reader, by hand, so that it drains when the test wants it to.
    private final class HandDrain {
        let program: Program
        let recorder: Recorder
        private let ring: Ring
        private let counts: Accounts

        init(_ program: consuming Program, _ window: Window) throws {
            let recorder = Recorder(window)
            self.recorder = recorder
            counts = try Accounts(of: program)
            ring = unsafe try Ring(program.handles.ring, name: "test") { bytes in
                unsafe recorder.record(bytes)
                return true
            }
            self.program = program
        }

        func consume() throws {
            _ = try ring.consume()
            recorder.publish()
        }

        func accounts() -> [ebee_account] { (0..<counts.lanes).map { counts[$0] } }
    }

    @Test func countsBalance() throws {
        let window = try Window(
            name: "test", bytes: 32 << 20, maximumAge: .max / 2, lanes: Program.lanes(), doorbell: Doorbell())
        let settings = ProgramSettings(ringBytes: 65_536, argumentBytes: 1024, failed: true)
        let drain = try HandDrain(Program.attach(.deletes, settings: settings), window)
        let directory = temporaryDirectory()
        defer { _ = unsafe rmdir(directory) }
        for _ in 0..<2 {
            // 2000 deletions are some 400 KB.
            let child = try Child(
                ["/bin/sh", "-c", "i=0; while [ $i -lt 2000 ]; do :>f$i; i=$((i+1)); done; rm f*"], directory: directory
            )
            #expect(child.finish() == 0)
            try drain.consume()
        }
        // One more, so that the gap shows between records; the rest shows at the second look.
        let child = try Child(["/bin/rm", "-f", "missing"], directory: directory)
        child.finish()
        try drain.consume()
        var accounts = drain.accounts()
        for _ in 0..<20 {
            let before = accounts
            drain.recorder.settle(accounts: { before[$0] }, now: Clock.boot())
            try drain.consume()
            accounts = drain.accounts()
            if zip(before, accounts).allSatisfy({ $0.sequence == $1.sequence }) { break }
        }
        drain.recorder.settle(accounts: { accounts[$0] }, now: Clock.boot())
        drain.recorder.publish()

        let records = window.records(from: window.start)
        let events = records.filter { $0.header.sequence != 0 }
        let marks = records.filter { $0.header.kind == RecordKind.lost }.map {
            unsafe $0.bytes.span.bytes.head(ebee_lost.self)
        }
        let generated = accounts.reduce(0) { $0 + $1.sequence }
        let lost = accounts.reduce(0) { $0 + $1.lost }
        #expect(generated >= 4001)
        #expect(lost > 2000, "the ring held it all: the test shows nothing")
        #expect(generated == UInt64(events.count) + lost)
        #expect(marks.reduce(0) { $0 + $1.count } == lost && drain.recorder.lost.events == lost)
        #expect(drain.recorder.lost.malformed == 0)
        for (lane, account) in accounts.enumerated() {
            let own = events.filter { $0.header.lane == UInt16(lane) }
            let marked = marks.filter { $0.header.lane == UInt16(lane) }.reduce(0) { $0 + $1.count }
            #expect(account.sequence == UInt64(own.count) + marked, "lane \(lane)")
            #expect(marked == account.lost, "lane \(lane)")
        }
        #expect(marks.allSatisfy { $0.from < $0.to && $0.why == EBEE_RING_FULL.rawValue })
    }
}
