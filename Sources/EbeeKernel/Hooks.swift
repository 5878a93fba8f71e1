import CLibbpf
import EbeeRecord

/// A tracepoint of tracefs.
struct Tracepoint: Sendable {
    let category: String
    let name: String
}

/// One way to see the events of a program, and what it costs or can't see.
public struct Rung: Sendable {
    /// As `status` and `--check` name it.
    public let name: String
    /// The BPF programs that make it up.
    let programs: Set<String>
    /// Further tracepoints that a program is attached to, besides the one that its section names.
    var alsoAt: [String: [Tracepoint]] = [:]
    /// Programs that add facts where their hook exists, by the tracepoint they need.
    let extras: [String: String]
    /// What this rung costs, or can't see, in words; `present` are the extras that are loaded.
    let limits: @Sendable (_ present: Set<String>) -> [String]
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

    var image: [UInt8] {
        switch self {
        case .exec: PackageResources.execsnoop_bpf_o
        case .deletes: PackageResources.rmdetect_bpf_o
        }
    }

    /// The ways to see its events, the best first.
    public var rungs: [Rung] {
        switch self {
        case .exec: Self.execRungs
        case .deletes: Self.deleteRungs
        }
    }

    private static let execRungs = [
        Rung(name: "tp_btf", programs: ["exec_tp_btf", "exit_tp_btf"], extras: [:]) { _ in failedExecutions },
        Rung(name: "raw_tp", programs: ["exec_raw_tp", "exit_raw_tp"], extras: [:]) { _ in failedExecutions },
        Rung(name: "tp", programs: ["exec_tp", "exit_tp"], extras: [:]) { _ in
            failedExecutions + ["the interpreter of a script, and how many arguments were cut off"]
        },
    ]

    private static let failedExecutions = ["executions that fail"]

    private static let calls = ["unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2"]

    private static let deleteRungs = [
        Rung(
            name: "syscalls", programs: Set(calls.map { "enter_\($0)" } + ["exit_call"]),
            alsoAt: ["exit_call": calls.dropFirst().map { Tracepoint(category: "syscalls", name: "sys_exit_\($0)") }],
            extras: [
                "touch_ext4": "ext4_unlink_enter", "touch_ctime": "inode_set_ctime_to_ts",
                "touch_ctime_multigrain": "ctime_ns_xchg", "touch_ctime_unchanged": "ctime_xchg_skip",
            ]
        ) { present in
            var limits = [
                "system call tracepoints slow every system call of every process by about 50 ns",
                "deletions through io_uring and through 32-bit system calls",
                "a path that leads through a symbolic link shows as it was given",
                "renames that fail",
                "on overlayfs: what was only in a lower layer, when a rename replaces it, and its inode, size and owner",
            ]
            if !present.contains("touch_ctime") {
                limits.append(
                    "files that a rename replaces (this kernel lacks the tracepoint inode_set_ctime_to_ts, Linux 6.13)")
                if present.contains("touch_ext4") {
                    limits.append("inode, size, owner, mode and links of deleted files that are not on ext4")
                } else {
                    limits.append("inode, size, owner, mode and links of deleted files")
                }
            }
            return limits
        }
    ]
}

/// The kernel's own type information: which tracepoints it has.
@safe struct KernelTypes: ~Copyable {
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

    /// A tracepoint that BPF can take the arguments of is a type `btf_trace_NAME`.
    func has(tracepoint: String) -> Bool {
        unsafe btf__find_by_name_kind(btf, "btf_trace_" + tracepoint, UInt32(BTF_KIND_TYPEDEF)) > 0
    }
}
