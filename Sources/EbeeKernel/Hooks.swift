import CLibbpf
import CObjects
import EbeeRecord
import Glibc

/// A place in the kernel that a program is attached to.
enum Hook: Sendable {
    /// A tracepoint of tracefs.
    case tracepoint(category: String, name: String)
    /// A kprobe where a function begins.
    case entry(String)
    /// A kprobe where a function returns.
    case exit(String)
}

extension Hook: CustomStringConvertible {
    /// As the sections of programs are named.
    var description: String {
        switch self {
        case .tracepoint(let category, let name): "tp/\(category)/\(name)"
        case .entry(let function): "kprobe/\(function)"
        case .exit(let function): "kretprobe/\(function)"
        }
    }
}

/// What a program needs of a kernel; features are asked for, never versions.
enum Need: Equatable, Sendable {
    /// A tracepoint whose arguments BPF can take; where their number tells which they are, as many.
    case tracepoint(String, arguments: Int? = nil)
    /// A tracepoint whose programs may be interrupted, and whose perf event is the better place therefore: see `preemptedTracepoints`.
    case preemptedTracepoint(String)
    /// A function of the kernel.
    case function(String)
    /// The same, where kprobes may not be run and nothing counts that: see `missesOfCalls`.
    case hiddenFunction(String)
    /// Functions that can be hooked where they begin and end: without this what is attached there is never called
    /// (sysctl kernel.ftrace_enabled, Documentation/trace/ftrace.rst).
    case functionTracing
    /// kprobes that a BPF program can be attached to (kernel: CONFIG_KPROBE_EVENTS).
    case kprobes
    /// The returns of however many threads at once: those of fprobes, once they are kept with each thread (Linux 6.14,
    /// kernel/trace/fprobe.c). A kretprobe has room for twice as many as there are cpus, or ten, on some older kernels for as
    /// many as there are (Documentation/trace/kprobes.rst), and the returns of the others are not seen.
    case unlimitedReturns
    /// Programs of tracepoints that may be interrupted by other threads where the kernel is preempted (Linux 7.0,
    /// include/linux/tracepoint.h: SRCU guards them; before, preemption was off).
    case preemptedTracepoints
    /// A count of what programs in kprobes and perf events were not run for (Linux 6.7, kernel/trace/bpf_trace.c, trace_call_bpf(),
    /// which came with the counts that links tell).
    case missesOfCalls
    /// A ring whose lock never sleeps, not on PREEMPT_RT either (Linux 6.12, kernel/bpf/ringbuf.c).
    case ringThatNeverSleeps
}

extension Need: CustomStringConvertible {
    /// What is to be had, and how.
    var description: String {
        switch self {
        case .tracepoint(let name, _): "the tracepoint \(name)"
        case .preemptedTracepoint(let name): "the tracepoint \(name) under SRCU"
        case .function(let name), .hiddenFunction(let name): "the function \(name)"
        case .functionTracing: "the tracing of functions (sysctl kernel.ftrace_enabled=1 turns it on)"
        case .unlimitedReturns: "fprobes without a limit"
        case .preemptedTracepoints: "tracepoints under SRCU"
        case .missesOfCalls: "counts of missed calls"
        case .ringThatNeverSleeps: "a ring under a raw spinlock"
        case .kprobes: "kprobes (where there are any, 1 in /sys/kernel/debug/kprobes/enabled turns them on)"
        }
    }
}

/// One way to see the events of a program, and what it costs or can't see.
public struct Rung: Sendable {
    /// As `status`, `--check` and the setting `hooks` name it.
    public let name: String
    /// The BPF programs that make it up.
    let programs: Set<String>
    /// What it needs before loading is tried.
    var needs: [Need] = []
    /// Where a program is attached instead of where its section says: to those of these that exist.
    var places: [String: [Hook]] = [:]
    /// Whether a program is attached to nothing but where functions return.
    func isOfReturns(_ program: String) -> Bool {
        places[program]?.allSatisfy { if case .exit = $0 { true } else { false } } ?? false
    }
    /// Programs and traits that add facts, each where one of its needs is met.
    var facts: [String: [Need]] = [:]
    /// Those of them that are loaded only where a better one is not: the better one of each.
    var substitutes: [String: String] = [:]
    /// Programs that see what fails: alternatives, the best first, each program where its hook exists.
    var failures: [[String: [Need]]] = []
    /// What this rung costs, or can't see, in words; `present` are the programs that are loaded, and their traits.
    let limits: @Sendable (_ present: Set<String>, _ preemption: Preemption) -> [String]

    /// Programs with the traits that they have on this kernel.
    func withTraits(_ programs: Set<String>, _ types: borrowing KernelTypes) -> Set<String> {
        var present = programs
        for trait in Recording.traits where facts[trait]?.contains(where: { types.meets($0) }) == true {
            if substitutes[trait].map({ !programs.contains($0) }) ?? true { present.insert(trait) }
        }
        return present
    }
}

/// The BPF programs of ebeed: each with its rungs, the best first.
public enum Recording: Sendable, CaseIterable {
    case exec
    case deletes

    /// As clients name the stream.
    public var stream: String {
        switch self {
        case .exec: "exec"
        case .deletes: "deletes"
        }
    }

    /// The object file, as bpftool shows it.
    var object: String {
        switch self {
        case .exec: "execsnoop"
        case .deletes: "rmdetect"
        }
    }

    /// The ELF file; it lives as long as the process.
    var image: UnsafeRawBufferPointer {
        var size = 0
        let start =
            switch self {
            case .exec: unsafe ebee_execsnoop(&size)
            case .deletes: unsafe ebee_rmdetect(&size)
            }
        return unsafe UnsafeRawBufferPointer(start: start, count: size)
    }

    /// The ways to see its events, the best first.
    public var rungs: [Rung] {
        switch self {
        case .exec: Self.execRungs
        case .deletes: Self.deleteRungs
        }
    }

    /// The programs that see what no other one tells of: where the kernel does not run one, because one was running on that cpu already, an
    /// event may be missing. Not those that only note facts, most of which are of no event; what an event hangs on, and what was not
    /// seen to end, the programs count themselves.
    var decisive: Set<String> {
        switch self {
        case .exec: Self.decisiveForExecutions
        case .deletes: Self.decisiveForDeletions
        }
    }

    /// The same, where kprobes were not run for some calls: these noted them, or did not.
    static let decisiveWhereHidden: Set = notesOfHiddenCalls.subtracting(["exit_thread"])

    /// The rungs, the best first on a kernel with this `preemption`: where it reaches them, trampolines and tracepoints miss what
    /// happens while another thread is in the middle of the same program, and kprobes don't, so they come first.
    func rungs(_ preemption: Preemption) -> [Rung] {
        guard preemption.favorsKprobes else { return rungs }
        // What succeeds is seen through tracepoints.
        let isReached = self != .exec || preemption.reachesTracepoints
        return (isReached ? Self.kprobesFirst(rungs) { $0.needs } : rungs).map { rung in
            var rung = rung
            rung.failures = Self.kprobesFirst(rung.failures) { $0.values.flatMap { $0 } }
            return rung
        }
    }

    private static func kprobesFirst<Way>(_ ways: [Way], needs: (Way) -> [Need]) -> [Way] {
        ways.filter { needs($0).contains(.kprobes) } + ways.filter { !needs($0).contains(.kprobes) }
    }

    // MARK: Executions

    private static let execCalls = [
        "__x64_sys_execve", "__x64_sys_execveat", "__ia32_compat_sys_execve", "__ia32_compat_sys_execveat",
    ]

    /// - Parameter programs: those that see what succeeds, and the end of processes.
    private static func execRung(
        _ name: String, programs: Set<String>? = nil, needs: [Need] = [],
        _ limits: @escaping @Sendable (Preemption) -> [String]
    ) -> Rung {
        Rung(
            name: name, programs: programs ?? ["exec_\(name)", "exit_\(name)"], needs: needs,
            places: [
                "kretprobe_execve": execCalls.map { .exit($0) }, "note_execve": execCalls.map { .entry($0) },
                "tp_execve": ["execve", "execveat"].map { .tracepoint(category: "syscalls", name: "sys_exit_\($0)") },
            ],
            facts: [unlimitedReturns: [.unlimitedReturns]],
            failures: [
                [
                    "fexit_execve": [.function(execCalls[0])], "fexit_execveat": [.function(execCalls[1])],
                    "fexit_execve_32": [.function(execCalls[2])], "fexit_execveat_32": [.function(execCalls[3])],
                ],
                [
                    "kretprobe_execve": [.kprobes], "note_execve": [.kprobes],
                    "hidden_execve": [.hiddenFunction(execCalls[0])],
                    "hidden_execveat": [.hiddenFunction(execCalls[1])],
                    "hidden_execve_32": [.hiddenFunction(execCalls[2])],
                    "hidden_execveat_32": [.hiddenFunction(execCalls[3])],
                ],
                ["tp_execve": [], exit32BitCall: [.function("__ia32_compat_sys_execve")]],
                ["tp_execve": []],
            ]
        ) { present, preemption in
            let limits = limits(preemption)
            if present.contains("tp_execve") {
                let missed = preemption.reachesTracepoints ? [interrupted("executions that fail", preemption)] : []
                return limits + missed + within(bpf: "executions that fail", present, preemption) + [
                    slowCalls,
                    present.contains(exit32BitCall) ? slow32BitCalls : "executions that fail in 32-bit system calls",
                ]
            }
            if present.contains("kretprobe_execve") {
                return limits + within(bpf: "executions that fail", present, preemption)
                    + (present.contains("note_execve")
                        ? [unreturned("executions that fail", "executes")] : [hanging("an execution")])
            }
            guard present.contains("fexit_execve") else { return limits + ["executions that fail"] }
            return limits + (preemption.reachesTrampolines ? [interrupted("executions that fail")] : []) + [
                hanging("an execution")
            ]
        }
    }

    private static let execRungs = [
        execRung("tp_btf") { $0.reachesTracepoints ? [interrupted("executions", $0)] : [] },
        execRung("raw_tp") { $0.reachesTracepoints ? [interrupted("executions", $0)] : [] },
        // Every format of a program ends with this, when nothing can fail any more (fs/binfmt_elf.c, load_elf_binary()).
        execRung(
            "kprobe", programs: ["note_binprm", "exec_tp", "exit_tp"],
            needs: [.functionTracing, .kprobes, .function("finalize_exec")]
        ) { within(bpf: "executions", [], $0) },
        execRung("tp") {
            ["the interpreter of a script, and how many arguments were cut off"] + within(bpf: "executions", [], $0)
        },
    ]

    private static let decisiveForExecutions: Set = [
        "exec_tp_btf", "exec_raw_tp", "exec_tp", "fexit_execve", "fexit_execveat", "fexit_execve_32",
        "fexit_execveat_32", "kretprobe_execve", "tp_execve", exit32BitCall,
    ]

    // MARK: Deletions

    private static let operations = ["unlink", "rmdir", "rename"]
    /// What system calls and io_uring end up in; the second two are the names since Linux 7.0.
    private static let deleteFunctions = ["do_unlinkat", "do_rmdir", "filename_unlinkat", "filename_rmdir"]
    private static let calls = ["unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2"]

    private static let slowCalls = "system call tracepoints slow every system call of every process by about 50 ns"

    private static let decisiveForDeletions = Set(
        operations.flatMap { ["fexit_path_\($0)", "fentry_\($0)", "kprobe_path_\($0)"] }
            + deleteFunctions.map { "fexit_\($0)" } + calls.map { "enter_\($0)" } + [
                "kprobe_entered", "kprobe_rename", "kretprobe_returned", exit32BitCall, "submit_event",
                "complete_event",
            ])

    private static let deleteRungs = [
        Rung(
            name: "fentry",
            programs: Set(
                operations.flatMap { ["fexit_path_\($0)", "fentry_\($0)", "fexit_\($0)"] } + ["exit_thread"]),
            needs: [.functionTracing],
            facts: Dictionary(uniqueKeysWithValues: deleteFunctions.map { ("fexit_\($0)", [.function($0)]) })
                .merging(
                    [
                        "fentry_io_unlinkat": [.function("io_unlinkat")],
                        // Beside its tracepoint, which may be interrupted then.
                        "exit_thread_tp": [.preemptedTracepoint("sched_process_exit")],
                    ].merging(oldSubmission) { $1 }
                ) { $1 }
        ) { present, preemption in
            functionLimits(present, seesReturns: deleteFunctions.contains { present.contains("fexit_\($0)") })
                + (preemption.reachesTrampolines ? [interrupted("deletions", preemption)] : [])
        },
        Rung(
            name: "kprobe",
            programs: Set(operations.map { "kprobe_path_\($0)" }).union([
                "kretprobe_path", "kprobe_entered", "kprobe_rename", "kretprobe_left", "exit_thread_tp",
            ]),
            needs: [.functionTracing, .kprobes],
            places: [
                "kretprobe_path": operations.map { .exit("security_path_\($0)") },
                "kprobe_entered": [.entry("vfs_unlink"), .entry("vfs_rmdir")],
                "kretprobe_left": operations.map { .exit("vfs_\($0)") },
                "kretprobe_returned": deleteFunctions.map { .exit($0) },
                "note_call": deleteFunctions.map { .entry($0) },
            ],
            facts: [
                "kretprobe_returned": deleteFunctions.map { .function($0) },
                "note_call": deleteFunctions.map { .function($0) },
                "kprobe_io_unlinkat": [.function("io_unlinkat")], unlimitedReturns: [.unlimitedReturns],
                "hidden_unlink": [.hiddenFunction("do_unlinkat")], "hidden_rmdir": [.hiddenFunction("do_rmdir")],
                "begin_rename": [.hiddenFunction("do_renameat2")], "hidden_rename": [.hiddenFunction("do_renameat2")],
                "hidden_path_rename": [.hiddenFunction("do_renameat2")],
                // Beside the perf event, which may be hidden too.
                "exit_thread": [.hiddenFunction("do_exit")],
            ].merging(oldSubmission) { $1 }
        ) { present, preemption in
            functionLimits(present, seesReturns: present.contains("kretprobe_returned"))
                + within(bpf: "deletions", present, preemption)
                + (present.contains(unlimitedReturns)
                    ? [] : [unreturned("deletions", "deletes")])
        },
        Rung(
            name: "syscalls", programs: Set(calls.map { "enter_\($0)" } + ["exit_call", "exit_thread_tp"]),
            places: [
                "exit_call": calls.map { .tracepoint(category: "syscalls", name: "sys_exit_\($0)") },
                "note_touch": touches.map { .tracepoint(category: "timestamp", name: $0) },
            ],
            facts: [
                lookUp: [.function("d_lookup")],
                "touch_ext4": [.tracepoint("ext4_mark_inode_dirty")],
                touchCTime: [.tracepoint(touches[0])],
                "touch_ctime_multigrain": [.tracepoint(touches[1])],
                "touch_ctime_unchanged": [.tracepoint(touches[2])],
                "note_touch": [.preemptedTracepoint(touches[0])],
                "submit_event": [.preemptedTracepoint("io_uring_submit_req")],
                "complete_event": [.preemptedTracepoint("io_uring_complete")],
                "submit_req": [.tracepoint("io_uring_submit_req", arguments: 1)],
                "submit_sqe": [.tracepoint("io_uring_submit_sqe", arguments: 2)],
                "complete_entry": [.tracepoint("io_uring_complete", arguments: 3)],
                "complete_values": [.tracepoint("io_uring_complete", arguments: 7)],
                "complete_work": [.tracepoint("io_uring_complete", arguments: 4)],
                exit32BitCall: [.function("__ia32_sys_unlink")], "enter_32_bit": [.function("__ia32_sys_unlink")],
            ].merging(oldSubmission) { $1 },
            substitutes: [
                lookUp: touchCTime, "touch_ext4": touchCTime, "enter_32_bit": touchCTime, "submit_req": "submit_event",
                "complete_entry": "complete_event",
            ],
            limits: callLimits),
    ]

    /// What see 32-bit system calls on the last rung.
    static let calls32Bit: Set = [exit32BitCall, "enter_32_bit"]
    static let exit32BitCall = "exit_32_bit"
    /// No program, but something that several of them do where nothing tells them the file: look for its name in the kernel's
    /// cache of names (bpf/lookup.bpf.h).
    static let lookUp = "look_up"
    /// Likewise: that what is attached where functions return sees the return of however many threads.
    static let unlimitedReturns = "unlimited_returns"
    static let traits: Set = [lookUp, unlimitedReturns]
    /// What notes where calls begin, needed only where not every return is seen.
    static let notesOfCalls: Set = ["note_call", "note_execve"]
    /// What notes them where kprobes may not be run and nothing counts that: in trampolines, which the kernel may refuse.
    static let notesOfHiddenCalls: Set = [
        "hidden_unlink", "hidden_rmdir", "begin_rename", "hidden_path_rename", "hidden_rename", "exit_thread",
        "hidden_execve", "hidden_execveat", "hidden_execve_32", "hidden_execveat_32",
    ]
    private static let touchCTime = "touch_ctime"
    /// The tracepoints of changes of an inode's change time (include/trace/events/timestamp.h; Linux 6.13).
    private static let touches = ["inode_set_ctime_to_ts", "ctime_ns_xchg", "ctime_xchg_skip"]
    private static let slow32BitCalls =
        "seeing 32-bit calls too (the setting calls_32_bit) slows every system call further"

    /// Of the rungs whose programs a kernel that is preempted may interrupt.
    private static func interrupted(_ events: String, _ preemption: Preemption? = nil) -> String {
        "\(events) on a cpu where another one was interrupted while it was recorded, which this kernel may do (they are counted"
            + (preemption?.favorsKprobes == true ? "; hooks = \"kprobe\" sees them)" : ")")
    }

    /// Of what kprobes and perf events see.
    private static func within(bpf events: String, _ present: Set<String>, _ preemption: Preemption) -> [String] {
        if !preemption.hidesBehindMaps { return [] }
        let isCounted =
            present.contains("hidden_execve") || present.isSuperset(of: ["hidden_unlink", "begin_rename"])
        return [
            "\(events) on a cpu where a thread was interrupted within bpf(2), which this kernel may do"
                + (isCounted ? " (they are counted later)" : " and does not count")
        ]
    }

    /// Of what is seen where functions return, and not noted where they begin: returns are seen by who saw them begin.
    private static func hanging(_ event: String) -> String {
        "\(event) that hangs while another ebeed takes over, if it then fails"
    }

    /// Of what kretprobes see.
    private static func unreturned(_ events: String, _ again: String) -> String {
        "\(events), while so many others are under way that kretprobes have no more room (they are counted as their thread "
            + "\(again) again or ends)"
    }

    /// Before 6.0 a request is seen only as it is submitted: io_unlinkat() is a part of its caller.
    private static let oldSubmission: [String: [Need]] = [
        "submit_sqe_of_ring": [.tracepoint("io_uring_submit_sqe", arguments: 7)]
    ]

    private static func functionLimits(_ present: Set<String>, seesReturns: Bool) -> [String] {
        guard seesReturns else { return ["deletions that fail"] }
        let seesRequests = !present.isDisjoint(with: [
            "fentry_io_unlinkat", "kprobe_io_unlinkat", "submit_sqe_of_ring",
        ])
        return (seesRequests ? [] : ["deletions that fail, through io_uring"])
            + [
                "renames that fail before the filesystem is asked",
                "where symbolic links lead in the path of a deletion that fails: it shows as it was given",
            ] + (present.contains("note_call") ? [] : [hanging("a deletion")])
    }

    @Sendable private static func callLimits(_ present: Set<String>, _ preemption: Preemption) -> [String] {
        let sees32Bit = present.contains(exit32BitCall)
        let seesSubmissions = present.contains { $0.hasPrefix("submit_") }
        let seesCompletions = present.contains { $0.hasPrefix("complete_") }
        var limits = [slowCalls]
        limits.append(
            sees32Bit ? slow32BitCalls : "deletions through 32-bit system calls")
        limits.append(
            seesSubmissions && seesCompletions
                ? "io_uring requests that ask for no completion (IOSQE_CQE_SKIP_SUCCESS)" : "deletions through io_uring"
        )
        limits += [
            "a path that leads through a symbolic link shows as it was given, where the filesystem it leads to is mounted "
                + "more than once or nothing is known of the file",
            "renames that fail",
        ]
        limits += within(bpf: "deletions", present, preemption)
        if preemption.reachesTracepoints {
            limits.append(interrupted("deletions", preemption))
            limits.append(
                "renames over a file (they are counted), and what a deleted file was, on a cpu where a thread was interrupted as it "
                    + "changed a file, which this kernel may do")
        }
        if present.contains(touchCTime) { return limits }
        if present.contains(lookUp) {
            let but = present.contains("touch_ext4") ? ", but for ext4" : ""
            limits.append(
                "renames over a file, and inode, size, owner, mode and links of what is deleted, where the kernel's cache of names "
                    + "does not have it as the system call begins\(but)")
        } else {
            limits.append("files that a rename replaces (this kernel lacks the tracepoint inode_set_ctime_to_ts)")
            limits.append("inode, size, owner, mode and links of deleted files and of deleted directories")
        }
        return limits
    }
}

/// The kernel's own type information: what can be hooked, and how.
@safe struct KernelTypes: ~Copyable {
    /// BTF_KIND_FUNC (linux/btf.h), which some headers define twice.
    private static let functionKind: UInt32 = 12

    private let btf: OpaquePointer

    init() throws(Unmet) {
        guard let btf = unsafe btf__load_vmlinux_btf() else {
            throw .kernel(
                "this kernel has no type information (/sys/kernel/btf/vmlinux): ebeed needs a kernel built with CONFIG_DEBUG_INFO_BTF=y"
            )
        }
        unsafe self.btf = btf
    }

    deinit { unsafe btf__free(btf) }

    func meets(_ need: Need) -> Bool {
        switch need {
        // A tracepoint that BPF can take the arguments of is a type `btf_trace_NAME`.
        case .tracepoint(let name, let arguments):
            count(argumentsOf: name).map { arguments == nil || arguments == $0 } ?? false
        case .preemptedTracepoint(let name): meets(.preemptedTracepoints) && meets(.tracepoint(name))
        case .function(let name): unsafe btf__find_by_name_kind(btf, name, Self.functionKind) > 0
        case .hiddenFunction(let name): !meets(.missesOfCalls) && meets(.function(name))
        case .unlimitedReturns: member("hlist_array", of: "fprobe") != nil
        case .preemptedTracepoints:
            unsafe btf__find_by_name_kind(btf, "class_srcu_fast_notrace_t", UInt32(BTF_KIND_TYPEDEF)) > 0
        case .missesOfCalls: has(member: "missed", of: "bpf_link_info")
        case .ringThatNeverSleeps:
            member("spinlock", of: "bpf_ringbuf").map { name(ofType: $0) != "spinlock_t" } ?? false
        case .functionTracing: SmallFile.read("/proc/sys/kernel/ftrace_enabled")?.hasPrefix("0") != true
        case .kprobes:
            unsafe access("/sys/bus/event_source/devices/kprobe", F_OK) == 0
                && SmallFile.read("/sys/kernel/debug/kprobes/enabled")?.hasPrefix("0") != true
        }
    }

    /// The type of a member, by its number; nil where there is none.
    private func member(_ name: String, of structure: String) -> UInt32? {
        let identifier = unsafe btf__find_by_name_kind(btf, structure, UInt32(BTF_KIND_STRUCT))
        guard identifier > 0, let type = unsafe btf__type_by_id(btf, UInt32(identifier)),
            let members = unsafe btf_members(type)
        else { return nil }
        for index in 0..<Int(unsafe btf_vlen(type)) {
            let found = unsafe btf__name_by_offset(btf, members[index].name_off)
            if unsafe found.map({ unsafe String(cString: $0) }) == name { return unsafe members[index].type }
        }
        return nil
    }

    /// Also within what has no type name of its own.
    private func has(member name: String, of structure: String) -> Bool {
        func has(_ identifier: UInt32) -> Bool {
            guard let type = unsafe btf__type_by_id(btf, identifier),
                [UInt16(BTF_KIND_STRUCT), UInt16(BTF_KIND_UNION)].contains(unsafe btf_kind(type)),
                let members = unsafe btf_members(type)
            else { return false }
            return unsafe (0..<Int(btf_vlen(type))).contains { index in
                let member = unsafe members[index]
                if unsafe String(cString: btf__name_by_offset(btf, member.name_off)) == name { return true }
                return self.name(ofType: member.type)?.isEmpty == true && has(member.type)
            }
        }
        let identifier = unsafe btf__find_by_name_kind(btf, structure, UInt32(BTF_KIND_STRUCT))
        return identifier > 0 && has(UInt32(identifier))
    }

    private func name(ofType identifier: UInt32) -> String? {
        guard let type = unsafe btf__type_by_id(btf, identifier) else { return nil }
        return unsafe btf__name_by_offset(btf, type.pointee.name_off).map { unsafe String(cString: $0) }
    }

    /// How many arguments a tracepoint has, as pointer to a function whose first one is its own; nil where there is none.
    private func count(argumentsOf tracepoint: String) -> Int? {
        let identifier = unsafe btf__find_by_name_kind(btf, "btf_trace_" + tracepoint, UInt32(BTF_KIND_TYPEDEF))
        guard identifier > 0, let type = unsafe btf__type_by_id(btf, UInt32(identifier)),
            let pointer = unsafe btf__type_by_id(btf, type.pointee.type),
            let prototype = unsafe btf__type_by_id(btf, pointer.pointee.type)
        else { return nil }
        return unsafe Int(btf_vlen(prototype)) - 1
    }

    /// The names of a function's parameters; none where there is no such function.
    func parameters(of function: String) -> [String] {
        let identifier = unsafe btf__find_by_name_kind(btf, function, Self.functionKind)
        guard identifier > 0, let type = unsafe btf__type_by_id(btf, UInt32(identifier)),
            let prototype = unsafe btf__type_by_id(btf, type.pointee.type),
            let parameters = unsafe btf_params(prototype)
        else { return [] }
        return unsafe (0..<Int(btf_vlen(prototype))).map { index in
            unsafe btf__name_by_offset(btf, parameters[index].name_off).map { unsafe String(cString: $0) } ?? ""
        }
    }
}
