/// What a cell's machine runs, as a shell script. It tells where each step begins and ends in lines that start with `@`.
struct Script {
    let cell: Cell
    /// Where the programs are: `/bin` in a guest.
    let programs: String

    var text: String {
        """
        now() { cut -d ' ' -f 1 /proc/uptime; }
        echo "@ kernel $(uname -r)"
        \(preparation)

        """
            + cell.steps.enumerated().map { index, step in
                """
                echo "@ begin \(index) $(now)"
                \(command(step))
                echo "@ end \(index) $? $(now)"

                """
            }.joined()
    }

    /// Makes the cell's condition, and tells when it does not hold.
    private var preparation: String {
        switch cell.condition {
        case .all, .bare, .blind, .cost, .preempt: ""
        case .lockdown:
            "grep -q '\\[confidentiality\\]' /sys/kernel/security/lockdown || echo '@ not locked down'"
        // A stock kernel always has it; without the file, ebeed and libbpf can't tell it from one that has none.
        case .noBTF:
            "mount -t tmpfs none /sys/kernel/btf; ! test -e /sys/kernel/btf/vmlinux || echo '@ not without BTF'"
        }
    }

    /// Five threads of one cpu interrupt each other, and nobody else makes events: a few thousand show what would be lost. A crowd of forty
    /// waits inside of one call, also while others take the place of ebeed. What bpf(2) hides is counted, and where a thread can be
    /// interrupted in a program of a tracepoint, what the last rung misses.
    private var storms: String {
        (["million,hundred-thousand,replacements,crowd,upgrade,hidden,hidden-renames --scale 0.02"]
            + (cell.hasFewReturns ? [] : ["replacements --scale 0.05 --hooks-deletes syscalls"])).map {
                "EBEE_ACCOUNT_ALONE=1 \(programs)/ebee-account --programs \(programs) --threads 5 -o json"
                    + " --storms \($0) 2>>/tmp/account.err"
            }.joined(separator: " && ")
    }

    private func command(_ step: Step) -> String {
        switch step {
        case .coverage(let exec, let deletes):
            (cell.condition == .bare ? "\(programs)/ebee-refuse \(programs)/refuse.bpf.o " : "")
                + "\(programs)/ebee-coverage --ebeed \(programs)/ebeed --ebeectl \(programs)/ebeectl"
                + " --act \(programs)/ebee-act"
                + (exec.map { " --hooks-exec \($0)" } ?? "") + (deletes.map { " --hooks-deletes \($0)" } ?? "")
                + " --json"
        case .refusal:
            "timeout 30 \(programs)/ebeed --socket /tmp/ebeed.sock"
        case .blindness:
            """
            printf '[self_test]\\nquiet_seconds = 2\\n' >/tmp/ebeed.toml
            start() {
                \(programs)/ebeed --config /tmp/ebeed.toml --socket /tmp/ebeed.sock 2>/tmp/ebeed.err & daemon=$!
                await '"self_test"'
            }
            await() {
                for _ in $(seq 60); do
                    \(programs)/ebeectl status -o json --socket /tmp/ebeed.sock 2>/dev/null | grep -q "$@" && break
                    sleep 1
                done
                \(programs)/ebeectl status -o json --socket /tmp/ebeed.sock
            }
            start
            echo 0 >/proc/sys/kernel/ftrace_enabled
            await '"passed":false'
            echo 1 >/proc/sys/kernel/ftrace_enabled
            await -v '"passed":false'
            echo 0 >/proc/sys/kernel/ftrace_enabled
            kill $daemon
            wait $daemon
            grep -e blind -e 'come again' /tmp/ebeed.err
            start
            kill $daemon
            wait $daemon
            """
        case .storm:
            """
            grep -q '(full)' /sys/kernel/debug/sched/preempt || echo '@ not preempted'
            \(programs)/ebeed --check
            \(storms)
            status=$?
            test $status = 0 || cat /tmp/account.err
            (exit $status)
            """
        case .cost(nil):
            "\(programs)/ebee-act getppid \(Cost.calls)"
        case .cost(let rung?):
            """
            printf '[deletes]\\nhooks = "\(rung)"\\n' >/tmp/ebeed.toml
            \(programs)/ebeed --config /tmp/ebeed.toml --socket /tmp/ebeed.sock & daemon=$!
            until \(programs)/ebeectl status --socket /tmp/ebeed.sock >/dev/null 2>&1; do
                kill -0 $daemon 2>/dev/null || break
                sleep 1
            done
            if kill -0 $daemon; then \(programs)/ebee-act getppid \(Cost.calls); else false; fi
            status=$?
            kill $daemon 2>/dev/null
            wait $daemon
            (exit $status)
            """
        }
    }
}
