import EbeeProtocol
import EbeeTrial

/// The least, the middle and the most of some numbers.
struct Spread {
    let least: Double
    let middle: Double
    let most: Double

    /// - Parameter numbers: at least one.
    init(_ numbers: [Double]) {
        let sorted = numbers.sorted()
        (least, most) = (sorted[0], sorted[sorted.count - 1])
        middle = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    var json: String { "{\"least\":\(least),\"middle\":\(middle),\"most\":\(most)}" }
}

/// What came of it.
struct Report {
    /// By tool, in the order of the rounds; nil is nobody.
    let series: [Kind?: [Sample]]
    let kinds: [Kind]
    /// Those that could not be had, and why.
    let absent: [String]
    let questions: [Questions.Answer]

    private static let measures: [(name: String, of: @Sendable (Sample) -> Double)] = [
        ("deletion", { $0.seconds[.deletes] ?? 0 }), ("execution", { $0.seconds[.exec] ?? 0 }),
        ("getppid", { $0.other }),
    ]

    /// How many times what it takes when nobody watches, in the same round.
    private func ratio(_ kind: Kind, _ of: (Sample) -> Double) -> Spread {
        Spread(zip(series[kind] ?? [], series[nil] ?? []).map { of($0) / of($1) })
    }

    private func spread(_ kind: Kind?, _ of: (Sample) -> Double) -> Spread { Spread((series[kind] ?? []).map(of)) }

    private func processor(_ kind: Kind, _ stream: EbeeTrial.Stream) -> Spread {
        spread(kind) { $0.processor[stream] ?? 0 }
    }

    /// In all rounds.
    private func sum(_ kind: Kind, _ of: (Sample) -> Int64?) -> Int64 {
        (series[kind] ?? []).reduce(0) { $0 + (of($1) ?? 0) }
    }

    private func recorded(_ kind: Kind, _ stream: EbeeTrial.Stream) -> String {
        let (made, recorded) = (sum(kind) { $0.made[stream] }, sum(kind) { $0.recorded[stream] })
        return recorded >= made ? "all" : "\(recorded * 100 / max(1, made)) %"
    }

    // MARK: For people

    var table: String {
        var rows = [
            [
                "WATCHED BY", "A DELETION", "AN EXECUTION", "GETPPID", "RECORDED", "SAID LOST", "CPU TIME OF EACH",
                "MEMORY",
            ],
            ["nobody"] + Self.measures.map { Self.time(spread(nil, $0.of).middle) } + ["", "", "", ""],
        ]
        for kind in kinds {
            rows.append(
                [kind.rawValue] + Self.measures.map { Self.factor(ratio(kind, $0.of)) }
                    + [
                        "\(recorded(kind, .deletes)), \(recorded(kind, .exec))", decimal(sum(kind) { $0.lost }),
                        "\(Self.time(processor(kind, .deletes).middle)), \(Self.time(processor(kind, .exec).middle))",
                        "\(Int64(spread(kind) { Double($0.memory) }.middle) >> 20) MiB",
                    ])
        }
        var lines = Self.aligned(rows)
        lines.append("")
        lines.append(
            """
            Times of what nobody watched, and how many times as long it took otherwise in the same round: the middle \
            (least to most).
            RECORDED, CPU TIME OF EACH: of deletions, then of executions. The time is that of the tool's own process, \
            besides what those take who are watched. GETPPID: the best of many batches.
            """)
        lines += absent.map { "Left out, \($0)." }
        if !questions.isEmpty {
            lines.append("")
            lines += Self.aligned(
                [["QUESTION", "TAKES", "LINES", "MIB", "LINES A SECOND"]]
                    + questions.map { answer in
                        let seconds = Spread(answer.seconds)
                        return [
                            answer.question,
                            "\(Self.time(seconds.middle)) (\(Self.time(seconds.least)) to \(Self.time(seconds.most)))",
                            decimal(answer.lines), decimal(answer.bytes >> 20),
                            decimal(Int64(Double(answer.lines) / seconds.middle)),
                        ]
                    })
        }
        return lines.joined(separator: "\n")
    }

    private static func aligned(_ rows: [[String]]) -> [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
    }

    private static func factor(_ spread: Spread) -> String {
        "\(rounded(spread.middle)) (\(rounded(spread.least)) to \(rounded(spread.most)))"
    }

    /// `1.04`
    private static func rounded(_ number: Double) -> String {
        let hundredths = Int((number * 100).rounded())
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }

    /// `3.20 µs`
    private static func time(_ seconds: Double) -> String {
        for (unit, name) in [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")] where seconds >= unit {
            return "\(rounded(seconds / unit)) \(name)"
        }
        return "\(Int((seconds * 1e9).rounded())) ns"
    }

    // MARK: For programs

    var json: String {
        let nobody = Self.measures.map { "\"\($0.name)_seconds\":\(spread(nil, $0.of).json)" }
        var lines = ["{\"tool\":null,\(nobody.joined(separator: ","))}"]
        for kind in kinds {
            let ratios = Self.measures.map { "\"\($0.name)_ratio\":\(ratio(kind, $0.of).json)" }
            let streams = EbeeTrial.Stream.allCases.map { stream in
                "\"\(stream)_made\":\(sum(kind) { $0.made[stream] }),"
                    + "\"\(stream)_recorded\":\(sum(kind) { $0.recorded[stream] }),"
                    + "\"\(stream)_processor_seconds\":\(processor(kind, stream).json)"
            }
            lines.append(
                "{\"tool\":\"\(kind)\",\((ratios + streams).joined(separator: ",")),\"lost\":\(sum(kind) { $0.lost }),"
                    + "\"memory_bytes\":\(spread(kind) { Double($0.memory) }.json)}")
        }
        lines += absent.map { "{\"left_out\":\(JSON.quoted($0))}" }
        lines += questions.map { answer in
            "{\"question\":\(JSON.quoted(answer.question)),\"seconds\":\(Spread(answer.seconds).json),"
                + "\"lines\":\(answer.lines),\"bytes\":\(answer.bytes)}"
        }
        return lines.joined(separator: "\n")
    }
}
