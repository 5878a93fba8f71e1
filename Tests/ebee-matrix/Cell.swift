/// One kernel in one condition: a row of the table.
struct Cell: Sendable {
    /// What the kernel allows.
    enum Condition: String, CaseIterable {
        /// Everything, as a stock kernel does.
        case all
        /// No trampolines and no kprobes: programs for them are refused.
        case bare
        /// `lockdown=confidentiality`.
        case lockdown
        /// Without type information.
        case noBTF = "no-btf"
        /// The tracing of functions is turned off while ebeed runs: what is attached is not called any more.
        case blind
        /// Everything; what a system call costs is counted, in instructions.
        case cost
        /// Everything, and a thread can be interrupted anywhere by another one of the same processor, of which there is one.
        case preempt
    }

    /// As .ci/kernels names it; nil for the kernel of this machine.
    let kernel: String?
    let condition: Condition

    static let kernels = ["5.10", "6.1", "6.12", "7"]
    /// Every cell. The oldest kernels first: their verifiers take longest, and the last cells should be short ones.
    static let matrix: [Cell] =
        [Cell(kernel: nil, condition: .all)]
        + kernels.flatMap { kernel in
            Condition.allCases.filter { kernel != "5.10" || !lacking5_10.contains($0) }
                .map { Cell(kernel: kernel, condition: $0) }
        }
    /// 5.10 refuses to turn the tracing of functions off while anything is attached, and knows no preempt=.
    private static let lacking5_10: [Condition] = [.blind, .preempt]

    /// As CELLS= takes it.
    var name: String { kernel.map { "\($0)/\(condition.rawValue)" } ?? "native" }

    /// What is run in it, in this order.
    var steps: [Step] {
        switch condition {
        case .all where kernel == nil:
            [.coverage(), .coverage(exec: "raw_tp", deletes: "syscalls"), .coverage(exec: "tp", deletes: "syscalls")]
        case .all:
            [
                .coverage(), .coverage(exec: "raw_tp", deletes: isPreempted ? "fentry" : "kprobe"),
                .coverage(exec: "kprobe", deletes: "syscalls"), .coverage(exec: "tp", deletes: "syscalls"),
            ]
        case .bare: [.coverage()]
        case .lockdown, .noBTF: [.refusal]
        case .blind: [.blindness]
        case .preempt: [.storm]
        case .cost: [.cost(nil)] + Cost.rungs.map { .cost($0) }
        }
    }

    /// What a step that leaves the choice to ebeed must choose; nil where nobody can know.
    var best: Rungs? {
        switch condition {
        case .all where kernel == nil: nil
        case .all, .preempt, .blind:
            // Programs of tracepoints can be interrupted since Linux 7.0 only.
            Rungs(exec: kernel == "7" ? "kprobe" : "tp_btf", deletes: isPreempted ? "kprobe" : "fentry")
        case .bare: Rungs(exec: "tp_btf", deletes: "syscalls")
        case .lockdown, .noBTF, .cost: nil
        }
    }

    /// Whether a thread can be interrupted anywhere by another one of the same cpu. Linux 7 knows nothing else.
    private var isPreempted: Bool { kernel == "7" || condition == .preempt }

    /// Whether kretprobes have no room for the returns of many threads at once: before Linux 6.14.
    var hasFewReturns: Bool { kernel != "7" }

    /// Whether its clock counts instructions, one in a nanosecond: so that a cost has no noise, and a second is one of a
    /// slow processor, however slow and busy the machine is that plays it. It has one processor then.
    var isCounted: Bool { condition == .cost || condition == .lockdown || condition == .noBTF }

    /// What the kernel is booted with.
    var bootOptions: String {
        switch condition {
        // The hook that refuses is one of the security modules.
        case .bare: "lsm=lockdown,yama,bpf"
        case .lockdown: "lsm=lockdown,yama,bpf lockdown=confidentiality"
        case .preempt: "preempt=full"
        case .all, .noBTF, .blind, .cost: ""
        }
    }
}

/// One thing that is run in a cell.
enum Step: Sendable {
    /// The coverage suite, on the best rungs or on these.
    case coverage(exec: String? = nil, deletes: String? = nil)
    /// ebeed must say why it can't.
    case refusal
    /// ebeed must notice that it sees nothing, and what to do must work.
    case blindness
    /// Storms by threads that interrupt each other: nothing is lost.
    case storm
    /// What getppid(2) costs: with this rung, or without ebeed.
    case cost(String?)
}

/// Which hooks are in use.
struct Rungs: Hashable, Comparable, CustomStringConvertible {
    let exec: String
    let deletes: String

    var description: String { "\(exec), \(deletes)" }

    /// The best first.
    static func < (left: Rungs, right: Rungs) -> Bool { left.rank < right.rank }

    private var rank: (Int, Int) {
        (
            Cost.rungs.firstIndex(of: deletes) ?? Cost.rungs.count,
            ["tp_btf", "raw_tp", "kprobe", "tp"].firstIndex(of: exec) ?? 4
        )
    }
}

/// What a system call costs with each rung for deletions.
enum Cost {
    static let rungs = ["fentry", "kprobe", "syscalls"]
    /// How many calls are counted.
    static let calls = 20000
    /// With the first rung, getppid may cost so many instructions more than without ebeed: none, but for rounding.
    static let tolerance = 1.0
}
