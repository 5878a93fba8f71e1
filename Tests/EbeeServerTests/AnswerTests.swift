import CEvents
import EbeeProtocol
import EbeeRecord
import EbeeTestSupport
import EbeeWindow
import Synchronization
import Testing

@testable import EbeeServer

@Suite struct AnswerTests {
    private let id = RequestID.integer(1)

    private func ask(_ recent: Recent, _ streams: Stream..., between: () -> Void = {}) throws -> Lines {
        var answer = Question(id, recent, streams.map(\.source)).answer
        return try run(&answer, between: between)
    }

    /// Two streams whose events alternate.
    private func two() throws -> (Stream, Stream) {
        let exec = try Stream("exec")
        let deletes = try Stream("delete")
        for number in 0..<10 as Range<UInt32> {
            if number % 2 == 0 {
                exec.execution(number + 1, at: Double(number + 1))
            } else {
                deletes.deletion(number + 1, at: Double(number + 1))
            }
        }
        return (exec, deletes)
    }

    @Test func streamsMergeByTime() throws {
        let (exec, deletes) = try two()
        #expect(try ask(Recent(), exec, deletes).shape == Array(1...10))
        #expect(try ask(Recent(reverse: true), exec, deletes).shape == (1...10).reversed())
        #expect(try ask(Recent(limit: 4), exec, deletes).shape == [7, 8, 9, 10])
        #expect(try ask(Recent(limit: 4, reverse: true), exec, deletes).shape == [10, 9, 8, 7])
        #expect(try ask(Recent(limit: 100), exec, deletes).shape == Array(1...10))
        #expect(try ask(Recent(), deletes).shape == [2, 4, 6, 8, 10])
    }

    @Test func everyLineCarriesTheRequest() throws {
        let (exec, deletes) = try two()
        var answer = Question(.string("q\"1"), Recent(), [exec.source, deletes.source]).answer
        let lines = try run(&answer)
        #expect(lines.events.count == 10 && lines.events.allSatisfy { $0["id"]?.string == "q\"1" })
        #expect(lines.done?.matched == 10)
    }

    @Test func sinceAndUntil() throws {
        let (exec, deletes) = try two()
        // Reading the wall clock twice may move the bounds by less than a millisecond.
        let lines = try ask(Recent(since: exec.wall(2.9), until: exec.wall(6.5)), exec, deletes)
        #expect(lines.shape == [3, 4, 5, 6])
        let done = try #require(lines.done)
        #expect(done.complete && done.matched == 4 && done.lost == 0)
        #expect(abs(done.from - Clock.wall(boot: exec.time(2.9))) < 2_000_000)
        #expect(abs(done.to - Clock.wall(boot: exec.time(6.5))) < 2_000_000)
        #expect(
            try ask(Recent(since: exec.wall(2.9), until: exec.wall(6.5), limit: 2), exec, deletes).shape == [5, 6])
        #expect(try ask(Recent(since: .ago(nanoseconds: 1)), exec, deletes).shape == [])
        #expect(
            try ask(Recent(since: .ago(nanoseconds: 600 * 1_000_000_000)), exec, deletes).shape == Array(1...10))
    }

    @Test func filtersCount() throws {
        let (exec, deletes) = try two()
        let lines = try ask(Recent(filter: Filter(pid: [3, 4, 99])), exec, deletes)
        #expect(lines.shape == [3, 4])
        #expect(lines.done?.matched == 2)
        #expect(try ask(Recent(limit: 1, filter: Filter(pid: [3, 4, 99])), exec, deletes).shape == [4])
        #expect(try ask(Recent(filter: Filter(pid: [])), exec, deletes).shape == [])
    }

    // MARK: - Completeness

    @Test func completeFromTheBeginning() throws {
        let (exec, deletes) = try two()
        let done = try #require(try ask(Recent(), exec, deletes).done)
        #expect(done.complete && done.lost == 0 && done.matched == 10)
        #expect(abs(done.from - Clock.wall(boot: deletes.began)) < 2_000_000, "of the stream that began last")
    }

    @Test func notCompleteBeforeRecordingBegan() throws {
        let (exec, deletes) = try two()
        for done in [
            try ask(Recent(since: exec.wall(-10)), exec, deletes).done,
            try ask(Recent(since: exec.wall(-10), reverse: true), exec, deletes).done,
        ] {
            #expect(done?.complete == false && done?.lost == 0 && done?.matched == 10)
            #expect(abs((done?.from ?? 0) - Clock.wall(boot: deletes.began)) < 2_000_000)
        }
    }

    @Test func lossesPassThrough() throws {
        let stream = try Stream("exec")
        stream.execution(1, at: 1)
        stream.lose(7)
        stream.execution(2, at: 2)
        stream.execution(3, at: 3)
        for lines in [
            try ask(Recent(), stream), try ask(Recent(filter: Filter(pid: [1, 2, 3])), stream),
            try ask(Recent(limit: 50), stream),
        ] {
            #expect(lines.shape == [1, -7, 2, 3])
            #expect(lines.done?.complete == false && lines.done?.lost == 7 && lines.done?.matched == 3)
            #expect(lines.events[1]["stream"]?.string == "exec" && lines.events[1]["why"]?.string == "ring_full")
        }
        #expect(try ask(Recent(reverse: true), stream).shape == [3, 2, -7, 1])
        let newest = try ask(Recent(limit: 1), stream)
        #expect(newest.shape == [3])
        #expect(newest.done?.complete == true, "what is asked for begins at the newest")
        #expect(try ask(Recent(since: stream.wall(2.5)), stream).done?.complete == true)
        #expect(try ask(Recent(since: stream.wall(1.5)), stream).done?.lost == 7)
    }

    @Test func evictedBeforeTheQuestion() throws {
        let stream = try Stream("exec", bytes: 1)
        for number in 1...100 as ClosedRange<UInt32> { stream.execution(number, at: Double(number), padding: 20_000) }
        // Behind the last one that was given up.
        let covered = stream.window.coveredSince
        #expect(covered == stream.time(Double(stream.window.state.evicted)) + 1)
        let all = try ask(Recent(), stream)
        #expect(all.done?.complete == true && all.done?.lost == 0, "all that is there was asked for")
        #expect(abs((all.done?.from ?? 0) - Clock.wall(boot: covered)) < 2_000_000)
        #expect(all.shape.last == 100 && all.shape.count < 50)
        let since = try ask(Recent(since: stream.wall(0.5)), stream)
        #expect(since.done?.complete == false)
        #expect(abs((since.done?.from ?? 0) - Clock.wall(boot: covered)) < 2_000_000)
    }

    /// Everything is too old and gone: the answer must not claim that nothing happened.
    @Test func everythingExpired() throws {
        let stream = try Stream("exec", maximumAge: 60 * second)
        stream.execution(1, at: 1)
        for seconds in [100.0, 200, 290] {
            stream.recorder.settle(
                accounts: { _ in
                    ebee_account(sequence: 1, lost: 0, missed: 0, unjoined: 0, open: 0, hidden: 0, padding: (0, 0))
                },
                now: stream.time(seconds)
            )
        }
        #expect(stream.window.state.evicted == 1 && stream.window.state.events == 0)
        let done = try #require(try ask(Recent(since: stream.wall(0.5)), stream).done)
        #expect(!done.complete && done.matched == 0)
        let recent = try #require(try ask(Recent(since: stream.wall(280)), stream).done)
        #expect(recent.complete, "of the last minute everything is known")
    }

    /// The window laps the reader while it answers.
    @Test func aReaderThatFallsBehindForward() throws {
        let stream = try Stream("exec", bytes: 1)
        for number in 1...20 as ClosedRange<UInt32> { stream.execution(number, at: Double(number), padding: 20_000) }
        var next: UInt32 = 21
        let lines = try ask(Recent(), stream) {
            if next < 200 {
                for _ in 0..<30 {
                    stream.execution(next, at: Double(next), padding: 20_000)
                    next += 1
                }
            }
        }
        let done = try #require(lines.done)
        let marks = lines.events.filter { $0["event"]?.string == "lost" }
        #expect(!marks.isEmpty && marks.allSatisfy { $0["why"]?.string == "evicted" && $0["stream"]?.string == "exec" })
        let counted = marks.reduce(0) { $0 + ($1["count"]?.integer ?? 0) }
        #expect(done.lost == counted && !done.complete)
        #expect(done.matched >= 1 && done.matched + counted >= 20)
    }

    @Test func aReaderThatFallsBehindBackward() throws {
        for limit in [nil, 1000] as [Int?] {
            let stream = try Stream("exec", bytes: 1)
            for number in 1...20 as ClosedRange<UInt32> {
                stream.execution(number, at: Double(number), padding: 20_000)
            }
            var next: UInt32 = 21
            let lines = try ask(Recent(limit: limit, reverse: limit == nil), stream) {
                if next < 200 {
                    for _ in 0..<30 {
                        stream.execution(next, at: Double(next), padding: 20_000)
                        next += 1
                    }
                }
            }
            let done = try #require(lines.done)
            #expect(done.matched < 20)
            #expect(!done.complete, "\(done.matched) of 20 events, as if they were all")
            #expect(done.matched + (done.lost ?? 0) >= 20)
        }
    }

    /// What a limited question found is given up before it is written: in one of two streams.
    @Test func whatWasFoundIsGivenUp() throws {
        let exec = try Stream("exec", bytes: 1)
        let deletes = try Stream("delete")
        for number in 1...20 as ClosedRange<UInt32> {
            exec.execution(2 * number - 1, at: Double(2 * number - 1), padding: 20_000)
            deletes.deletion(2 * number, at: Double(2 * number))
        }
        var rounds = 0
        let lines = try ask(Recent(limit: 12), exec, deletes) {
            rounds += 1
            guard rounds == 1 else { return }
            for number in 100...199 as ClosedRange<UInt32> {
                exec.execution(number, at: Double(number), padding: 20_000)
            }
        }
        #expect(lines.shape == [-6, 30, 32, 34, 36, 38, 40] || lines.shape.sorted() == [-6, 30, 32, 34, 36, 38, 40])
        let done = try #require(lines.done)
        #expect(!done.complete && done.lost == 6 && done.matched == 6)
    }

    /// The oldest is given up while the newest are looked for: only who needed it is told.
    @Test func whatIsGivenUpBehindALimit() throws {
        for (limit, isMissed) in [(3, false), (1000, true)] {
            for recent in [Recent(limit: limit), Recent(limit: limit, reverse: true)] {
                let stream = try Stream("exec", bytes: 1)
                for number in 1...20 as ClosedRange<UInt32> {
                    stream.execution(number, at: Double(number), padding: 20_000)
                }
                let question = Question(id, recent, [stream.source])
                // One more segment.
                let segment = stream.window.segments.upperBound
                var next: UInt32 = 21
                while stream.window.segments.upperBound == segment {
                    stream.execution(next, at: Double(next), padding: 20_000)
                    next += 1
                }
                var answer = question.answer
                let lines = try run(&answer)
                let done = try #require(lines.done)
                let lost = try #require(done.lost)
                #expect(done.complete != isMissed && (lost > 0) == isMissed)
                let events = lines.shape.filter { $0 > 0 }
                #expect(done.matched == Int64(events.count) && events.max() == 20)
                if isMissed {
                    #expect(lines.shape.filter { $0 < 0 } == [-lost] && lost + done.matched == 20)
                    #expect(lines.shape.first == (recent.reverse ? 20 : -lost))
                }
            }
        }
    }

    @Test func untilBeforeRecordingBegan() throws {
        let (exec, deletes) = try two()
        let done = try #require(try ask(Recent(until: exec.wall(-10)), exec, deletes).done)
        #expect(!done.complete && done.matched == 0 && done.from <= done.to)
    }

    /// What has a mark by the time that it is asked how much has none is before the end of the answer.
    @Test func aLossThatIsMarkedMeanwhile() throws {
        let stream = try Stream("exec")
        stream.execution(1, at: 1)
        // Of one thread, here.
        nonisolated(unsafe) let marked = stream
        let source = Source(
            event: "exec", stream: "exec", window: stream.window,
            unmarked: {
                unsafe marked.lose(7)
                unsafe marked.execution(2, at: 2)
                return 0
            })
        var answer = Question(id, Recent(), [source]).answer
        let lines = try run(&answer)
        #expect(lines.shape == [1, -7, 2] && lines.done?.lost == 7)
    }

    /// What the window gives up behind the question's end, or behind what it asks about, is not missed.
    @Test func whatIsGivenUpLaterIsNotMissed() throws {
        let stream = try Stream("exec", bytes: 1)
        for number in 1...20 as ClosedRange<UInt32> { stream.execution(number, at: Double(number), padding: 20_000) }
        let held = Int64(stream.window.state.events)
        var answer = Question(id, Recent(), [stream.source]).answer
        for number in 21...200 as ClosedRange<UInt32> { stream.execution(number, at: Double(number), padding: 20_000) }
        let lines = try run(&answer)
        #expect(lines.shape == [-held] && lines.done?.lost == held)
    }

    /// Records are almost in the order of time: what was given up decides from when on all is there.
    @Test func coveredBehindWhatWasGivenUp() throws {
        let stream = try Stream("exec", bytes: 1)
        var number: UInt32 = 0
        while stream.window.state.evicted == 0 {
            number += 1
            stream.execution(number, at: Double(number) - (number % 2 == 0 ? 1.5 : 0), padding: 20_000)
        }
        let evicted = stream.window.state.evicted
        let newest =
            (1...evicted).map { (number: UInt64) -> Double in Double(number) - (number % 2 == 0 ? 1.5 : 0) }.max() ?? 0
        #expect(stream.window.coveredSince == stream.time(newest) + 1)
    }

    // MARK: - What is on its way

    @Test func whatIsOnItsWayIsWaitedFor() async throws {
        let stream = try Stream("exec")
        stream.execution(1, at: 1)
        let looks = Counter()
        let late = Source(event: "exec", stream: "exec", window: stream.window, arrival: { { looks.next() >= 2 } })
        #expect(try await Source.arrival([stream.source]) == Source.Arrival())
        #expect(
            try await Source.arrival([stream.source, late], patience: .seconds(60))
                == Source.Arrival(wasThere: false, late: []))
        #expect(looks.next() == 3)
        let never = Source(event: "exec", stream: "exec", window: stream.window, arrival: { { false } })
        #expect(
            try await Source.arrival([stream.source, never], patience: .milliseconds(20))
                == Source.Arrival(wasThere: false, late: [false, true]))
    }

    @Test func whatHasNotArrivedIsNotAnsweredFor() throws {
        let (exec, deletes) = try two()
        let arrival = Source.Arrival(wasThere: false, late: [true, false])
        let sources = [exec.source, deletes.source]
        for recent in [Recent(), Recent(limit: 100), Recent(reverse: true)] {
            let question = Question(id, recent, sources, arrival: arrival)
            var answer = question.answer
            let lines = try run(&answer)
            let done = try #require(lines.done)
            #expect(!done.complete && done.late && done.lost == 0 && done.matched == 10)
            // The newest execution is the 9th; what came after it on that stream isn't known.
            #expect(abs(done.to - Clock.wall(boot: exec.time(9))) < 2_000_000)
        }
        for (until, isLate) in [(7.5, false), (8.5, true), (20, true)] {
            var answer = Question(id, Recent(until: exec.wall(until)), sources, arrival: arrival).answer
            let done = try #require(try run(&answer).done)
            #expect(done.late == isLate && done.complete == !isLate, "until \(until)")
        }
    }

    // MARK: - Tail

    /// The backlog is given up while it is looked for.
    @Test func aBacklogThatIsGivenUp() throws {
        let stream = try Stream("exec", bytes: 1)
        for number in 1...10 as ClosedRange<UInt32> { stream.execution(number, at: Double(number), padding: 20_000) }
        let held = Int64(stream.window.state.events)
        var answer = TailAnswer(id, Tail(backlog: 1000), [stream.source])
        for number in 11...110 as ClosedRange<UInt32> { stream.execution(number, at: Double(number), padding: 20_000) }
        let shape = try run(&answer).shape
        #expect(shape.first == -held, "of the backlog")
        #expect(shape.filter { $0 < 0 }.reduce(0, -) + Int64(shape.count { $0 > 0 }) == held + 100)
    }

    @Test func tail() throws {
        let (exec, deletes) = try two()
        var answer = TailAnswer(id, Tail(backlog: 3), [exec.source, deletes.source])
        #expect(try run(&answer).shape == [8, 9, 10])
        #expect(try run(&answer).shape == [])
        deletes.deletion(22, at: 22)
        exec.execution(21, at: 21)
        #expect(try run(&answer).shape == [21, 22])
        exec.lose(2)
        exec.execution(23, at: 23)
        #expect(try run(&answer).shape == [-2, 23])
    }

    @Test func tailWithoutBacklogAndWithAFilter() throws {
        let (exec, deletes) = try two()
        var answer = TailAnswer(id, Tail(filter: Filter(pid: [30])), [exec.source, deletes.source])
        #expect(try run(&answer).shape == [])
        exec.execution(29, at: 29)
        exec.execution(30, at: 30)
        #expect(try run(&answer).shape == [30])
    }

    /// What comes between the question and its first step is neither lost nor told twice.
    @Test func tailJoinsItsBacklog() throws {
        let (exec, deletes) = try two()
        var answer = TailAnswer(id, Tail(backlog: 100), [exec.source, deletes.source])
        exec.execution(11, at: 11)
        #expect(try run(&answer).shape == Array(1...11))
    }

    @Test func aTailThatFallsBehind() throws {
        let stream = try Stream("exec", bytes: 1)
        var answer = TailAnswer(id, Tail(), [stream.source])
        #expect(try run(&answer).shape == [])
        let asked = Clock.boot()
        for number in 1...100 as ClosedRange<UInt32> { stream.execution(number, at: Double(number), padding: 20_000) }
        let lines = try run(&answer)
        let lost = try #require(lines.shape.first)
        #expect(lost < 0 && lines.shape.dropFirst().first == 1 - lost && lines.shape.last == 100)
        #expect(-lost + Int64(lines.shape.count - 1) == 100)
        let from = try #require(lines.events[0]["from"]?.string.flatMap { RFC3339.parse($0) })
        #expect(from > Clock.wall(boot: asked) - 1_000_000_000, "nothing was lost before the question")
    }

    // MARK: - Those who see their own events only

    /// The streams as the user 11 sees them, who ran everything that a test records unless it says otherwise.
    private func restricted(_ recent: Recent, _ streams: Stream...) throws -> (lines: Lines, text: String) {
        let sources = streams.map { stream in
            var source = stream.source
            source.view = View(owner: 11)
            return source
        }
        var lines = Lines()
        var writer = JSONWriter()
        var answer = Question(id, recent, sources).answer
        while answer.step(&writer) == .more {}
        try lines.add(writer.bytes)
        return (lines, String(decoding: writer.bytes, as: UTF8.self))
    }

    private static let ways = [Recent(), Recent(limit: 100), Recent(limit: 100, reverse: true), Recent(reverse: true)]

    @Test(arguments: ways) func ownEvents(recent: Recent) throws {
        let exec = try Stream("exec")
        exec.process(1, at: 1) { ($0.uid, $0.euid) = (11, 11) }
        exec.process(2, at: 2) { ($0.uid, $0.euid) = (0, 11) }
        exec.process(3, at: 3) { ($0.uid, $0.euid) = (11, 0) }
        exec.process(4, at: 4) { ($0.uid, $0.euid) = (12, 12) }
        let deletes = try Stream("delete")
        for (pid, uid, euid) in [(5, 11, 11), (6, 11, 0), (7, 0, 0)] as [(UInt32, UInt32, UInt32)] {
            deletes.process(pid, at: Double(pid), describes: true) { ($0.uid, $0.euid) = (uid, euid) }
            deletes.deletion(pid, at: Double(pid)) { ($0.uid, $0.euid) = (uid, euid) }
        }
        // By a thread with other rights than those that its process was described with.
        deletes.deletion(5, at: 8) { ($0.uid, $0.euid) = (11, 0) }
        let (lines, text) = try restricted(recent, exec, deletes)
        #expect(lines.shape.sorted() == [1, 5])
        #expect(lines.done?.matched == 2 && lines.done?.complete == true && lines.done?.lost == nil)
        for key in ["cursor", "ancestors", "count", "lost"] { #expect(!text.contains("\"\(key)\"")) }
        #expect(lines.events.allSatisfy { $0["process"]?["parent"]?["name"] == nil })
    }

    /// It may be one that ran as somebody else before: it isn't shown, and not denied either.
    @Test(arguments: ways) func aDeletionByAnUnknownProcess(recent: Recent) throws {
        let deletes = try Stream("delete")
        deletes.deletion(1, at: 1) { ($0.uid, $0.euid) = (12, 12) }
        #expect(try restricted(recent, deletes).lines.done?.complete == true)
        deletes.deletion(2, at: 2) { ($0.uid, $0.euid) = (11, 11) }
        let (lines, _) = try restricted(recent, deletes)
        #expect(lines.shape == [] && lines.done?.matched == 0 && lines.done?.complete == false)
    }

    @Test(arguments: ways) func lossesWithoutCounts(recent: Recent) throws {
        let exec = try Stream("exec")
        exec.process(1, at: 1) { ($0.uid, $0.euid) = (11, 11) }
        exec.lose(7)
        exec.process(2, at: 2) { ($0.uid, $0.euid) = (11, 11) }
        let (lines, text) = try restricted(recent, exec)
        let marks = lines.events.filter { $0["event"]?.string == "lost" }
        #expect(marks.count == 1 && marks[0]["why"]?.string == "ring_full" && marks[0]["from"] != nil)
        #expect(lines.done?.complete == false && lines.done?.matched == 2 && lines.done?.lost == nil)
        #expect(!text.contains("\"count\""))
    }
}

/// Counts how often it is asked, from 1.
private final class Counter: Sendable {
    private let count = Mutex(0)
    func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }
}
