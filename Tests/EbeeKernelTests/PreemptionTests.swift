import EbeeRecord
import Glibc
import Testing

@testable import EbeeKernel

/// Whether a kernel lets threads interrupt programs, told from what it says of itself.
@Suite struct PreemptionTests {
    private static let dynamic = "#1 SMP PREEMPT_DYNAMIC Debian 7.2.13-1 (2026-10-28)"

    private func isPossible(
        _ version: String, debug: String? = nil, isAlwaysPreempted: Bool = false, commandLine: String? = nil,
        configuration: String? = nil
    ) -> Bool {
        Preemption.isPossible(
            version: version, debug: debug, isAlwaysPreempted: isAlwaysPreempted, commandLine: commandLine,
            configuration: configuration)
    }

    @Test(arguments: [
        ("#1 SMP Debian 5.10.223-1 (2024-08-10)", false), ("#1 SMP PREEMPT Thu Nov 26", true),
        ("#1 SMP PREEMPT_LAZY Thu Nov 26", true), ("#1 SMP PREEMPT_RT Debian 6.12.1-1", true),
        ("#1 SMP PREEMPT_DYNAMIC PREEMPT_RT Thu Nov 26", true),
    ]) func builtIn(version: String, expected: Bool) {
        #expect(isPossible(version) == expected)
        // Nothing else can change that.
        #expect(isPossible(version, debug: "none (voluntary) full", commandLine: "preempt=none") == expected)
    }

    @Test(arguments: [
        ("(none) voluntary full \n", false), ("none (voluntary) full \n", false), ("none voluntary (full) \n", true),
        ("full (lazy) \n", true),
    ]) func modeInUse(debug: String, expected: Bool) {
        #expect(isPossible(Self.dynamic, debug: debug) == expected)
        // Over what it was booted with: it can be changed meanwhile.
        #expect(
            isPossible(Self.dynamic, debug: debug, commandLine: expected ? "preempt=none" : "preempt=full") == expected)
    }

    @Test(arguments: [
        ("root=/dev/sda preempt=voluntary quiet\n", false), ("preempt=full\n", true),
        ("preempt=full preempt=none", false),
        ("preempt=none preempt=lazy", true), ("nopreempt=none", true), ("preempt=none preempt=sometimes", false),
    ]) func bootOption(commandLine: String, expected: Bool) {
        #expect(isPossible(Self.dynamic, commandLine: commandLine) == expected)
        #expect(isPossible(Self.dynamic, debug: "Permission denied", commandLine: commandLine) == expected)
    }

    /// Linux 7.0 ignores the modes that it doesn't have any more, and says which one is in use where it is asked.
    @Test(arguments: ["preempt=none", "preempt=voluntary", ""]) func alwaysPreempted(commandLine: String) {
        let configuration = "CONFIG_PREEMPT_NONE=y\n"
        #expect(
            isPossible(
                Self.dynamic, isAlwaysPreempted: true, commandLine: commandLine, configuration: configuration))
        #expect(!isPossible(Self.dynamic, debug: "(none) full", isAlwaysPreempted: true, commandLine: commandLine))
        #expect(!isPossible("#1 SMP Debian 7.2.13-1", isAlwaysPreempted: true, commandLine: commandLine))
    }

    /// A mode that the kernel doesn't know is ignored (kernel/sched/core.c, setup_preempt_mode()).
    @Test(arguments: ["", "preempt=sometimes"]) func configuration(commandLine: String) {
        func isPossible(_ configuration: String?) -> Bool {
            self.isPossible(Self.dynamic, commandLine: commandLine, configuration: configuration)
        }
        #expect(!isPossible("CONFIG_PREEMPT_BUILD=y\nCONFIG_PREEMPT_NONE=y\n"))
        #expect(!isPossible("CONFIG_PREEMPT_VOLUNTARY=y\n# CONFIG_PREEMPT is not set\n"))
        #expect(isPossible("# CONFIG_PREEMPT_VOLUNTARY is not set\nCONFIG_PREEMPT_LAZY=y\n"))
        #expect(isPossible("CONFIG_PREEMPT=y\n"))
        #expect(isPossible(nil), "nothing tells")
    }

    private static let calm = Preemption(reachesTrampolines: false)
    private static let since7 = Preemption(reachesTracepoints: true)

    @Test("kprobes come first where the kernel interrupts what would be before them") func order() {
        func names(_ recording: Recording, _ preemption: Preemption) -> [String] {
            recording.rungs(preemption).map(\.name)
        }
        #expect(names(.exec, Self.since7) == ["kprobe", "tp_btf", "raw_tp", "tp"])
        #expect(names(.exec, Preemption()) == ["tp_btf", "raw_tp", "kprobe", "tp"])
        #expect(names(.exec, Self.calm) == ["tp_btf", "raw_tp", "kprobe", "tp"])
        #expect(names(.deletes, Self.since7) == ["kprobe", "fentry", "syscalls"])
        #expect(names(.deletes, Preemption()) == ["kprobe", "fentry", "syscalls"])
        #expect(names(.deletes, Self.calm) == ["fentry", "kprobe", "syscalls"])
        for (preemption, first) in [(Self.since7, true), (Preemption(), true), (Self.calm, false)] {
            for rung in Recording.exec.rungs(preemption) {
                #expect(rung.failures[0].keys.contains("kretprobe_execve") == first)
            }
        }
    }

    @Test("nothing is asked of kprobes that may not sleep where the ring does") func sleepingRing() {
        let preemption = Preemption(sleepsInKprobes: true)
        #expect(Recording.deletes.rungs(preemption).map(\.name) == ["fentry", "kprobe", "syscalls"])
        for rung in Recording.exec.rungs(preemption) {
            #expect(rung.failures[0].keys.contains("fexit_execve"))
        }
        let limits = Recording.deletes.rungs(preemption)[0].limits([], preemption)
        #expect(limits.contains { $0.contains("they are counted)") } && !limits.contains { $0.contains("hooks = ") })
    }

    @Test("what is missed and not counted is said of that kernel only", arguments: [true, false])
    func hidden(isHidden: Bool) {
        let preemption = Preemption(hidesBehindMaps: isHidden)
        for rung in Recording.deletes.rungs(preemption) {
            let limits = rung.limits(["kretprobe_returned"], preemption)
            #expect(limits.contains { $0.contains("bpf(2)") } == (isHidden && rung.name != "fentry"))
        }
        for rung in Recording.exec.rungs(preemption) {
            for program in ["kretprobe_execve", "tp_execve"] {
                #expect(rung.limits([program], preemption).contains { $0.contains("bpf(2)") } == isHidden)
            }
        }
    }

    /// What came with Linux 6.7, by its version, which ebeed never asks for.
    @Test(.requiresKernel) func missesOfCalls() throws {
        var name = utsname()
        _ = unsafe uname(&name)
        let release = unsafe withUnsafeBytes(of: name.release) {
            unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        let version = release.split { $0 == "." || $0 == "-" }.prefix(2).compactMap { Int($0) }
        #expect(try KernelTypes().meets(.missesOfCalls) == !version.lexicographicallyPrecedes([6, 7]))
    }

    @Test(
        "what the kernel skips is counted where an event hangs on it",
        arguments: [
            (Recording.exec, "exec_tp_btf", true), (.exec, "exec_tp", true), (.exec, "note_binprm", false),
            (.exec, "exit_tp_btf", false), (.exec, "fexit_execve", true), (.exec, "kretprobe_execve", true),
            (.exec, "note_execve", false), (.exec, "hidden_execve", false), (.exec, "exit_32_bit", true),
            (.deletes, "fentry_unlink", true), (.deletes, "fexit_path_unlink", true),
            (.deletes, "fexit_unlink", false), (.deletes, "fexit_do_unlinkat", true),
            (.deletes, "fentry_io_unlinkat", false), (.deletes, "exit_thread", false),
            (.deletes, "kprobe_entered", true), (.deletes, "kretprobe_left", false),
            (.deletes, "kretprobe_returned", true), (.deletes, "note_call", false),
            (.deletes, "hidden_unlink", false), (.deletes, "enter_unlink", true), (.deletes, "exit_call", false),
            (.deletes, "exit_32_bit", true), (.deletes, "touch_ctime", false), (.deletes, "note_touch", false),
            (.deletes, "complete_entry", false), (.deletes, "complete_event", true), (.deletes, "submit_req", false),
            (.deletes, "submit_event", true),
        ]) func isDecisive(recording: Recording, program: String, expected: Bool)
    {
        #expect(recording.decisive.contains(program) == expected)
    }

    @Test("every program that is said to decide is one of those that there are") func decisivePrograms() throws {
        for recording in Recording.allCases {
            let all = Set(
                recording.rungs.flatMap { $0.programs.union($0.facts.keys).union($0.failures.flatMap(\.keys)) })
            #expect(recording.decisive.subtracting(all).isEmpty)
        }
    }
}
