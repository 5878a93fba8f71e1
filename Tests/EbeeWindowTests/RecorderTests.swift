import CEvents
import EbeeRecord
import EbeeTestSupport
import Testing

@testable import EbeeWindow

@Suite struct RecorderTests {
    @Test func gapsBecomeMarksInTheirPlace() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(execution(1, lane: 0, time: 10))
        recorder.record(execution(1, lane: 1, time: 11))
        recorder.record(execution(5, lane: 0, time: 20))
        recorder.record(execution(2, lane: 1, time: 21))
        recorder.record(execution(4, lane: 1, time: 30))
        recorder.record(execution(6, lane: 0, time: 31))
        recorder.publish()
        let all = window.all
        #expect(all.map(\.header.kind) == [1, 1, 5, 1, 1, 5, 1, 1].map { UInt16($0) })
        let first = try #require(all[2].lost)
        #expect(first.count == 3 && first.from == 10 && first.to == 20 && first.header.lane == 0)
        #expect(first.why == EBEE_RING_FULL.rawValue && first.header.time == 20 && first.header.sequence == 0)
        let second = try #require(all[5].lost)
        #expect(second.count == 1 && second.from == 21 && second.to == 30 && second.header.lane == 1)
        #expect(recorder.lost.events == 4)
        #expect(window.state.events == 6, "a mark is no event")
    }

    @Test func lossesBeforeTheFirstRecord() throws {
        let before = Clock.boot()
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(execution(4, time: Clock.boot() + second))
        recorder.publish()
        let mark = try #require(window.all.first?.lost)
        #expect(mark.count == 3 && mark.from >= before && mark.from < mark.to)
    }

    /// Nothing comes after what was lost: the kernel's own count shows it, at the second look.
    @Test func lossesAtTheEnd() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(execution(1, lane: 0, time: 10))
        recorder.settle(sequences: [3, 2], lost: [2, 2], now: 100)
        #expect(recorder.lost.events == 0, "what is under way may still come")
        recorder.settle(sequences: [3, 2], lost: [2, 2], now: 200)
        let marks = window.all.compactMap(\.lost)
        try #require(marks.count == 2)
        #expect(marks[0].count == 2 && marks[0].from == 10 && marks[0].to == 200 && marks[0].header.lane == 0)
        #expect(marks[1].count == 2 && marks[1].to == 200 && marks[1].header.lane == 1)
        #expect(marks.allSatisfy { $0.why == EBEE_RING_FULL.rawValue })
        recorder.settle(sequences: [3, 2], lost: [2, 2], now: 300)
        recorder.record(execution(4, lane: 0, time: 310))
        recorder.publish()
        #expect(recorder.lost.events == 4, "each is counted once")
        #expect(window.all.compactMap(\.lost).count == 2)
    }

    @Test func whatCameInTimeIsNotLost() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.settle(sequences: [2], now: 100)
        recorder.record(execution(1, time: 90))
        recorder.record(execution(2, time: 95))
        recorder.settle(sequences: [2], now: 200)
        #expect(recorder.lost.events == 0)
    }

    /// A record whose writer was interrupted comes late: it is counted by the kernel, not lost, and in the window once.
    @Test func whatIsStillBeingWrittenIsNotLost() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.settle(sequences: [1], now: 100)
        recorder.settle(sequences: [1], now: 200)
        recorder.settle(sequences: [1], now: 300)
        #expect(recorder.lost.events == 0)
        recorder.record(execution(1, time: 90))
        recorder.publish()
        #expect(window.all.count == 1 && recorder.lost.events == 0)
    }

    /// The ring is full behind a record that is still being written: which are lost shows when it is read.
    @Test func whatIsHeldUpIsNotLost() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        for now in [100, 200, 300] as [UInt64] {
            recorder.settle(sequences: [9], lost: [2], hasArrived: false, now: now)
            #expect(recorder.lost.events == 0)
        }
        // 3 and 7 found it full.
        for sequence in [1, 2, 4, 5, 6, 8, 9] as [UInt64] { recorder.record(execution(sequence, time: 90 + sequence)) }
        recorder.settle(sequences: [9], lost: [2], now: 400)
        recorder.settle(sequences: [9], lost: [2], now: 500)
        #expect(recorder.lost.events == 2)
        #expect(window.all.map(\.header.sequence) == [1, 2, 0, 4, 5, 6, 0, 8, 9])
    }

    /// The programs are gone, and what holds up their ring stays.
    @Test func whatIsNeverReadIsLost() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(execution(1, time: 90))
        recorder.settle(sequences: [9], lost: [2], hasArrived: false, now: 100)
        recorder.settle(sequences: [9], lost: [2], isLast: true, now: 200)
        #expect(window.all.compactMap(\.lost).map(\.count) == [2, 6])
        #expect(recorder.lost.events == 8 && recorder.lost.missed == 6)
    }

    @Test func missedEvents() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.settle(sequences: [0, 0], missed: [0, 5], now: 100)
        recorder.settle(sequences: [0, 0], missed: [0, 7], now: 200)
        recorder.settle(sequences: [0, 0], missed: [0, 7], now: 300)
        let marks = window.all.compactMap(\.lost)
        #expect(marks.map(\.count) == [5, 2])
        #expect(marks.allSatisfy { $0.why == EBEE_MISSED.rawValue && $0.header.lane == 1 })
        #expect(recorder.lost.events == 7)
    }

    @Test func exitsCompleteTheRightExecution() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(execution(1, time: 10, pid: 7, start: 1))
        recorder.record(execution(2, time: 20, pid: 7, start: 15))  // the same pid again
        recorder.record(execution(3, time: 30, pid: 8, start: 1))
        recorder.record(execution(4, time: 40, pid: 8, start: 1))  // the same process executes again
        recorder.record(exitBytes(time: 50, pid: 7, start: 1, duration: 40, status: 0x100))
        recorder.record(exitBytes(time: 60, pid: 8, start: 1, duration: 20, status: 9))
        recorder.record(exitBytes(time: 70, pid: 9, start: 1, duration: 1, status: 0))  // of nobody
        recorder.record(exitBytes(time: 70, pid: 7, start: 99, duration: 1, status: 0))
        recorder.publish()
        let processes = window.all.compactMap(\.process)
        #expect(window.all.count == 4, "exits are not stored")
        #expect(processes.map(\.exit_status) == [0x10100, 0, 0, 0x10009])
        #expect(processes.map(\.exit_duration) == [40, 0, 0, 20])
        recorder.record(exitBytes(time: 80, pid: 7, start: 1, duration: 99, status: 0))
        #expect(window.all.first?.process?.exit_duration == 40, "an exit counts once")
    }

    /// What a process fails to execute doesn't run: its exit is that of what ran before.
    @Test func exitsPassFailedExecutions() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        func failed(_ sequence: UInt64, time: UInt64, pid: UInt32) -> [UInt8] {
            ProcessFields {
                $0.sequence = sequence
                $0.time = time
                $0.pid = pid
                $0.start = 1
                $0.fail("tool", from: "/srv")
            }.bytes
        }
        recorder.record(execution(1, time: 10, pid: 7, start: 1))
        recorder.record(failed(2, time: 20, pid: 7))
        recorder.record(failed(3, time: 25, pid: 8))  // of a process whose own execution is not known
        recorder.record(exitBytes(time: 30, pid: 7, start: 1, duration: 20, status: 0x7f00))
        recorder.record(exitBytes(time: 40, pid: 8, start: 1, duration: 1, status: 9))
        recorder.publish()
        let processes = window.all.compactMap(\.process)
        #expect(processes.map(\.result) == [0, -2, -2])
        #expect(processes.map(\.exit_status) == [0x17f00, 0, 0])
        #expect(processes.map(\.exit_duration) == [20, 0, 0])
        #expect(window.state.events == 3, "a failed execution is an event")
    }

    @Test func exitOfAnExecutionThatWasGivenUp() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(execution(1, time: 1, pid: 7, start: 1))
        for sequence in 2...10_000 as ClosedRange<UInt64> {
            recorder.record(execution(sequence, time: sequence, pid: 8, start: sequence))
        }
        recorder.publish()
        let before = window.all
        recorder.record(exitBytes(time: 10_001, pid: 7, start: 1, duration: 9, status: 0))
        recorder.publish()
        #expect(window.all.map(\.bytes) == before.map(\.bytes))
    }

    @Test func malformedRecordsAreCountedAndLeftOut() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record([])
        recorder.record(Array(repeating: 0xff, count: 64))
        var bytes = execution(1, time: 1)
        bytes.put(UInt16(9), at: 4)
        recorder.record(bytes)
        recorder.publish()
        #expect(recorder.lost.malformed == 3)
        #expect(window.all.isEmpty)
    }

    /// A lane that the machine can't have: kept, and not followed.
    @Test func strangeCpu() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(execution(9, lane: 500, time: 1))
        recorder.publish()
        #expect(window.all.count == 1 && recorder.lost.events == 0)
    }

    /// Whatever is given up: what a deletion refers to is in its own segment, and the newest that was said of its process.
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func everySegmentStandsAlone(seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let window = try Window.small()
        let recorder = Recorder(window)
        var tellings: [UInt32: UInt32] = [:]  // by pid, how often it was described
        var expected: [UInt64: UInt32] = [:]  // by sequence number of the deletion, the telling it belongs to
        var sequence: UInt64 = 0
        for _ in 0..<12_000 {
            let pid = UInt32.random(in: 1...40, using: &generator)
            if tellings[pid] == nil ? Bool.random(using: &generator) : Int.random(in: 0..<50, using: &generator) == 0 {
                tellings[pid, default: 0] += 1
                let arguments = Int.random(in: 0..<3000, using: &generator)
                recorder.record(
                    ProcessFields {
                        $0.kind = EBEE_PROCESS.rawValue
                        $0.sequence = 0
                        $0.pid = pid
                        $0.start = UInt64(pid) * 3
                        $0.argumentsCount = tellings[pid] ?? 0
                        $0.arguments = Array(repeating: 65, count: arguments)
                    }.bytes)
            }
            sequence += 1
            expected[sequence] = tellings[pid]
            let name = Int.random(in: 1..<200, using: &generator)
            recorder.record(
                DeleteFields {
                    $0.sequence = sequence
                    $0.pid = pid
                    $0.start = UInt64(pid) * 3
                    $0.name = Array(repeating: 65, count: name)
                }.bytes)
        }
        recorder.publish()
        let all = window.all
        let processes = Dictionary(uniqueKeysWithValues: all.filter { $0.process != nil }.map { ($0.position, $0) })
        let deletions = all.filter { $0.deletion != nil }
        #expect(deletions.count > 500 && deletions.count < 12_000)
        for record in deletions {
            let deletion = try #require(record.deletion)
            guard let telling = expected[record.header.sequence] else {
                #expect(deletion.process == 0)
                continue
            }
            let referred = try #require(processes[deletion.process], "nothing at \(deletion.process)")
            #expect(window.segment(at: deletion.process) == window.segment(at: record.position))
            #expect(referred.position < record.position)
            #expect(referred.header.pid == record.header.pid && referred.process?.start == deletion.start)
            #expect(referred.process?.arguments_count == telling)
        }
        #expect(window.state.events + window.state.evicted == sequence)
    }

    @Test func deleterOfWhomNothingWasSaid() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(DeleteFields().bytes)
        recorder.publish()
        #expect(window.all.first?.deletion?.process == 0)
    }

    /// What the process was before it executed something else, with another user's rights perhaps, is not who deleted.
    @Test func deleterWhoseNewDescriptionWasLost() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(
            ProcessFields {
                $0.kind = EBEE_PROCESS.rawValue
                $0.sequence = 0
            }.bytes)
        recorder.record(DeleteFields { $0.sequence = 1 }.bytes)
        recorder.record(
            DeleteFields {
                $0.sequence = 2
                $0.flags = EBEE_PROCESS_LOST.rawValue
            }.bytes)
        recorder.publish()
        let deletions = window.all.compactMap(\.deletion)
        #expect(deletions.count == 2)
        #expect(deletions.first?.process != 0 && deletions.last?.process == 0)
    }
}

@Suite struct PositionIndexTests {
    @Test func findsTheNewest() {
        var index = PositionIndex(capacity: 64)
        index.insert(pid: 1, start: 1, position: 64)
        index.insert(pid: 1, start: 2, position: 128)
        index.insert(pid: 1, start: 1, position: 192)
        #expect(index.find(pid: 1, start: 1) == 192)
        #expect(index.find(pid: 1, start: 2) == 128)
        #expect(index.find(pid: 1, start: 3) == nil)
        #expect(index.find(pid: 9, start: 1) == nil)
        index.remove(pid: 1, start: 1)
        #expect(index.find(pid: 1, start: 1) == nil)
        #expect(index.find(pid: 1, start: 2) == 128)
    }

    /// Eight of one hash; one more takes the place of the oldest.
    @Test func theOldestGivesWay() {
        var index = PositionIndex(capacity: 64)
        for start in 1...8 as ClosedRange<UInt64> { index.insert(pid: 3, start: start, position: 1000 - start) }
        index.insert(pid: 11, start: 1, position: 5000)
        #expect(index.find(pid: 3, start: 8) == nil)
        for start in 1...7 as ClosedRange<UInt64> { #expect(index.find(pid: 3, start: start) == 1000 - start) }
        #expect(index.find(pid: 11, start: 1) == 5000)
        index.remove(pid: 3, start: 2)
        index.insert(pid: 19, start: 1, position: 1)
        #expect(index.find(pid: 19, start: 1) == 1, "a free place is taken first")
        #expect(index.find(pid: 3, start: 7) == 993)
    }
}
