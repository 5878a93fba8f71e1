/// How many instructions the verifier went through for each program, by kernel; the recorded ones are in a file, so that
/// a program that grows towards the verifier's limit is noticed when it does.
struct Verifier {
    /// By kernel, as .ci/kernels names it, then by program.
    private(set) var counts: [String: [String: Int]] = [:]

    /// A program may grow by so much before somebody has to look at it.
    private static let growth = 1.1

    /// What cells told: the most that a program took in any of them.
    init(_ outcomes: [Outcome]) {
        for outcome in outcomes {
            guard let kernel = outcome.cell.kernel else { continue }
            for coverage in outcome.steps.compactMap(\.coverage) {
                counts[kernel, default: [:]].merge(coverage.programs, uniquingKeysWith: max)
            }
        }
    }

    /// Reads lines of kernel, program and count.
    init(file: String) {
        for line in read(file).split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: "\t")
            guard words.count == 3, let count = Int(words[2]) else { continue }
            counts[String(words[0]), default: [:]][String(words[1])] = count
        }
    }

    /// Writes these counts, and of the `recorded` ones those of other kernels.
    func save(to file: String, keeping recorded: Verifier) throws {
        let all = recorded.counts.merging(counts) { $1 }
        var text =
            "# Kernel, program, instructions that the verifier went through. Written by: make kernel-test RECORD=1\n"
        for kernel in Cell.kernels {
            for (program, count) in (all[kernel] ?? [:]).sorted(by: { $0.key < $1.key }) {
                text += "\(kernel)\t\(program)\t\(count)\n"
            }
        }
        try write(text, to: file)
    }

    /// Sentences about programs that grew, or that nobody recorded.
    func problems(recorded: Verifier) -> [String] {
        counts.keys.sorted().flatMap { kernel in
            (counts[kernel] ?? [:]).sorted { $0.key < $1.key }.compactMap { program, count in
                guard let before = recorded.counts[kernel]?[program] else {
                    return "\(kernel): \(program) takes \(count) instructions of the verifier; none are recorded"
                }
                guard Double(count) > Double(before) * Self.growth else { return nil }
                return "\(kernel): \(program) takes \(count) instructions of the verifier, \(before) are recorded"
            }
        }
    }
}
