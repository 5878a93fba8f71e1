import EbeeProtocol
import EbeeTrial

/// What became of one stream in a storm.
struct Outcome {
    let storm: Storm
    let stream: Stream
    /// By the load's own count.
    let made: Int64
    /// How long that took.
    let seconds: Double
    let account: Account
    /// What its window holds, line by line; nil where more came while it was counted.
    var rows: Rows?
    /// Those of the rows that the load made; nil where the window gave up any.
    let own: Int64?
    /// Events of the storm by the kernel's count; nil where others may have made some.
    let generated: Int64?
    /// Nothing was on its way when the account was taken.
    let isStill: Bool

    /// The load is executed, and removes its directory: one of each. An ebeed that goes on for another one removes that one's socket, and
    /// tests itself.
    private var byTheWay: Int64 { storm.upgrades ? 3 : 1 }

    /// Where kretprobes have no room, events that the old programs missed and counted, and the new ones saw, in the moment at which the ones
    /// stop to count.
    private var doubles: Int64 { storm.upgrades && account.missed > Int64(storm.crowd ?? 0) ? 20 : 0 }

    /// Whether the kernel's count must be that of the load: two programs may have missed the same event, but for what is missed where
    /// many are in a call at once.
    private var isExact: Bool { storm.crowd == nil ? account.missed == 0 : storm.streams.contains(stream) }

    /// What is wrong with it.
    var problems: [String] {
        guard isStill else {
            return ["others made events all the time for a minute, so that the counts are not of one moment"]
        }
        var problems: [String] = []
        if account.difference != 0 {
            problems.append("generated and what became of it differ by \(account.difference)")
        }
        if account.malformed != 0 { problems.append("\(account.malformed) records were malformed") }
        if let rows, rows.events + account.evicted != account.delivered {
            problems.append(
                "the window holds \(rows.events) and gave up \(account.evicted), of \(account.delivered) delivered")
        }
        if let rows, account.evicted == 0, rows.marked != account.lost {
            problems.append("the marks in the window say that \(rows.marked) were lost, status says \(account.lost)")
        }
        if made > account.delivered + account.lost {
            problems.append("\(made) were made, but only \(account.delivered) delivered and \(account.lost) lost")
        }
        if let own, own > made || own + account.lost < made {
            problems.append("of \(made) made, \(own) are in the window, and \(account.lost) were lost")
        }
        if let generated, isExact, !(made + byTheWay...made + byTheWay + doubles).contains(generated) {
            problems.append("\(made) were made, and \(byTheWay) by the way, but the kernel counted \(generated)")
        }
        if storm.upgrades, storm.streams.contains(stream), account.missed < Int64(storm.crowd ?? 0) {
            problems.append("only \(account.missed) were missed: nobody was in a call as the others took over")
        }
        if storm.isLossless, account.lost != 0 { problems.append("\(account.lost) were lost") }
        return problems
    }

    /// What is worth a line, though nothing is wrong.
    var notes: [String] {
        var notes: [String] = []
        if storm.losesEvents, account.lost == 0 {
            notes.append("nothing was lost here: the ring had room for what came meanwhile")
        }
        if rows == nil { notes.append("others made events while the window was counted, so that this has no outcome") }
        return notes
    }

    /// `12 ring full`
    var causes: String {
        let causes = [(account.ringFull, "ring full"), (account.missed, "missed")].filter { $0.0 > 0 }
        return causes.isEmpty ? "-" : causes.map { "\(decimal($0)) \($1)" }.joined(separator: ", ")
    }

    var json: String {
        let numbers = [
            ("made", made), ("generated", account.generated), ("delivered", account.delivered),
            ("evicted", account.evicted), ("lost", account.lost),
            ("ring_full", account.ringFull), ("missed", account.missed), ("malformed", account.malformed),
            ("difference", account.difference),
        ]
        var members = ["\"storm\":\(JSON.quoted(storm.name))", "\"stream\":\(JSON.quoted(stream.rawValue))"]
        members += numbers.map { "\"\($0)\":\($1)" } + ["\"seconds\":\(seconds)"]
        if let rows { members.append("\"in_window\":\(rows.events),\"marked\":\(rows.marked)") }
        if let own { members.append("\"own_in_window\":\(own)") }
        if let generated { members.append("\"generated_by_storm\":\(generated)") }
        members.append("\"problems\":[\(problems.map(JSON.quoted).joined(separator: ","))]")
        return "{\(members.joined(separator: ","))}"
    }
}
