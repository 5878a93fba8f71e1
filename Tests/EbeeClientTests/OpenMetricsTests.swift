import EbeeProtocol
import Testing

@testable import EbeeClient

/// The grammar of OpenMetrics 1.0, line by line, with what Prometheus' own text format also takes.
@Suite struct OpenMetricsTests {
    private static let status = #"""
        {"scope":"all","version":"1 \"\\\r\nx","started":"1969-12-31T23:59:58.750000000Z","kernel":"6.18",
         "memory_bytes":41320448,"clients":1,"streams":[
          {"stream":"exec","rung":"tp_btf","self_test":{"passed":true},"events":9223372036854775807,"lost":3,
           "losses":{"ring_full":2,"missed":1,"malformed":0},"rate":{"interval_ns":1,"events":1,"bytes":1},
           "ring":{"capacity_bytes":2097152,"used_bytes":0,"highest_bytes":10704},
           "window":{"capacity_bytes":67108864,"used_bytes":104336,"max_age_seconds":3600,"reach_seconds":11,
            "reach_at_rate_seconds":3600,"events":296,"evicted":7}},
          {"stream":"deletes","rung":"syscalls",
           "self_test":{"passed":false,"reason":"x","blind_since":"2026-11-23T15:03:28.078385488Z"},"events":1,"lost":0}],
         "journal":{"available":true,"exec":true,"deletes":true,"written":67,"folded":5,"lost":1,"behind":2,
          "lag_ns":1500000000}}
        """#

    private func metrics(_ status: String) throws -> [String] {
        let text = openMetrics(try JSON(parsing: Array(status.utf8)))
        #expect(text.utf8.suffix(6).elementsEqual("# EOF\n".utf8))
        return text.utf8.split(separator: 10).map { String(decoding: Array($0), as: UTF8.self) }
    }

    /// Every line is what may stand there, and every sample belongs to the family above it.
    private func check(_ lines: [String]) throws {
        let name = "[a-z_]+"
        let label = #"[a-z_]+="([^"\\\n]|\\[\\"n])*""#
        let sample = try Regex("^(\(name))(\\{(\(label)(,\(label))*)\\})? (-?[0-9]+(\\.[0-9]+)?)$")
        var families: Set<String> = []
        var samples: Set<String> = []
        var (family, type, state) = ("", "", "samples")
        for line in lines.dropLast() {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            switch words.prefix(2).joined(separator: " ") {
            case "# TYPE":
                #expect(state == "samples", "\(line)")
                (family, type, state) = (words[2], words[3], "type")
                #expect(families.insert(family).inserted && ["gauge", "counter"].contains(type), "\(line)")
                #expect(!family.hasSuffix("_total"), "\(line)")
            case "# UNIT":
                #expect(state == "type" && words[2] == family && family.hasSuffix("_\(words[3])"), "\(line)")
                state = "unit"
            case "# HELP":
                #expect(["type", "unit"].contains(state) && words[2] == family && !words[3].isEmpty, "\(line)")
                state = "help"
            default:
                #expect(["help", "samples"].contains(state), "\(line)")
                state = "samples"
                let found = try #require(line.firstMatch(of: sample), "\(line)")
                #expect(found.output[1].substring.map(String.init) == family + (type == "counter" ? "_total" : ""))
                let series = line[..<(line.lastIndex(of: " ") ?? line.endIndex)]
                #expect(samples.insert(String(series)).inserted, "\(line) twice")
            }
        }
        #expect(state == "samples" && lines.last == "# EOF")
    }

    @Test func everyLineIsInTheGrammar() throws {
        let lines = try metrics(Self.status)
        try check(lines)
        for line in [
            #"ebee_info{version="1 \"\\"# + "\r" + #"\nx",kernel="6.18",scope="all"} 1"#,
            "ebee_start_time_seconds -1.250000000", "ebee_memory_bytes 41320448",
            #"ebee_hook_info{stream="deletes",rung="syscalls"} 1"#,
            #"ebee_self_test_passed{stream="exec"} 1"#, #"ebee_self_test_passed{stream="deletes"} 0"#,
            #"ebee_blind_since_seconds{stream="deletes"} 1795446208.078385488"#,
            #"ebee_events_total{stream="exec"} 9223372036854775807"#,
            #"ebee_lost_events_total{stream="exec",cause="ring_full"} 2"#,
            #"ebee_lost_events_total{stream="exec",cause="missed"} 1"#,
            #"ebee_ring_highest_bytes{stream="exec"} 10704"#, #"ebee_window_evicted_events_total{stream="exec"} 7"#,
            #"ebee_window_reach_at_rate_seconds{stream="exec"} 3600"#, "ebee_journal_lag_seconds 1.500000000",
            "# UNIT ebee_journal_lag_seconds seconds",
        ] { #expect(lines.contains(line), "\(line)") }
    }

    @Test("what is not known has no line") func absent() throws {
        let own = #"{"scope":"own","version":"0.1.0","kernel":"6.18","streams":[{"stream":"exec","rung":"tp"}]}"#
        let lines = try metrics(own)
        try check(lines)
        #expect(
            lines.filter { !$0.hasPrefix("#") } == [
                #"ebee_info{version="0.1.0",kernel="6.18",scope="own"} 1"#,
                #"ebee_hook_info{stream="exec",rung="tp"} 1"#,
            ])
        #expect(try metrics("{}") == ["# EOF"])
    }
}
