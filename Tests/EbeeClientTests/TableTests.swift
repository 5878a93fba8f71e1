import EbeeProtocol
import Testing

@testable import EbeeClient

@Suite struct TableTests {
    private func table(
        _ stream: EventStream, width: Int?, failed: Bool = false, today: String = "2026-11-23T12:00:00Z",
        colour: Bool = false
    ) throws -> TableFormatter {
        let now = try #require(RFC3339.parse(today))
        return TableFormatter(
            stream: stream, showsFailed: failed, showsHeaderAtOnce: false, paint: Paint(isOn: colour), width: { width },
            clock: { ReaderClock(now: now, zone: .utc()) }, users: Users { $0 == 0 ? "root" : nil })
    }

    private func lines(_ table: TableFormatter, _ events: String...) throws -> [String] {
        var table = table
        let rows = try events.map { try table.format(bytes($0)) }
        return text(Array(rows.joined()).dropLast()).split(separator: "\n", omittingEmptySubsequences: false).map {
            String($0)
        }
    }

    @Test func executions() throws {
        #expect(
            try lines(table(.exec, width: 80), Fixture.rm) == [
                "TIME             PID    PPID USER       EXIT DURATION COMMAND",
                "06:45:01.123    4312    4000 root          0    1.2ms rm -rf 'a b' ''",
            ])
        let wide = try lines(table(.exec, width: nil), Fixture.rm)
        #expect(wide[0].hasSuffix(" UNIT                 DIRECTORY            COMMAND"))
        #expect(wide[1].hasSuffix(" ci.service           -                    rm -rf 'a b' ''"))
    }

    @Test func deletions() throws {
        #expect(
            try lines(table(.deletes, width: 100), Fixture.renamed, Fixture.lost) == [
                "TIME             PID USER     COMM            HOW     SIZE PATH",
                #"06:45:02.500       7 root     mv              rename  4.0K /srv/\xff\nb -> replaced by /srv/new"#,
                "-- 17 deletions lost 06:45:01.2 – 06:45:01.9: the ring was full --",
            ])
    }

    @Test func merged() throws {
        #expect(
            try lines(table(.all, width: 80, failed: true), Fixture.rm, Fixture.renamed) == [
                "TIME         EVENT      PID USER     COMM            RESULT    COMMAND OR PATH",
                "06:45:01.123 exec      4312 root     rm              ok        rm -rf 'a b' ''",
                #"06:45:02.500 rename       7 root     mv              ok        /srv/\xff\nb -> …"#,
            ])
    }

    @Test func showsTheDateFromTheFirstOtherDayOn() throws {
        let today = Fixture.rm.split(separator: "2026-11-23").joined(separator: "2026-11-24")
        let table = try table(.exec, width: nil, today: "2026-11-24T12:00:00Z")
        let lines = try lines(table, today, Fixture.rm, today)
        #expect(lines.map { String($0.prefix(23)) }[0].hasPrefix("TIME             PID"))
        #expect(lines[1].hasPrefix("06:45:01.123 "))
        #expect(lines[2].hasPrefix("TIME                        PID"))
        #expect(lines[3].hasPrefix("2026-11-23 06:45:01.123 "))
        #expect(lines[4].hasPrefix("2026-11-24 06:45:01.123 "))
    }

    @Test func showsWhatIsUnknownAsUnknown() throws {
        let line = try lines(table(.exec, width: 80), #"{"event":"exec","process":{}}"#)[1]
        #expect(line == "-                  -       - -             -        - -")
        let other = try lines(table(.deletes, width: 80), #"{"event":"delete","process":{"user":{"id":7}}}"#)[1]
        #expect(other == "-                  - 7        -               -          - -")
    }

    /// Whatever the names and the width: no row is wider than the terminal, and no control character gets through.
    @Test func rowsFit() throws {
        var generator = SeededGenerator(state: 7)
        for round in 0..<400 {
            let names = (0..<4).map { _ in JSON.quoted(text(hostileBytes(count: 50, using: &generator))) }
            let event = """
                {"event":"\(round % 2 == 0 ? "exec" : "delete")","time":"2026-11-22T00:00:00Z","how":\(names[0]),\
                "file":{"path":\(names[1]),"size":123456789},"process":{"pid":2147483647,"name":\(names[2]),\
                "user":{"id":4294967295,"name":\(names[3])},"args":[\(names.joined(separator: ","))],"unit":\(names[0])}}
                """
            let width = Int.random(in: 1...160, using: &generator)
            for stream in EventStream.allCases {
                for row in try lines(table(stream, width: width), event, Fixture.lost) {
                    #expect(row.unicodeScalars.reduce(0) { $0 + cellWidth(of: $1) } <= width)
                    #expect(!row.unicodeScalars.contains { Escape.isNeeded(for: $0) })
                }
            }
        }
    }

    @Test func colours() throws {
        let lines = try lines(table(.deletes, width: 80, colour: true), Fixture.renamed, Fixture.lost)
        #expect(lines[1].contains("\u{1b}[33mrename\u{1b}[0m"))
        #expect(lines[2].hasPrefix("\u{1b}[1;31m-- 17"))
        #expect(lines.allSatisfy { $0.components("\u{1b}[0m") == $0.components("\u{1b}[") / 2 })
    }

    @Test(arguments: [
        ("hello", 5, "hello"), ("hello", 4, "hel…"), ("hello", 1, "…"), ("日本語", 6, "日本語"), ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"), ("日本語", 2, "…"), ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"), ("ab\ncd", 5, "ab\\n…"),
        ("ab\ncd", 4, "ab…"), ("a\u{202e}b", 8, "a…"), ("🇩🇪🇫🇷", 4, "🇩🇪🇫🇷"), ("🇩🇪🇫🇷", 3, "🇩🇪…"), ("👩‍👩‍👧x", 3, "…"),
        ("", 1, ""),
    ])
    func cuts(_ name: String, _ limit: Int, _ expected: String) {
        var cell = CellText(limit: limit)
        cell.append(FileName(name), .name)
        #expect(cell.text == expected)
        #expect(cell.width <= limit)
    }

    @Test(arguments: [
        ("a", 1), ("é", 1), ("\u{301}", 0), ("日", 2), ("ｱ", 1), ("Ａ", 2), ("한", 2), ("😀", 2), ("⌚", 2), ("\u{200d}", 0),
        ("⠿", 1), ("─", 1), ("П", 1), ("\u{1160}", 0), ("𠀀", 2),
    ])
    func widths(_ character: Unicode.Scalar, _ width: Int) {
        #expect(cellWidth(of: character) == width)
    }
}

extension String {
    /// How often another string occurs.
    fileprivate func components(_ other: String) -> Int {
        split(separator: other, omittingEmptySubsequences: false).count - 1
    }
}
