import CTestSupport
import CEvents
import EbeeRecord
import EbeeTestSupport
import Testing

@testable import EbeeWindow

/// Nothing between ring and window allocates.
@Suite struct AllocationTests {
    /// The counter itself: it must see what Swift allocates.
    @Test func theCounterCounts() {
        let before = ebee_allocations()
        var kept: [[UInt8]] = []
        for size in 1...100 { kept.append([UInt8](repeating: 1, count: size * 100)) }
        #expect(kept.count == 100)
        #expect(ebee_allocations() - before >= 100)
    }

    @Test func aMillionRecords() throws {
        let window = try Window.small()
        let redaction = try Redaction(["*srv ** --token=***", "*a***", "***b ?"])
        let recorder = Recorder(window, processes: 1024, redaction: redaction)
        var process = ProcessFields {
            $0.kind = EBEE_PROCESS.rawValue; $0.sequence = 0
        }.bytes
        var execution = ProcessFields().bytes
        var deletion = DeleteFields().bytes
        var exit = exitBytes(time: 1, pid: 0, start: 4_999_000_000, duration: 5, status: 0)
        var sequence: UInt64 = 0

        func round(_ index: Int) {
            let pid = UInt32(truncatingIfNeeded: index % 5000)
            func send(_ bytes: inout [UInt8], isEvent: Bool) {
                // A gap now and then, so that marks are made too.
                if isEvent { sequence += index % 100 == 0 ? 2 : 1 }
                unsafe bytes.withUnsafeMutableBytes { raw in
                    if isEvent { unsafe raw.storeBytes(of: sequence, toByteOffset: 8, as: UInt64.self) }
                    unsafe raw.storeBytes(of: UInt64(index + 1), toByteOffset: 16, as: UInt64.self)
                    unsafe raw.storeBytes(of: pid, toByteOffset: 24, as: UInt32.self)
                    unsafe recorder.record(UnsafeRawBufferPointer(raw))
                }
            }
            send(&process, isEvent: false)
            send(&deletion, isEvent: true)
            send(&execution, isEvent: true)
            send(&exit, isEvent: false)
            if index % 10 == 0 { recorder.publish() }
            if index % 1000 == 0 {
                recorder.settle(
                    accounts: { _ in
                        ebee_account(
                            sequence: sequence, lost: 0, missed: 0, unjoined: 0, open: 0, hidden: 0, padding: (0, 0))
                    }, now: 1)
            }
        }

        for index in 0..<10_000 { round(index) }  // what is made once, is made here
        let before = ebee_allocations()
        for index in 10_000..<260_000 { round(index) }
        let allocated = ebee_allocations() - before
        #expect(allocated == 0, "\(allocated) allocations for 1000000 records")
        #expect(recorder.lost.malformed == 0)
        #expect(recorder.lost.events > 2000)
        #expect(window.state.evicted > 400_000)
    }
}
