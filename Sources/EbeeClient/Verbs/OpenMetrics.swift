import EbeeProtocol

/// The status object as OpenMetrics 1.0 text, in seconds and bytes. What the daemon didn't send is left out.
///
/// Every type is one that Prometheus' own text format has too, since that is what the textfile collector of its node exporter
/// reads: facts are gauges that are always 1.
func openMetrics(_ status: JSON) -> String {
    var text = MetricText()
    if status["version"] != nil {
        text.family("ebee_info", .gauge, "What runs.", [(["version", "kernel", "scope"].labels(of: status), "1")])
    }
    text.family("ebee_start_time_seconds", .gauge, "When ebeed started, since 1970.", seconds(status["started"]))
    text.family("ebee_memory_bytes", .gauge, "Resident memory of ebeed.", count(status["memory_bytes"]))
    text.family("ebee_clients", .gauge, "Connections.", count(status["clients"]))
    streams(status["streams"]?.array ?? [], &text)
    if let journal = status["journal"] { journalFamilies(journal, &text) }
    return text.text + "# EOF\n"
}

private typealias Sample = (labels: [(String, String)], value: String)

private func streams(_ streams: [JSON], _ text: inout MetricText) {
    /// A family with a sample of each stream that has a value.
    func family(_ name: String, _ type: MetricText.Kind, _ help: String, _ value: (JSON) -> [Sample]) {
        text.family(
            name, type, help,
            streams.flatMap { stream in
                value(stream).map { (["stream"].labels(of: stream) + $0.labels, $0.value) }
            })
    }
    family("ebee_hook_info", .gauge, "The hooks in use.") { [(["rung"].labels(of: $0), "1")] }
    family("ebee_self_test_passed", .gauge, "1 where ebeed's own events arrived in the last test; 0: it may be blind.")
    {
        $0["self_test"]?["passed"]?.bool.map { [([], $0 ? "1" : "0")] } ?? []
    }
    family("ebee_blind_since_seconds", .gauge, "When the last event of a blind stream came, since 1970.") {
        seconds($0["self_test"]?["blind_since"])
    }
    family("ebee_generated_events", .counter, "Events that there were, by the kernel's count.") {
        count($0["generated"])
    }
    family("ebee_events", .counter, "Events recorded.") { count($0["events"]) }
    family("ebee_lost_events", .counter, "Events lost between the kernel and ebeed, by cause.") { stream in
        ["ring_full", "missed"].flatMap { cause in
            count(stream["losses"]?[cause], [("cause", cause)])
        }
    }
    family("ebee_malformed_records", .counter, "Records of the ring that are none.") {
        count($0["losses"]?["malformed"])
    }
    let sizes = [
        ("ring", "capacity", "Bytes that the ring between kernel and ebeed holds."),
        ("ring", "used", "Bytes in the ring."),
        ("ring", "highest", "Most bytes found in the ring since ebeed started."),
        ("window", "capacity", "Bytes that the window holds."),
        ("window", "used", "Bytes in the window."),
    ]
    for (part, what, help) in sizes {
        family("ebee_\(part)_\(what)_bytes", .gauge, help) { count($0[part]?["\(what)_bytes"]) }
    }
    family("ebee_window_events", .gauge, "Events in the window.") { count($0["window"]?["events"]) }
    family("ebee_window_evicted_events", .counter, "Events that the window gave up.") {
        count($0["window"]?["evicted"])
    }
    let reaches = [
        ("max_age", "Age at which events are given up."),
        ("reach", "How far back the window reaches."),
        ("reach_at_rate", "How far back the full window would reach at the present rate."),
    ]
    for (what, help) in reaches {
        family("ebee_window_\(what)_seconds", .gauge, help) { count($0["window"]?["\(what)_seconds"]) }
    }
}

private func journalFamilies(_ journal: JSON, _ text: inout MetricText) {
    text.family(
        "ebee_journal_available", .gauge, "1 where the journal takes entries.",
        journal["available"]?.bool.map { [([], $0 ? "1" : "0")] } ?? [])
    let counters = [
        ("written", "Events with an entry of their own in the journal."),
        ("folded", "Events that burst entries stand for."), ("lost", "Events that did not reach the journal."),
    ]
    for (what, help) in counters {
        text.family("ebee_journal_\(what)_events", .counter, help, count(journal[what]))
    }
    text.family("ebee_journal_waiting_events", .gauge, "Events that wait for the journal.", count(journal["behind"]))
    text.family(
        "ebee_journal_lag_seconds", .gauge, "How long the oldest event that waits for the journal has waited.",
        journal["lag_ns"]?.integer.map { [([], decimal(nanoseconds: $0))] } ?? [])
}

private func count(_ value: JSON?, _ labels: [(String, String)] = []) -> [Sample] {
    value?.integer.map { [(labels, "\($0)")] } ?? []
}

/// Of a time, since 1970.
private func seconds(_ value: JSON?) -> [Sample] {
    value?.string.flatMap(RFC3339.parse).map { [([], decimal(nanoseconds: $0))] } ?? []
}

/// Seconds with all nine digits.
private func decimal(nanoseconds: Int64) -> String {
    let digits = String((nanoseconds % 1_000_000_000).magnitude)
    let sign = nanoseconds < 0 ? "-" : ""
    return sign + "\((nanoseconds / 1_000_000_000).magnitude)." + String(repeating: "0", count: 9 - digits.count)
        + digits
}

extension [String] {
    /// The members of these names, as labels.
    fileprivate func labels(of object: JSON) -> [(String, String)] {
        compactMap { name in (object[name]?.string).map { (name, $0) } }
    }
}

/// Metric families, one after the other.
private struct MetricText {
    enum Kind: String { case gauge, counter }

    private(set) var text = ""

    /// A family without samples is left out.
    mutating func family(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        if samples.isEmpty { return }
        text += "# TYPE \(name) \(kind.rawValue)\n"
        if let unit = ["seconds", "bytes"].first(where: { name.hasSuffix("_\($0)") }) {
            text += "# UNIT \(name) \(unit)\n"
        }
        text += "# HELP \(name) \(help)\n"
        for (labels, value) in samples {
            let list = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
            text += name + (kind == .counter ? "_total" : "") + (list.isEmpty ? "" : "{\(list)}") + " \(value)\n"
        }
    }

    private static func escaped(_ value: String) -> String {
        // By scalars: a line feed may be half of a character.
        value.unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
