import Testing

@testable import EbeeWindow

@Suite struct PaceTests {
    @Test func lessThanASecondSaysNothing() {
        let pace = Pace()
        #expect(pace.rate == nil)
        pace.note(now: 100, events: 7, bytes: 700)
        pace.note(now: 100 + second - 1, events: 9, bytes: 900)
        #expect(pace.rate == nil)
        pace.note(now: 100 + second, events: 10, bytes: 1000)
        #expect(pace.rate == Pace.Rate(nanoseconds: second, events: 3, bytes: 300))
    }

    /// Ten events of 5 bytes a second for ten minutes, and then none.
    @Test func theLastMinute() throws {
        let pace = Pace()
        for tick in 1...6000 as ClosedRange<UInt64> {
            pace.note(now: tick * second / 10, events: tick, bytes: tick * 5)
            guard tick > 700 else { continue }
            let rate = try #require(pace.rate)
            #expect((60 * second...65 * second).contains(rate.nanoseconds))
            #expect(rate.events == rate.nanoseconds * 10 / second && rate.bytes == rate.events * 5)
        }
        for tick in 6001...6700 as ClosedRange<UInt64> {
            pace.note(now: tick * second / 10, events: 6000, bytes: 30_000)
        }
        let rate = try #require(pace.rate)
        #expect(rate.events == 0 && rate.bytes == 0 && rate.nanoseconds >= 60 * second)
    }
}
