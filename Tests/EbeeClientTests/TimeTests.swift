import EbeeProtocol
import Glibc
import Testing

@testable import EbeeClient

private let second: Int64 = 1_000_000_000
/// Monday, 2026-11-23 06:45:01 UTC
private let now: Int64 = 1_795_416_301 * second

@Suite struct TimeTests {
    @Test(arguments: [
        ("5m", 300), ("2h 30min", 9000), ("2h30min", 9000), ("10 minutes", 600), ("1 hour 1 sec", 3601), ("5", 5),
        ("1.5h", 5400), (".5min", 30), ("1d", 86_400), ("2 weeks", 1_209_600), ("1w", 604_800), ("1M", 2_629_800),
        ("1month", 2_629_800), ("1y", 31_557_600), ("2 years", 63_115_200), ("  90 s ", 90), ("1hr 1hours 1h", 10_800),
        ("1minute", 60), ("3 seconds", 3), ("3second", 3), ("7day", 604_800), ("1week", 604_800),
        ("2months", 5_259_600),
        ("1year", 31_557_600), ("1\thour", 3600), ("0s", 0), ("1h 30", 3630),
    ])
    func spans(_ text: String, _ seconds: Int64) {
        #expect(TimeSpan.parse(text) == seconds * second)
    }

    @Test(arguments: [
        ("1ns", 1), ("1 nsec", 1), ("2us", 2000), ("2usec", 2000), ("2µs", 2000), ("2μs", 2000), ("3ms", 3_000_000),
        ("3msec", 3_000_000), ("0.000000001s", 1), ("1.0000000019s", 1_000_000_001), ("1.5us", 1500),
    ])
    func smallSpans(_ text: String, _ nanoseconds: Int64) {
        #expect(TimeSpan.parse(text) == nanoseconds)
    }

    @Test(arguments: [
        "", " ", "m", "5x", "5 5x", "-5m", "+5m", "5m-", "1..5h", "1.h", ".", "5,5m", "infinity", "1000y", "1e3s",
        "99999999999999999999s", "9223372036854775807y", "٥m", "5M!", "5 Min",
    ])
    func noSpans(_ text: String) {
        #expect(TimeSpan.parse(text) == nil)
    }

    @Test(arguments: [
        ("5m", 300), ("-10min", 600), ("- 10 min", 600), ("10 minutes ago", 600), ("2h 30min", 9000), ("now", 0),
        ("+5s", -5), ("1h ago", 3600), ("-90", 90), ("90 ago", 90), (" 5m ", 300),
    ])
    func relative(_ text: String, _ seconds: Int64) throws {
        #expect(try TimeExpression(text, now: now, zone: .utc()).moment == .ago(nanoseconds: seconds * second))
    }

    @Test(arguments: [
        ("today", "2026-11-23T00:00:00Z"),
        ("yesterday", "2026-11-22T00:00:00Z"),
        ("tomorrow", "2026-11-24T00:00:00Z"),
        ("2026-11-23", "2026-11-23T00:00:00Z"),
        ("2026-11-23 10:00", "2026-11-23T10:00:00Z"),
        ("2026-11-23 10:00:05", "2026-11-23T10:00:05Z"),
        ("2026-11-23 10:00:05.25", "2026-11-23T10:00:05.25Z"),
        ("2026-11-23T10:00", "2026-11-23T10:00:00Z"),
        ("Mon 2026-11-23 10:00", "2026-11-23T10:00:00Z"),
        ("monday 2026-11-23", "2026-11-23T00:00:00Z"),
        ("10:00", "2026-11-23T10:00:00Z"),
        ("9:05", "2026-11-23T09:05:00Z"),
        ("10:00:05.5", "2026-11-23T10:00:05.5Z"),
        ("10:00 UTC", "2026-11-23T10:00:00Z"),
        ("10:00Z", "2026-11-23T10:00:00Z"),
        ("2026-11-23 10:00 UTC", "2026-11-23T10:00:00Z"),
        ("2026-11-23 UTC", "2026-11-23T00:00:00Z"),
        ("2026-11-23T10:00:05.123456789Z", "2026-11-23T10:00:05.123456789Z"),
        ("2026-11-23T10:00:05+05:30", "2026-11-23T04:30:05Z"),
        ("2026-11-23 10:00 -08:00", "2026-11-23T18:00:00Z"),
        ("@1790000000", "2026-09-21T14:13:20Z"),
        ("@1790000000.5", "2026-09-21T14:13:20.5Z"),
        ("@0", "1970-01-01T00:00:00Z"),
    ])
    func absolute(_ text: String, _ time: String) throws {
        let expected = try #require(RFC3339.parse(time))
        #expect(try TimeExpression(text, now: now, zone: .utc()).moment == .wall(nanoseconds: expected))
    }

    @Test(arguments: [
        "", " ", "foo", "5", "2026", "2026-11", "2026-13-01", "2026-02-30", "2026-11-23 25:00", "10:60", "10:00:61",
        "10", "10:0", "10:00:5", "10:00:05.", "@", "@-5", "@x", "@99999999999999999999", "@99999999999", "-", "+",
        "ago",
        " ago", "5 ago ago", "-5m ago", "--5m", "Tue 2026-11-23", "Mon 10:00", "2026-11-23 10:00 CET", "2026-11-23Tx",
        "2026-11-23 10:00 +25:00", "today 10:00", "TODAY", "2026-11-23  10:00 x", "9999-01-01", "２０２６-11-23", "5m\0",
        "1000 years ago",
    ])
    func noTimes(_ text: String) {
        #expect(throws: TimeExpression.Malformed.self) { try TimeExpression(text, now: now, zone: .utc()) }
    }

    @Test func explainsItself() {
        do {
            _ = try TimeExpression("foo", now: now, zone: .utc())
            Issue.record("accepted")
        } catch {
            for example in ["5m", "10 minutes ago", "yesterday", "2026-11-23 10:00", "@1790000000"] {
                #expect(error.description.contains(example))
            }
        }
    }

    /// The zone is that of the process, so this asks another process, and date(1): 25 October 2026 has 25 hours in Berlin.
    @Test(arguments: [
        ("Europe/Berlin", "2026-10-26"), ("Europe/Berlin", "2026-10-25"), ("Europe/Berlin", "2026-07-01 12:00"),
        ("America/St_Johns", "2026-01-01 00:00"), ("America/New_York", "2026-03-08 03:30"),
        ("Asia/Tokyo", "1999-12-31"),
    ])
    func zones(_ zone: String, _ time: String) throws {
        let server = try #require(FixedServer(answer: Fixture.done))
        let asked = shell("TZ=\(zone) \(buildDirectory)/ebeectl recent --until '\(time)' --socket \(server.path) 2>&1")
        #expect(asked.status == 0)
        let digits = text(shell("TZ=\(zone) date -d '\(time)' +%s").output.dropLast())
        let seconds = try #require(Int64(digits))
        let request = try Request(line: try #require(server.received.first))
        #expect(request.query == .recent(Recent(until: .wall(nanoseconds: seconds * second))))
    }

    @Test func localZoneReadsWhatItWrites() throws {
        for hours in Int64(0)..<(366 * 24) {
            let time = now + hours * 3600 * second + 7
            let civil = Zone.local.civil(time)
            // An hour that comes twice is one of two.
            let back = try #require(Zone.local.nanoseconds(civil))
            #expect(Zone.local.civil(back) == civil)
        }
    }
}
