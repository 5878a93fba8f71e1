import EbeeRecord
import Glibc

/// Whether the kernel lets another thread run in the middle of a program: in a trampoline it can (kernel/bpf/trampoline.c turns
/// migration off, not preemption), and does not run the same program for that other thread. In a kprobe it never can
/// (kernel/trace/bpf_trace.c, trace_call_bpf()).
enum Preemption {
    /// Whether this kernel is preempted. Where nothing tells: yes, since then nothing is missed.
    static func isPossible() -> Bool {
        var name = utsname()
        guard unsafe uname(&name) == 0 else { return true }
        let (release, version) = (text(of: name.release), text(of: name.version))
        return isPossible(
            version: version, debug: SmallFile.read("/sys/kernel/debug/sched/preempt"),
            commandLine: SmallFile.read("/proc/cmdline"),
            configuration: SmallFile.read("/boot/config-\(release)")
                ?? SmallFile.read("/lib/modules/\(release)/config"))
    }

    /// Whether that goes for programs of tracepoints too.
    static func reachesTracepoints() -> Bool {
        guard isPossible(), let types = try? KernelTypes() else { return false }
        return types.meets(.preemptedTracepoints)
    }

    /// - Parameters:
    ///   - version: of `uname -v`, which has a word for how the kernel was built (init/Makefile).
    ///   - debug: /sys/kernel/debug/sched/preempt, the mode in use in parentheses; nil where it can't be read, as with
    ///     lockdown=integrity (fs/debugfs/file.c).
    ///   - commandLine: of the boot; its last `preempt=` counts.
    ///   - configuration: what the kernel was built with.
    static func isPossible(version: String, debug: String?, commandLine: String?, configuration: String?) -> Bool {
        let built = version.split(separator: " ").filter { $0.hasPrefix("PREEMPT") }
        if built.isEmpty { return false }
        // PREEMPT, PREEMPT_LAZY or PREEMPT_RT, which is always preempted whatever else it is.
        if built != ["PREEMPT_DYNAMIC"] { return true }
        if let mode = debug?.split(separator: "(").last?.split(separator: ")").first, debug?.contains("(") == true {
            return !rests.contains(String(mode))
        }
        let options = (commandLine ?? "").split { $0 == " " || $0 == "\n" }
        if let mode = options.last(where: { $0.hasPrefix("preempt=") })?.dropFirst("preempt=".count),
            (rests + ["full", "lazy"]).contains(String(mode))
        {
            return !rests.contains(String(mode))
        }
        let lines = (configuration ?? "").split(separator: "\n")
        return !lines.contains("CONFIG_PREEMPT_NONE=y") && !lines.contains("CONFIG_PREEMPT_VOLUNTARY=y")
    }

    /// The modes in which only what asks for it gives way.
    private static let rests = ["none", "voluntary"]

    private static func text<Field: BitwiseCopyable>(of field: Field) -> String {
        unsafe withUnsafeBytes(of: field) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
