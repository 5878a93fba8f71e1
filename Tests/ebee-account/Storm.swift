import EbeeTrial

/// A load, what it falls upon, and what must come of it.
struct Storm {
    /// As `--storms` takes it.
    let name: String
    /// As the table shows it.
    let title: String
    /// In a second, for so long.
    var deletions = 0
    /// Likewise.
    var executions = 0
    /// Likewise.
    var seconds = 1.0
    /// A deletion is a file that another one is renamed over.
    var replaces = false
    /// In place of these: so many threads in one system call at once, which kretprobes may have no room for. What they miss then is
    /// counted exactly.
    var crowd: Int?
    /// Of those, others take the place of ebeed and its programs: some threads in the middle of a call, others idle since one that nobody saw
    /// return.
    var upgrades = false
    /// Meanwhile somebody uses bpf(2) all the time, within which the kernel may be interrupted, and hides from kprobes what others do then.
    var hides = false
    /// So many in all, but as fast as this machine can.
    var isFast = false
    /// ebeed stands still for so long, once the load has begun.
    var freeze: Double?
    /// Of ebeed.
    var configuration = "[exec]\njournal = false\n[deletes]\njournal = false\n"
    /// Nothing may be lost.
    var isLossless = false
    /// It is there to lose some, but whether it does is the machine's affair.
    var losesEvents: Bool { freeze != nil || configuration.contains("ring_bytes") }

    /// Records of them all fit into a window of the default size, so that every one can be counted there, but for those of the
    /// million.
    static let all = [
        Storm(name: "executions", title: "executions", executions: 10_000, isFast: true),
        Storm(name: "deletions", title: "deletions", deletions: 200_000, isFast: true),
        Storm(name: "both", title: "both", deletions: 20_000, executions: 1_000, seconds: 8),
        Storm(
            name: "frozen", title: "reader frozen for 2 s", deletions: 30_000, executions: 1_500, seconds: 5, freeze: 2),
        Storm(
            name: "ring", title: "rings of 64 KiB", deletions: 200_000, executions: 10_000, isFast: true,
            configuration: ["exec", "deletes"].map { "[\($0)]\njournal = false\nring_bytes = 65536\n" }.joined()),
        Storm(name: "replacements", title: "files replaced", deletions: 100_000, replaces: true, isFast: true),
        Storm(name: "crowd", title: "40 at once in a call", crowd: 40),
        Storm(name: "upgrade", title: "40 in a call, upgraded", crowd: 40, upgrades: true),
        Storm(name: "hidden", title: "while maps are used", deletions: 200_000, hides: true, isFast: true),
        Storm(
            name: "hidden-renames", title: "replaced meanwhile", deletions: 200_000, replaces: true, hides: true,
            isFast: true),
        Storm(
            name: "million", title: "a million deletions", deletions: 1_000_000, isFast: true, configuration: "",
            isLossless: true),
        Storm(
            name: "hundred-thousand", title: "100,000 executions", executions: 100_000, isFast: true, configuration: "",
            isLossless: true),
    ]

    /// A larger or smaller one: of more or fewer, in the same time.
    func scaled(_ scale: Double) -> Storm {
        if scale == 1 { return self }
        var storm = self
        storm.deletions = Int(Double(deletions) * scale)
        storm.executions = Int(Double(executions) * scale)
        return storm
    }

    /// The same upon an ebeed that sees deletions through these hooks.
    func hooked(_ deletes: String) -> Storm {
        var storm = self
        let section = "[deletes]\n"
        if !configuration.contains(section) { storm.configuration += section }
        storm.configuration = storm.configuration.replacing(section, with: "\(section)hooks = \"\(deletes)\"\n")
        return storm
    }

    /// The streams that it is about.
    var streams: [Stream] {
        if upgrades { return [.deletes] }
        return Stream.allCases.filter { crowd != nil || ($0 == .exec ? executions : deletions) > 0 }
    }

    /// What makes the load, a program and its arguments.
    func load(_ programs: String, threads: Int) -> [String] {
        if let crowd { return ["\(programs)/ebee-act", upgrades ? "linger" : "crowd", "\(crowd)"] }
        return [
            "\(programs)/ebee-load",
            "--deletions", "\(deletions)", "--executions", "\(executions)", "--seconds", "\(seconds)", "--threads",
            "\(threads)",
        ] + (isFast ? ["--fast"] : []) + (replaces ? ["--replace"] : [])
    }
}
