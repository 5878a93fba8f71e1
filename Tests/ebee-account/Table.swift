import EbeeTrial
import Glibc

/// The table: a line for each stream of a storm, when that is over.
struct Table {
    private static let headings = [
        "STORM", "STREAM", "MADE", "PER SECOND", "GENERATED", "DELIVERED", "IN WINDOW", "LOST", "DIFFERENCE", "CAUSE",
        "RESULT",
    ]
    /// Less than nothing: to the left.
    private static let widths = [-21, -7, 9, 10, 9, 9, 9, 9, 10, -22, 0]

    func begin() { put(Self.headings) }

    func add(_ outcomes: [Outcome]) {
        // A stream without load is of interest where something is wrong with it.
        let shown = outcomes.filter { $0.storm.streams.contains($0.stream) || !$0.problems.isEmpty }
        for (index, outcome) in shown.enumerated() {
            let account = outcome.account
            let rate = outcome.seconds > 0 ? Int64(Double(outcome.made) / outcome.seconds) : 0
            let window = outcome.rows.map { decimal($0.events) } ?? "-"
            put(
                [index == 0 ? outcome.storm.title : "", outcome.stream.rawValue]
                    + [outcome.made, rate, account.generated, account.delivered].map(decimal)
                    + [window, decimal(account.lost), decimal(account.difference), outcome.causes]
                    + [outcome.problems.isEmpty ? "ok" : "FAILED"])
            for line in outcome.problems + outcome.notes { print("    \(line)") }
        }
        fflush(nil)
    }

    func end(isAlone: Bool) {
        print(
            """

            MADE is the load's own count, PER SECOND over the whole storm. GENERATED is the kernel's count, DELIVERED what \
            reached the window
            and LOST what did not, as `ebeectl status` has them; DIFFERENCE = GENERATED - DELIVERED - LOST. IN WINDOW was \
            counted line by line;
            the rest of DELIVERED was given up since, as the window was full.
            """)
        if isAlone {
            print(
                """
                Other processes of this machine were not seen: of a storm, the kernel counted what was made and one more, \
                the load itself or
                its directory. The rest of GENERATED is ebeed's own test.
                """)
        } else {
            print(
                """
                Whatever else ran on this machine is in GENERATED, DELIVERED and LOST too, so MADE is a lower bound.
                """)
        }
    }

    private func put(_ columns: [String]) {
        let cells = zip(columns, Self.widths).map { text, width in
            let blanks = String(repeating: " ", count: max(0, abs(width) - text.count))
            return width > 0 ? blanks + text : text + blanks
        }
        print(cells.joined(separator: "  "))
        fflush(nil)
    }
}
