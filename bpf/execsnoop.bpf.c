// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Every program execution, and the exit of the process that ran it.
 *
 * Hook: the tracepoint sched_process_exec, which every way of executing passes once it can't fail any more
 * (execve, execveat, fexecve; fs/exec.c, exec_binprm()). Where the kernel interrupts programs of tracepoints, its perf event,
 * and a kprobe on what is called just before for what that is not told. Three programs share the body: the daemon loads the
 * best one that the kernel takes.
 *
 * And those that fail, as the system call returns: by a trampoline or a kprobe on its function, for which only those pay who
 * execute, or where there is neither, by the tracepoint of its exit.
 */
#include "record.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Processes whose execution was reported, by tgid: what an exit is joined to. The least used go first. */
struct execution {
	__u64 start;
	__u64 time;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct execution);
} running SEC(".maps");

static __always_inline int exec_in_lane(__u64 binprm_address)
{
	struct scratch *scratch = this_scratch();
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct execution execution = {};

	if (!scratch || !begin(scratch, task, EBEE_EXEC, sizeof(struct ebee_process)))
		return 0;
	execution.time = ((struct ebee_header *)scratch->bytes)->time;
	execution.start = start_time(task);
	collect_process(binprm_address, false);
	if (emit(scratch, true))
		bpf_map_update_elem(&running, &tgid, &execution, BPF_ANY);
	return 0;
}

static __always_inline int on_exec(__u64 binprm_address)
{
	if (take_lane()) {
		exec_in_lane(binprm_address);
		give_lane();
	} else {
		count_missed();
	}
	/* Last: others may take the place of this program now, and ask what is open and not in the ring. */
	end_call();
	return 0;
}

static __always_inline int exit_in_lane(const struct execution *execution)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct scratch *scratch = this_scratch();
	struct ebee_exit *exit;

	if (!scratch || !begin(scratch, task, EBEE_EXIT, sizeof(*exit)))
		return 0;
	exit = (struct ebee_exit *)scratch->bytes;
	exit->start = execution->start;
	exit->duration = exit->header.time - execution->time;
	exit->padding = 0;
	/* As wait(2) sees it (kernel/exit.c, wait_task_zombie()): SIGNAL_GROUP_EXIT is 4. */
	if (BPF_CORE_READ(signal, flags) & 4)
		exit->status = BPF_CORE_READ(signal, group_exit_code);
	else
		exit->status = BPF_CORE_READ(task, group_leader, exit_code);
	emit(scratch, false);
	return 0;
}

static __always_inline int on_exit(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct execution *found, execution;
	struct signal_struct *signal;

	give_up_call();
	/* Each thread passes here; the process ends with the last one, counted down before (do_exit()). */
	signal = BPF_CORE_READ(task, signal);
	if (BPF_CORE_READ(signal, live.counter) != 0)
		return 0;
	found = bpf_map_lookup_elem(&running, &tgid);
	if (!found)
		return 0;
	execution = *found;
	/* Two last threads may get here at once: whoever deletes the entry reports. */
	if (bpf_map_delete_elem(&running, &tgid))
		return 0;
	if (!take_lane()) {
		count_unjoined();
		return 0;
	}
	exit_in_lane(&execution);
	give_lane();
	return 0;
}

static __always_inline int return_in_lane(int result)
{
	struct scratch *scratch = this_scratch();
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (!scratch || !begin(scratch, task, EBEE_EXEC, sizeof(struct ebee_process)))
		return 0;
	if (collect_process(0, true))
		return 0;
	((struct ebee_process *)scratch->bytes)->result = result;
	emit(scratch, true);
	return 0;
}

/* An execution ended with `result`; one that succeeds was reported before, and its system call's arguments are gone. */
static __always_inline int on_return(int result)
{
	/* From ERESTARTSYS on: a signal came first, and it is tried again (include/linux/errno.h). */
	if (result < 0 && result > -512 && settings.report_failed) {
		if (take_lane()) {
			return_in_lane(result);
			give_lane();
		} else {
			count_missed();
		}
	}
	end_call();
	return 0;
}

/* A system call returns, any of any process: the only way to see the end of those of 32-bit programs. */
SEC("tp_btf/sys_exit")
int BPF_PROG(exit_32_bit, struct pt_regs *registers, long result)
{
	struct call call = {};

	if (!is_in_32_bit_call() || result >= 0 || !read_call(&call) || call.kind != CALL_EXECUTE)
		return 0;
	return on_return(result);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec_tp_btf, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	return on_exec(address_of(binprm));
}

SEC("raw_tp/sched_process_exec")
int exec_raw_tp(struct bpf_raw_tracepoint_args *context)
{
	return on_exec(context->args[2]);
}

/* What threads on their way to the tracepoint execute; a note that nobody came for goes when it is the least used. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64); /* struct linux_binprm */
} binprms SEC(".maps");

/* The last that each format of a program does with the binprm, when nothing can fail any more (fs/binfmt_elf.c, load_elf_binary()). */
SEC("kprobe/finalize_exec")
int note_binprm(struct pt_regs *context)
{
	__u64 thread = bpf_get_current_pid_tgid(), binprm = PT_REGS_PARM1(context);

	bpf_map_update_elem(&binprms, &thread, &binprm, BPF_ANY);
	return 0;
}

/* Not told the binprm. Where it was not noted: no interpreter, and no count of the arguments that were cut off. */
SEC("tp/sched/sched_process_exec")
int exec_tp(void *context)
{
	__u64 thread = bpf_get_current_pid_tgid(), binprm = 0;
	__u64 *noted = bpf_map_lookup_elem(&binprms, &thread);

	if (noted) {
		binprm = *noted;
		*noted = 0;
		bpf_map_delete_elem(&binprms, &thread);
	}
	return on_exec(binprm);
}

SEC("tp_btf/sched_process_exit")
int exit_tp_btf(void *context)
{
	return on_exit();
}

SEC("raw_tp/sched_process_exit")
int exit_raw_tp(void *context)
{
	return on_exit();
}

SEC("tp/sched/sched_process_exit")
int exit_tp(void *context)
{
	return on_exit();
}

SEC("fexit/__x64_sys_execve")
int fexit_execve(__u64 *context)
{
	return on_return(context[1]);
}

SEC("fexit/__x64_sys_execveat")
int fexit_execveat(__u64 *context)
{
	return on_return(context[1]);
}

SEC("fexit/__ia32_compat_sys_execve")
int fexit_execve_32(__u64 *context)
{
	return on_return(context[1]);
}

SEC("fexit/__ia32_compat_sys_execveat")
int fexit_execveat_32(__u64 *context)
{
	return on_return(context[1]);
}

/* Where not every return is seen. Of all four. */
SEC("kprobe/__x64_sys_execve")
int note_execve(struct pt_regs *context)
{
	give_up_call();
	begin_call(NOTE_OF_KPROBE);
	return 0;
}

/* Where that may not be run, and nothing counts it. */
static __always_inline int note_hidden(void)
{
	if (is_noted())
		return 0;
	give_up_call();
	begin_hidden_call();
	return 0;
}

SEC("fentry/__x64_sys_execve")
int hidden_execve(void *context)
{
	return note_hidden();
}

SEC("fentry/__x64_sys_execveat")
int hidden_execveat(void *context)
{
	return note_hidden();
}

SEC("fentry/__ia32_compat_sys_execve")
int hidden_execve_32(void *context)
{
	return note_hidden();
}

SEC("fentry/__ia32_compat_sys_execveat")
int hidden_execveat_32(void *context)
{
	return note_hidden();
}

/* Of all four. */
SEC("kretprobe/__x64_sys_execve")
int kretprobe_execve(struct pt_regs *context)
{
	return on_return(PT_REGS_RC(context));
}

/* Of both; 32-bit system calls have none: see exit_32_bit. */
SEC("tp/syscalls/sys_exit_execve")
int tp_execve(struct syscall_trace_exit *context)
{
	return on_return(context->ret);
}
