import CEvents
import EbeeRecord
import EbeeTestSupport
import Synchronization
import Synchronization
import Testing

@testable import EbeeWindow

@Suite struct WindowTests {
    @Test func doorbell() {
        let bell = Doorbell()
        let woken = Mutex<[Int]>([])
        let waiters = (0..<3).map { index in bell.notify { woken.withLock { $0.append(index) } } }
        bell.forget(waiters[1])
        bell.ring()
        #expect(woken.withLock { $0.sorted() } == [0, 2])
        bell.ring()
        bell.forget(waiters[0])
        #expect(woken.withLock { $0.count } == 2)
    }

    @Test func emptyWindow() throws {
        let window = try Window.small()
        #expect(window.segmentCount == 4)
        #expect(window.all.isEmpty)
        #expect(window.state.events == 0 && window.state.evicted == 0)
        #expect(window.state.oldest == nil && window.state.newest == nil)
        #expect(window.copy(at: 0) == nil)
    }

    /// Each record is seen at once, so that a killed daemon has it; readers are woken once for many.
    @Test func readersAreWokenOnceForMany() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        let rings = Mutex(0)
        func wait() { window.doorbell.notify { rings.withLock { $0 += 1 } } }
        wait()
        recorder.record(execution(1, time: second))
        #expect(window.all.count == 1 && rings.withLock { $0 } == 0)
        recorder.publish()
        #expect(rings.withLock { $0 } == 1)
        wait()
        for sequence in 2...256 as ClosedRange<UInt64> { recorder.record(execution(sequence, time: second)) }
        #expect(rings.withLock { $0 } == 1)
        recorder.record(execution(257, time: second))
        #expect(rings.withLock { $0 } == 2, "each 256 ring")
    }

    @Test func recordsAcrossSegments() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        let size = execution(1, time: 1).count
        let count = UInt64(3 * window.segmentBytes / size)
        for sequence in 1...count { recorder.record(execution(sequence, time: sequence)) }
        recorder.publish()
        let all = window.all
        #expect(all.map(\.header.sequence) == Array(1...count))
        for record in all {
            #expect(record.bytes == execution(record.header.sequence, time: record.header.sequence))
            #expect(window.copy(at: record.position) == record.bytes)
            let end = record.position + UInt64(record.bytes.count) - 1
            #expect(window.segment(at: record.position) == window.segment(at: end), "a record is in one segment")
        }
        #expect(window.segment(at: all.last?.position ?? 0) >= 2)
        #expect(window.state.events == count && window.state.evicted == 0)
        #expect(window.state.oldest == 1 && window.state.newest == count)
    }

    @Test func aReaderThatIsBehindIsToldExactly() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        var cursor = window.start
        recorder.record(execution(1, time: 1))
        recorder.publish()
        let first = window.records(at: &cursor)
        #expect(first.records.count == 1 && first.evicted == 0)
        let count: UInt64 = 10_000
        for sequence in 2...count { recorder.record(execution(sequence, time: sequence)) }
        recorder.publish()
        let rest = window.records(at: &cursor)
        #expect(rest.evicted > 0)
        #expect(rest.evicted + UInt64(rest.records.count) == count - 1)
        #expect(rest.records.first?.header.sequence == rest.evicted + 2)
        #expect(rest.records.last?.header.sequence == count)
        #expect(cursor.ordinal == count)
        #expect(window.state.evicted == rest.evicted + 1)
        #expect(window.copy(at: first.records[0].position) == nil, "it was given up")
    }

    @Test func longestRecord() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        var fields = ProcessFields { $0.arguments = [] }
        fields.arguments = Array(repeating: 65, count: Window.recordLimit - fields.bytes.count)
        for sequence in 1...20 as ClosedRange<UInt64> {
            fields.sequence = sequence
            recorder.record(fields.bytes)
        }
        fields.arguments += Array(repeating: 65, count: 8)
        fields.sequence = 21
        recorder.record(fields.bytes)
        recorder.publish()
        #expect(recorder.lost.malformed == 1)
        #expect(window.all.last?.header.sequence == 20)
        #expect(window.all.last?.bytes.count == Window.recordLimit)
    }

    /// Times that go back and forth by up to a second, as those of several lanes do.
    @Test func cursorSinceSkipsNothingInRange() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        var generator = SeededGenerator(5)
        var times: [UInt64] = []
        for sequence in 1...3000 as ClosedRange<UInt64> {
            let time = 10 * second + sequence * second / 100 - UInt64.random(in: 0..<second, using: &generator)
            times.append(time)
            recorder.record(execution(sequence, time: time))
        }
        recorder.publish()
        let held = window.all
        for _ in 0..<200 {
            let since = UInt64.random(in: 0..<45 * second, using: &generator)
            var cursor = window.cursor(since: since)
            let begin = cursor.ordinal
            let found = Set(window.records(at: &cursor).records.map(\.header.sequence))
            for record in held where record.header.time >= since { #expect(found.contains(record.header.sequence)) }
            #expect(begin + UInt64(found.count) == 3000)
        }
        var late = window.cursor(since: 60 * second)
        #expect(window.records(at: &late).records.count < held.count / 2, "old segments are passed over")
    }

    @Test func ageIsBounded() throws {
        let window = try Window.small(maximumAge: 160 * second)
        let recorder = Recorder(window)
        for sequence in 1...100 as ClosedRange<UInt64> {
            let now = sequence * 10 * second
            recorder.record(execution(sequence, time: now))
            recorder.publish()
            recorder.settle(sequences: [sequence], now: now)
        }
        #expect(window.state.newest == 1000 * second)
        let oldest = try #require(window.state.oldest)
        // A segment goes when its last record is too old; with four segments it spans half of the age.
        #expect(oldest >= (1000 - 240 - 20) * second && oldest <= (1000 - 160 + 10) * second)
        #expect(window.state.events + window.state.evicted == 100)
        recorder.settle(sequences: [100], now: 1400 * second)
        recorder.settle(sequences: [100], now: 1400 * second)
        #expect(window.all.isEmpty)
        #expect(window.state.events == 0 && window.state.evicted == 100)
    }

    /// Segments that are begun because of their age must not push out what is not old: there is room.
    @Test(arguments: [1, 1 << 20, 2 << 20, 8 << 20])
    func whatHasRoomIsKeptForItsAge(bytes: Int) throws {
        let age = 3600 * second
        let window = try Window(name: "test", bytes: bytes, maximumAge: age, lanes: 2, doorbell: Doorbell())
        let recorder = Recorder(window)
        let begin = 1000 * second
        for sequence in 1...1500 as ClosedRange<UInt64> {
            let now = begin + sequence * 10 * second
            recorder.record(execution(sequence, time: now))
            recorder.publish()
            recorder.settle(sequences: [sequence], now: now)
            let oldest = try #require(window.state.oldest)
            if now - begin > age, now - oldest < age - 20 * second {
                Issue.record(
                    "at \(sequence) the oldest of \(window.segmentCount) segments is \((now - oldest) / second) s old")
                return
            }
        }
    }
}
