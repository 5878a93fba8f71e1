import EbeeProtocol

/// What those are told who don't see everything.
let ownEventsOnly = "Only your own events are shown: root and the group \(Defaults.group) see those of others."

/// The line that says what an answer covers and whether anything in it is missing.
func closingLine(_ account: Completeness, asked: Recent, clock: ReaderClock) -> String {
    let noun =
        switch asked.stream {
        case .exec: "execution"
        case .deletes: "deletion"
        case .all: "event"
        }
    let from = clock.text(account.from, fractionDigits: 0)
    let to = clock.text(account.to, fractionDigits: 0)
    let interval = "\(HumanUnits.count(account.matched, noun)) from \(from) to \(to)"
    if account.complete { return "\(interval), complete" }

    var reasons: [String] = []
    // The clock is read after the daemon took its own now, so what it cut off is never taken for a delay.
    let began = asked.since.map { account.from > $0.nanoseconds(now: clock.now) } ?? false
    let isExplained = account.blind || account.late
    if let lost = account.lost {
        if began || lost == 0 && !isExplained { reasons.append("recording began at \(from)") }
        if lost > 0 { reasons.append("\(HumanUnits.count(lost, "event")) lost") }
    } else {
        // How many were lost, and whose, isn't told to those who see only their own.
        if began || !isExplained { reasons.append(began ? "recording began at \(from)" : "some events were lost") }
    }
    if account.blind { reasons.append("ebeed was blind for a while") }
    if account.late { reasons.append("what happened since \(to) is still on its way") }
    return "\(interval), NOT complete: \(reasons.joined(separator: ", "))"
}
