import CEvents
import EbeeRecord
import EbeeTestSupport
import Glibc
import Testing

@testable import EbeeWindow

/// A window whose process is gone, and the one that goes on with it.
@Suite struct AdoptionTests {
    /// The window as the next process finds it, on a mapping of its own.
    private func adopt(_ window: Window, lanes: Int = 2) throws -> Window {
        try Window(
            adopting: fcntl(window.descriptor, F_DUPFD_CLOEXEC, 0), maximumAge: .max / 2, lanes: lanes,
            doorbell: Doorbell())
    }

    @Test func nothingIsLostOrDoubled() throws {
        let first = try Window.small()
        var (window, recorder) = (first, Recorder(first))
        var sequences: [UInt64] = [0, 0]
        var random = SeededGenerator(7)
        var expected: [UInt64] = []
        // Long enough for the oldest segments to be given up, and segments that begin at every place.
        for time in 1...3000 as ClosedRange<UInt64> {
            let lane = Int.random(in: 0..<2, using: &random)
            sequences[lane] += 1
            let bytes = ProcessFields {
                $0.sequence = sequences[lane]
                $0.lane = UInt16(lane)
                $0.time = time
                $0.arguments = Array(repeating: 65, count: Int.random(in: 0..<4000, using: &random))
            }.bytes
            recorder.record(bytes)
            expected.append(time)
            guard Int.random(in: 0..<20, using: &random) == 0 else { continue }
            window = try adopt(window)
            recorder = Recorder(window)
            // Killed before it could tell the ring that this one was taken.
            if Bool.random(using: &random) { recorder.record(bytes) }
        }
        let times = window.all.map(\.header.time)
        #expect(times == Array(expected.suffix(times.count)))
        #expect(window.state.events + window.state.evicted == 3000)
        #expect(window.state.evicted > 0, "the window held it all: the test shows less")
        #expect(recorder.lost.events == 0)
        #expect(window.identity == first.identity)
    }

    @Test func whatWasLostStaysCountedOnce() throws {
        let first = try Window.small()
        var recorder = Recorder(first)
        recorder.record(execution(1, time: 10))
        recorder.record(execution(5, time: 20))
        recorder.settle(sequences: [7], lost: [5], missed: [2], now: 100)
        recorder = Recorder(try adopt(first))
        #expect(recorder.lost.events == 5, "3 in a gap, 2 missed")
        recorder.settle(sequences: [7], lost: [5], missed: [2], now: 200)
        recorder.settle(sequences: [7], lost: [5], missed: [2], now: 300)
        #expect(recorder.lost.events == 7, "and 2 at the end")
        #expect(recorder.lost.missed == 2)
        let window = try adopt(first)
        recorder = Recorder(window)
        recorder.settle(sequences: [7], lost: [5], missed: [2], now: 400)
        recorder.record(execution(8, time: 410))
        #expect(recorder.lost.events == 7)
        #expect(window.all.compactMap(\.lost).map(\.count).reduce(0, +) == 7)
    }

    @Test func processesAreRemembered() throws {
        let window = try Window.small()
        Recorder(window).record(execution(1, time: 10, pid: 77, start: 5))
        let recorder = Recorder(try adopt(window))
        recorder.record(
            DeleteFields {
                $0.sequence = 2
                $0.time = 25
                $0.pid = 77
                $0.start = 5
            }.bytes)
        recorder.record(exitBytes(time: 30, pid: 77, start: 5, duration: 20, status: 256))
        let all = window.all
        #expect(all[0].process?.exit_duration == 20)
        #expect(all[1].deletion?.process == all[0].position)
    }

    @Test func bookmarks() throws {
        let window = try Window.small()
        #expect(window.bookmark == nil)
        let recorder = Recorder(window)
        for time in 1...10 as ClosedRange<UInt64> { recorder.record(execution(time, time: time)) }
        window.bookmark = Bookmark(ordinal: 3)
        window.bookmark = Bookmark(ordinal: 4, missed: 2, missedSince: 3)
        let adopted = try adopt(window)
        #expect(adopted.bookmark == Bookmark(ordinal: 4, missed: 2, missedSince: 3))
        var cursor = adopted.cursor(Bookmark(ordinal: 4))
        #expect(adopted.records(at: &cursor).records.map(\.header.time) == [5, 6, 7, 8, 9, 10])
        cursor = adopted.cursor(Bookmark(ordinal: 10))
        #expect(adopted.records(at: &cursor).records.isEmpty)
    }

    /// A mark behind the last event is dealt with, or not, as that is: also where a segment ends between the two.
    @Test func bookmarksAmongMarks() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(execution(1, time: 1))
        var positions: [Window.Cursor] = []
        for round in 1...6000 as ClosedRange<UInt64> {
            if round % 7 == 0 { recorder.record(execution(round / 7 + 1, time: round)) }
            recorder.settle(sequences: [round / 7 + 1, 0], missed: [0, round], now: round)
            positions.append(window.end)
        }
        try #require(window.segments.count > 2)
        for cursor in positions.suffix(1500) {
            let found = window.cursor(Bookmark(ordinal: cursor.ordinal, position: cursor.position))
            var (expected, read) = (cursor, found)
            #expect(window.records(at: &read).records.count == window.records(at: &expected).records.count)
        }
    }

    @Test func aBookmarkBehindWhatWasGivenUp() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        for time in 1...3000 as ClosedRange<UInt64> { recorder.record(execution(time, time: time)) }
        let evicted = window.state.evicted
        try #require(evicted > 100)
        var cursor = window.cursor(Bookmark(ordinal: 40))
        let read = window.records(at: &cursor)
        #expect(read.evicted == evicted - 40)
        #expect(read.records.count == 3000 - Int(evicted))
    }

    /// A configuration with another size: the records go into a window of that.
    @Test(arguments: [1, 4 << 20]) func anotherSize(bytes: Int) throws {
        let old = try Window(name: "test", bytes: 1 << 20, maximumAge: .max / 2, lanes: 2, doorbell: Doorbell())
        var recorder = Recorder(old)
        recorder.record(
            ProcessFields {
                $0.kind = EBEE_PROCESS.rawValue
                $0.sequence = 0
                $0.time = 10
                $0.pid = 77
                $0.start = 5
            }.bytes)
        for sequence in 1...2000 as ClosedRange<UInt64> {
            recorder.record(
                DeleteFields {
                    $0.lane = 1
                    $0.sequence = sequence
                    $0.time = sequence * 10
                    $0.pid = 77
                    $0.start = 5
                }.bytes)
        }
        old.bookmark = Bookmark(ordinal: 1990)
        let window = try Window(name: "test", bytes: bytes, maximumAge: .max / 2, lanes: 2, doorbell: Doorbell())
        recorder = Recorder(window)
        recorder.carry(over: old)
        recorder = Recorder(try adopt(window))
        recorder.record(execution(2001, lane: 1, time: 30_000))
        #expect(recorder.lost.events == 0)
        let all = window.all.filter { $0.header.sequence != 0 }
        try #require(all.count > 300 && all.count <= 2001, "\(all.count)")
        #expect(all.map(\.header.sequence) == Array((2002 - UInt64(all.count))...2001))
        let deletion = try #require(all.first { $0.deletion != nil }?.deletion)
        let process = try #require(window.copy(at: deletion.process))
        #expect(process.get(UInt32.self, at: 24) == 77)
        #expect(window.end.ordinal - (window.bookmark?.ordinal ?? 0) == 11)
    }

    /// A smaller window, and a journal that had not come to what the old one gave up.
    @Test func anotherSizeBehindABookmark() throws {
        let old = try Window.small()
        var recorder = Recorder(old)
        for time in 1...3000 as ClosedRange<UInt64> { recorder.record(execution(time, time: time)) }
        old.bookmark = Bookmark(ordinal: 40, missed: 5, missedSince: 7, missedUntil: 9)
        let given = old.state.evicted
        try #require(given > 100)
        let window = try Window(name: "test", bytes: 4 << 20, maximumAge: .max / 2, lanes: 2, doorbell: Doorbell())
        recorder = Recorder(window)
        recorder.carry(over: old)
        let bookmark = try #require(window.bookmark)
        #expect(bookmark.missed == 5 + given - 40 && bookmark.missedSince == 7)
        #expect(bookmark.missedUntil == old.coveredSince)
        var cursor = window.cursor(bookmark)
        #expect(window.records(at: &cursor).records.count == 3000 - Int(given))
    }

    /// Others attach where nobody was: it is known between which times.
    @Test func aRestartIsMarked() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        recorder.record(execution(1, time: 10))
        recorder.begin(generation: 1, after: .gone(from: 10, to: 90))
        recorder.record(execution(1, time: 100))
        let adopted = Recorder(try adopt(window))
        #expect(adopted.generation == 1 && adopted.lost.events == 0)
        let mark = try #require(window.all.compactMap(\.lost).first)
        #expect(mark.why == EBEE_RESTART.rawValue && mark.count == 0 && mark.from == 10 && mark.to == 90)
        #expect(window.all.map(\.header.time) == [10, 90, 100])
    }

    /// Bursts of the same event, which come faster than a program takes. The old programs are detached in the midst of one.
    @Test("other programs take over: each event once", arguments: [30_000, -30_000] as [Int64], 10_000...10_006)
    func otherPrograms(delay: Int64, seen: Int) throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        window.recordingSince = 1
        let attached: UInt64 = 1_000_000_000
        let pause: UInt64 = 900_000
        // Three before others were attached, then bursts of five.
        let times = (0..<10_100).map { index -> UInt64 in
            let at = attached - 3 * pause + UInt64(index / 5) * pause
            return at + UInt64(index % 5) * 20_000
        }
        // A window that holds some hundred: what counts is the end.
        for (index, time) in times[..<seen].enumerated() { recorder.record(execution(UInt64(index) + 1, time: time)) }
        let before = window.end.ordinal
        recorder.begin(generation: recorder.generation + 1, after: .attachedUntil(attached))
        var sequence: UInt64 = 0
        for (index, time) in times.enumerated() where time > attached {
            sequence += 1
            // Once, something came between the two programs.
            let late: Int64 = index == seen - 20 ? 700_000 : 0
            recorder.record(execution(sequence, time: UInt64(Int64(time) + delay + late)))
        }
        #expect(window.end.ordinal - before == UInt64(times.count - seen))
        #expect(recorder.lost.events == 0)
        // One of a thread that the old ones did not know, behind their end.
        recorder.record(execution(sequence + 1, time: times[times.count - 1] + 1_000, pid: 99))
        #expect(window.end.ordinal - before == UInt64(times.count - seen) + 1)
        let adopted = Recorder(try adopt(window))
        #expect(adopted.generation == 1)
        adopted.record(execution(sequence + 2, time: times[times.count - 1] + 2_000))
        #expect(adopted.lost.events == 0)
    }

    /// The same, with a process that is killed again and again meanwhile, also before it could tell the ring what it took.
    @Test("killed while other programs take over: each event once", arguments: 1...20)
    func killedMeanwhile(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        var window = try Window(name: "test", bytes: 16 << 20, maximumAge: .max / 2, lanes: 2, doorbell: Doorbell())
        var recorder = Recorder(window)
        window.recordingSince = 1
        let attached: UInt64 = 1_000_000_000
        let times = (0..<2000).map { attached + UInt64($0 / 5) * 900_000 + UInt64($0 % 5) * 20_000 }
        let seen = Int.random(in: 600..<1900, using: &random)
        for (index, time) in times[..<seen].enumerated() { recorder.record(execution(UInt64(index) + 1, time: time)) }
        recorder.begin(generation: 1, after: .attachedUntil(attached))
        for (index, time) in times.enumerated() {
            let bytes = execution(UInt64(index) + 1, lane: 1, time: time + 30_000)
            recorder.record(bytes)
            guard Int.random(in: 0..<50, using: &random) == 0 else { continue }
            window = try adopt(window)
            recorder = Recorder(window)
            #expect(recorder.generation == 1)
            if Bool.random(using: &random) { recorder.record(bytes) }
        }
        #expect(window.end.ordinal == UInt64(times.count))
        #expect(recorder.lost.events == 0)
        #expect(recorder.lost.earlier == 0, "the programs that are attached counted what the others had seen")
    }

    /// Programs are detached one after the other. What one of them still sees says nothing of what another one sees no more.
    @Test func detachedOneByOne() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        window.recordingSince = 1
        let attached: UInt64 = 1_000_000_000
        func deletion(_ sequence: UInt64, time: UInt64, how: ebee_how) -> [UInt8] {
            DeleteFields {
                $0.sequence = sequence
                $0.time = time
                $0.how = how.rawValue
            }.bytes
        }
        recorder.record(deletion(1, time: attached + 110_000_000, how: EBEE_UNLINK))
        recorder.record(deletion(2, time: attached + 400_000_000, how: EBEE_RENAME))
        let before = window.end.ordinal
        recorder.begin(generation: 1, after: .attachedUntil(attached))
        recorder.record(deletion(1, time: attached + 110_000_000, how: EBEE_UNLINK))
        recorder.record(deletion(2, time: attached + 150_000_000, how: EBEE_UNLINK))
        recorder.record(deletion(3, time: attached + 300_000_000, how: EBEE_UNLINK))
        recorder.record(deletion(4, time: attached + 400_000_000, how: EBEE_RENAME))
        #expect(window.end.ordinal - before == 2)
        let times = window.all.filter { $0.deletion != nil }.map(\.header.time)
        #expect(times.suffix(2) == [attached + 150_000_000, attached + 300_000_000])
    }

    /// For a tenth of a second the word of the old programs counts. Then what the new ones saw is left out only if the old ones saw it too:
    /// one that these saw alone, for it had begun before the others came, does not stand for a later one.
    @Test func seenByOneAlone() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        window.recordingSince = 1
        let attached: UInt64 = 1_000_000_000
        func deletion(_ sequence: UInt64, time: UInt64) -> [UInt8] {
            DeleteFields {
                $0.sequence = sequence
                $0.time = time
            }.bytes
        }
        recorder.record(deletion(1, time: attached + 60_000_000))
        let before = window.end.ordinal
        recorder.begin(generation: 1, after: .attachedUntil(attached))
        recorder.record(execution(1, time: attached + 99_000_000))
        #expect(window.end.ordinal == before)
        recorder.record(execution(2, time: attached + 101_000_000))
        recorder.record(deletion(3, time: attached + 500_000_000))
        #expect(window.end.ordinal == before + 2)
        #expect(recorder.lost.events == 0)
    }

    @Test func whatIsNoWindow() throws {
        let window = try Window.small()
        let recorder = Recorder(window)
        for time in 1...500 as ClosedRange<UInt64> { recorder.record(execution(time, time: time)) }
        #expect(throws: UnusableWindow.self) { try adopt(window, lanes: 3) }
        let noWindow = unsafe open("/dev/null", O_RDWR)
        #expect(throws: (any Error).self) {
            _ = try Window(adopting: noWindow, maximumAge: 1, lanes: 1, doorbell: Doorbell())
        }
        // Any byte may be wrong: it is a window still, or it is refused.
        var random = SeededGenerator(3)
        var refused = 0
        for _ in 0..<2000 {
            let size = lseek(window.descriptor, 0, SEEK_END)
            let limit = Bool.random(using: &random) ? 600 : size
            let offset = Int.random(in: 0..<limit, using: &random)
            var (before, byte): (UInt8, UInt8) = (0, UInt8.random(in: 0...255, using: &random))
            unsafe pread(window.descriptor, &before, 1, offset)
            unsafe pwrite(window.descriptor, &byte, 1, offset)
            do {
                let adopted = try adopt(window)
                _ = Recorder(adopted)
                #expect(adopted.all.count <= 520)
            } catch is UnusableWindow {
                refused += 1
            }
            unsafe pwrite(window.descriptor, &before, 1, offset)
        }
        #expect(refused > 100)
    }
}
