import EbeeRecord
import Glibc

/// Where the kernel lets another thread run in the middle of a program, and does not run the same program for that other thread: in
/// a trampoline (kernel/bpf/trampoline.c turns migration off, not preemption), since Linux 7.0 in a tracepoint too. In a kprobe, or
/// in the perf event of a tracepoint, it never can (kernel/trace/bpf_trace.c, trace_call_bpf()), but for those of system calls
/// (Linux 7.2, trace_call_bpf_faultable()).
struct Preemption: Equatable, Sendable {
    /// Whether programs in trampolines can be interrupted. Where nothing tells: yes, since then nothing is missed.
    var reachesTrampolines = true
    /// Whether those of tracepoints can, too.
    var reachesTracepoints = false
    /// Whether to send a record may sleep, which programs in kprobes must not: the lock of the ring is one that sleeps on PREEMPT_RT
    /// (kernel/bpf/ringbuf.c; before Linux 6.12 and what was ported back).
    var sleepsInKprobes = false
    /// Whether programs in kprobes are not run, and nothing counts this, while another thread of that cpu is interrupted in the middle of a
    /// system call bpf(2) on a map (bpf_prog_active, kernel/trace/bpf_trace.c, trace_call_bpf(); before Linux 6.7).
    var hidesBehindMaps = false

    /// Whether kprobes see what trampolines miss.
    var favorsKprobes: Bool { reachesTrampolines && !sleepsInKprobes }
}

extension Preemption {
    /// That of this kernel.
    init(of types: borrowing KernelTypes) {
        var name = utsname()
        guard unsafe uname(&name) == 0 else { return }
        let (release, version) = (Self.text(of: name.release), Self.text(of: name.version))
        let reachesTracepoints = types.meets(.preemptedTracepoints)
        reachesTrampolines = Self.isPossible(
            version: version, debug: SmallFile.read("/sys/kernel/debug/sched/preempt"),
            isAlwaysPreempted: reachesTracepoints, commandLine: SmallFile.read("/proc/cmdline"),
            configuration: SmallFile.read("/boot/config-\(release)")
                ?? SmallFile.read("/lib/modules/\(release)/config"))
        self.reachesTracepoints = reachesTrampolines && reachesTracepoints
        hidesBehindMaps = reachesTrampolines && !types.meets(.missesOfCalls)
        sleepsInKprobes = version.split(separator: " ").contains("PREEMPT_RT") && !types.meets(.ringThatNeverSleeps)
    }

    /// - Parameters:
    ///   - version: of `uname -v`, which has a word for how the kernel was built (init/Makefile).
    ///   - debug: /sys/kernel/debug/sched/preempt, the mode in use in parentheses; nil where it can't be read, as with
    ///     lockdown=integrity (fs/debugfs/file.c).
    ///   - isAlwaysPreempted: no mode is left in which the kernel is not preempted; one that is asked for is ignored (Linux 7.0,
    ///     kernel/sched/core.c, sched_dynamic_mode()).
    ///   - commandLine: of the boot; the last `preempt=` with a mode that there is counts.
    ///   - configuration: what the kernel was built with.
    static func isPossible(
        version: String, debug: String?, isAlwaysPreempted: Bool, commandLine: String?, configuration: String?
    ) -> Bool {
        let built = version.split(separator: " ").filter { $0.hasPrefix("PREEMPT") }
        if built.isEmpty { return false }
        // PREEMPT, PREEMPT_LAZY or PREEMPT_RT, which is always preempted whatever else it is.
        if built != ["PREEMPT_DYNAMIC"] { return true }
        if let mode = debug?.split(separator: "(").last?.split(separator: ")").first, debug?.contains("(") == true {
            return !rests.contains(String(mode))
        }
        if isAlwaysPreempted { return true }
        let options = (commandLine ?? "").split { $0 == " " || $0 == "\n" }.filter { $0.hasPrefix("preempt=") }
        let modes = options.map { String($0.dropFirst("preempt=".count)) }
        if let mode = modes.last(where: { (rests + ["full", "lazy"]).contains($0) }) { return !rests.contains(mode) }
        let lines = (configuration ?? "").split(separator: "\n")
        return !lines.contains("CONFIG_PREEMPT_NONE=y") && !lines.contains("CONFIG_PREEMPT_VOLUNTARY=y")
    }

    /// The modes in which only what asks for it gives way.
    private static let rests = ["none", "voluntary"]

    private static func text<Field: BitwiseCopyable>(of field: Field) -> String {
        unsafe withUnsafeBytes(of: field) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
