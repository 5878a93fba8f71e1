import EbeeProtocol

/// The status object as text for people. What the daemon didn't send is left out.
func statusText(_ status: JSON, clock: ReaderClock) -> String {
    var lines = [headline(status)]
    lines += runtime(status, clock: clock)
    for stream in status["streams"]?.array ?? [] {
        lines.append("")
        lines += streamLines(stream, clock: clock)
    }
    if status["scope"]?.string == Scope.own.rawValue {
        lines += ["", ownEventsOnly]
    }
    if let journal = status["journal"] {
        lines.append("")
        lines += journalLines(journal)
    }
    return lines.joined(separator: "\n") + "\n"
}

private func headline(_ status: JSON) -> String {
    var words = ["ebeed"]
    if let version = status["version"]?.string { words.append(shown(version)) }
    if let pid = status["pid"]?.integer { words.append("(pid \(pid))") }
    if let kernel = status["kernel"]?.string { words.append("on Linux \(shown(kernel))") }
    return words.joined(separator: " ")
}

private func runtime(_ status: JSON, clock: ReaderClock) -> [String] {
    var parts: [String] = []
    if let started = time(status["started"]) {
        let up = time(status["now"]).map { " (\(HumanUnits.duration($0 - started)))" } ?? ""
        parts.append("since \(clock.text(started, fractionDigits: 0))\(up)")
    }
    if let memory = status["memory_bytes"]?.integer { parts.append("\(HumanUnits.sizeInWords(memory)) of memory") }
    if let clients = status["clients"]?.integer { parts.append(HumanUnits.count(clients, "client")) }
    return parts.isEmpty ? [] : ["  running   " + parts.joined(separator: ", ")]
}

private func streamLines(_ stream: JSON, clock: ReaderClock) -> [String] {
    let name = stream["stream"]?.string ?? ""
    let title =
        switch name {
        case "exec": "Executions"
        case "deletes": "Deletions"
        default: shown(name)
        }
    var lines = [title]
    if let rung = stream["rung"]?.string { lines.append("  hook      \(shown(rung))") }
    if let test = stream["self_test"] {
        let since = time(test["blind_since"]).map { " since \(clock.text($0, fractionDigits: 0))" } ?? ""
        let failure = "BLIND\(since): " + shown(test["reason"]?.string ?? "")
        lines.append("  self-test \(test["passed"]?.bool == true ? "passed" : failure)")
    }
    if let events = stream["events"]?.integer {
        let lost = stream["lost"]?.integer ?? 0
        let loss = lost == 0 ? "none lost" : "\(HumanUnits.grouped(lost)) LOST\(causes(stream["losses"]))"
        lines.append("  recorded  \(HumanUnits.count(events, "event")), \(loss)")
    }
    if let malformed = stream["losses"]?["malformed"]?.integer, malformed > 0 {
        lines.append("  MALFORMED \(HumanUnits.count(malformed, "record")) that are none")
    }
    if let rate = stream["rate"] { lines += rateLines(rate) }
    if let ring = stream["ring"] { lines += ringLines(ring) }
    if let window = stream["window"] { lines += windowLines(window, clock: clock) }
    for sentence in stream["cannot_see"]?.array ?? [] {
        lines.append("  limit     \(shown(sentence.string ?? ""))")
    }
    return lines
}

/// Why events are lost, where there is more to say than how many.
private func causes(_ losses: JSON?) -> String {
    let causes = [("ring_full", "the ring was full"), ("missed", "missed by the hooks")].compactMap { key, words in
        (losses?[key]?.integer).flatMap { $0 > 0 ? "\(HumanUnits.grouped($0)) \(words)" : nil }
    }
    return causes.isEmpty ? "" : " (\(causes.joined(separator: ", ")))"
}

private func rateLines(_ rate: JSON) -> [String] {
    guard let interval = rate["interval_ns"]?.integer, interval > 0, let events = rate["events"]?.integer,
        let bytes = rate["bytes"]?.integer
    else { return [] }
    let each = 1e9 / Double(interval)
    let perSecond = HumanUnits.sizeInWords(Int64(Double(bytes) * each))
    return [
        "  rate      \(HumanUnits.count(events, "event")) in the last \(HumanUnits.duration(interval)), \(perSecond) a second"
    ]
}

private func ringLines(_ ring: JSON) -> [String] {
    guard let capacity = ring["capacity_bytes"]?.integer, let highest = ring["highest_bytes"]?.integer else {
        return []
    }
    let used = ring["used_bytes"]?.integer.map { ", \(HumanUnits.sizeInWords($0)) now" } ?? ""
    return [
        "  ring      at most \(HumanUnits.sizeInWords(highest)) of \(HumanUnits.sizeInWords(capacity)) used\(used)"
    ]
}

private func windowLines(_ window: JSON, clock: ReaderClock) -> [String] {
    var parts: [String] = []
    if let events = window["events"]?.integer { parts.append(HumanUnits.count(events, "event")) }
    if let oldest = time(window["oldest"]), let newest = time(window["newest"]) {
        parts.append("from \(clock.text(oldest, fractionDigits: 0)) to \(clock.text(newest, fractionDigits: 0))")
    }
    if let evicted = window["evicted"]?.integer { parts.append("\(HumanUnits.grouped(evicted)) evicted") }
    var lines = parts.isEmpty ? [] : ["  window    " + parts.joined(separator: ", ")]

    if let reach = window["reach_seconds"]?.integer.flatMap({ Int64(seconds: $0, nanoseconds: 0) }) {
        let full = window["reach_at_rate_seconds"]?.integer.flatMap { Int64(seconds: $0, nanoseconds: 0) }
        let atRate = full.map { ", \(HumanUnits.duration($0)) at this rate once it is full" } ?? ""
        lines.append("  reaches   \(HumanUnits.duration(reach)) back\(atRate)")
    }
    if let used = window["used_bytes"]?.integer, let capacity = window["capacity_bytes"]?.integer {
        let age = window["max_age_seconds"]?.integer.flatMap { Int64(seconds: $0, nanoseconds: 0) }
        let bound = age.map { ", at most \(HumanUnits.duration($0)) back" } ?? ""
        lines.append(
            "  memory    \(HumanUnits.sizeInWords(used)) of \(HumanUnits.sizeInWords(capacity))\(bound)")
    }
    return lines
}

private func journalLines(_ journal: JSON) -> [String] {
    let isTaking = journal["available"]?.bool == true
    let streams = [("exec", "executions"), ("deletes", "deletions")].filter { journal[$0.0]?.bool == true }.map(\.1)
    var lines = ["Journal", "  writes    " + (streams.isEmpty ? "nothing" : streams.joined(separator: " and "))]
    if !isTaking { lines.append("  AWAY      it takes no entries: events wait, and are folded where they are many") }
    if let written = journal["written"]?.integer {
        var parts = ["\(HumanUnits.count(written, "event"))"]
        if let folded = journal["folded"]?.integer, folded > 0 {
            parts.append("\(HumanUnits.grouped(folded)) folded into bursts")
        }
        if let behind = journal["behind"]?.integer, behind > 0 {
            let lag = journal["lag_ns"]?.integer.map { " (for \(HumanUnits.duration($0)))" } ?? ""
            parts.append("\(HumanUnits.grouped(behind)) waiting\(lag)")
        }
        let lost = journal["lost"]?.integer ?? 0
        parts.append(lost == 0 ? "none lost" : "\(HumanUnits.grouped(lost)) LOST")
        lines.append("  written   " + parts.joined(separator: ", "))
    }
    return lines
}

private func time(_ value: JSON?) -> Int64? { value?.string.flatMap(RFC3339.parse) }

private func shown(_ text: String) -> String {
    var cell = CellText()
    cell.append(FileName(text), .name)
    return cell.text
}
