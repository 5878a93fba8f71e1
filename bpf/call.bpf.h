/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The system call that the current thread is in, read from the registers that it entered the kernel with: what was
 * asked for when a deletion or an execution failed, and through 32-bit system calls, which the kernel keeps from the
 * tracepoints of single system calls (kernel: ARCH_TRACE_IGNORE_COMPAT_SYSCALLS).
 */
#ifndef EBEE_CALL_BPF_H
#define EBEE_CALL_BPF_H

#define EAGAIN 11
#define ESTALE 116
#define AT_FDCWD -100
#define AT_REMOVEDIR 0x200
#define RENAME_EXCHANGE 2

enum call_kind { CALL_OTHER, CALL_UNLINK, CALL_RMDIR, CALL_RENAME, CALL_EXCHANGE, CALL_EXECUTE };

struct call {
	__u32 kind;
	__u32 pointer_size; /* of the process: 8, or 4 in a 32-bit system call */
	int directory;	    /* file descriptor or AT_FDCWD that `name` starts from */
	int source_directory;
	__u64 name; /* in the memory of the process; of a rename the new one */
	__u64 source_name;
	__u64 list; /* of an execution: its arguments */
};

#ifdef __TARGET_ARCH_x86

/* arch/x86/entry/syscalls: syscall_64.tbl and syscall_32.tbl. */
enum {
	X86_64_EXECVE = 59,
	X86_64_RENAME = 82,
	X86_64_RMDIR = 84,
	X86_64_UNLINK = 87,
	X86_64_UNLINKAT = 263,
	X86_64_RENAMEAT = 264,
	X86_64_RENAMEAT2 = 316,
	X86_64_EXECVEAT = 322,
	I386_UNLINK = 10,
	I386_EXECVE = 11,
	I386_RENAME = 38,
	I386_RMDIR = 40,
	I386_UNLINKAT = 301,
	I386_RENAMEAT = 302,
	I386_RENAMEAT2 = 353,
	I386_EXECVEAT = 358,
};
/* arch/x86/include/asm/thread_info.h: a 32-bit system call is under way. */
#define TS_COMPAT 2

static __always_inline bool in_32_bit_call(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

/* The same with one load, for a program that runs at every system call of every process. */
static __always_inline bool is_in_32_bit_call(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) /* since 5.11 */
		return bpf_get_current_task_btf()->thread_info.status & TS_COMPAT;
	return in_32_bit_call((struct task_struct *)bpf_get_current_task());
}

static __always_inline struct pt_regs *entry_registers(struct task_struct *task)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) /* since 5.15 */
		return (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	/* THREAD_SIZE is 4 pages; nothing lies above the registers before Linux 6.9. */
	return BPF_CORE_READ(task, stack) + 4 * 4096 - bpf_core_type_size(struct pt_regs);
}

static __always_inline __u32 call_of_64(__u64 number)
{
	switch (number) {
	case X86_64_EXECVE:
		return I386_EXECVE;
	case X86_64_RENAME:
		return I386_RENAME;
	case X86_64_RMDIR:
		return I386_RMDIR;
	case X86_64_UNLINK:
		return I386_UNLINK;
	case X86_64_UNLINKAT:
		return I386_UNLINKAT;
	case X86_64_RENAMEAT:
		return I386_RENAMEAT;
	case X86_64_RENAMEAT2:
		return I386_RENAMEAT2;
	case X86_64_EXECVEAT:
		return I386_EXECVEAT;
	}
	return 0;
}

/* False where the thread is in no system call that deletes, renames or executes. */
static __always_inline bool read_call(struct call *call)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct pt_regs *registers = entry_registers(task);
	__u64 number = BPF_CORE_READ(registers, orig_ax);
	__u64 argument[5];

	if (in_32_bit_call(task)) {
		call->pointer_size = 4;
		argument[0] = (__u32)BPF_CORE_READ(registers, bx);
		argument[1] = (__u32)BPF_CORE_READ(registers, cx);
		argument[2] = (__u32)BPF_CORE_READ(registers, dx);
		argument[3] = (__u32)BPF_CORE_READ(registers, si);
		argument[4] = (__u32)BPF_CORE_READ(registers, di);
	} else {
		call->pointer_size = 8;
		number = call_of_64(number);
		argument[0] = BPF_CORE_READ(registers, di);
		argument[1] = BPF_CORE_READ(registers, si);
		argument[2] = BPF_CORE_READ(registers, dx);
		argument[3] = BPF_CORE_READ(registers, r10);
		argument[4] = BPF_CORE_READ(registers, r8);
	}
	call->directory = AT_FDCWD;
	call->source_directory = AT_FDCWD;
	call->name = argument[0];
	switch (number) {
	case I386_UNLINK:
		call->kind = CALL_UNLINK;
		return true;
	case I386_RMDIR:
		call->kind = CALL_RMDIR;
		return true;
	case I386_UNLINKAT:
		call->kind = argument[2] & AT_REMOVEDIR ? CALL_RMDIR : CALL_UNLINK;
		call->directory = argument[0];
		call->name = argument[1];
		return true;
	case I386_RENAME:
		call->kind = CALL_RENAME;
		call->source_name = argument[0];
		call->name = argument[1];
		return true;
	case I386_RENAMEAT:
	case I386_RENAMEAT2:
		call->kind = number == I386_RENAMEAT2 && argument[4] & RENAME_EXCHANGE ? CALL_EXCHANGE
										       : CALL_RENAME;
		call->source_directory = argument[0];
		call->source_name = argument[1];
		call->directory = argument[2];
		call->name = argument[3];
		return true;
	case I386_EXECVE:
		call->kind = CALL_EXECUTE;
		call->list = argument[1];
		return true;
	case I386_EXECVEAT:
		call->kind = CALL_EXECUTE;
		call->directory = argument[0];
		call->name = argument[1];
		call->list = argument[2];
		return true;
	}
	return false;
}

#else
#error "bpf/call.bpf.h has no system call numbers for this architecture"
#endif

#endif
