/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What both programs share: the ring, the account of what was lost, the scratch memory in which a record is put
 * together, and the walks through the kernel's trees that fill it.
 *
 * The walks are global functions: the verifier checks each once, by itself, with any argument. That keeps the
 * instruction count of a program the sum of its parts, and it is why kernel pointers are passed as numbers
 * and read with bpf_probe_read_kernel() only.
 */
#ifndef EBEE_RECORD_BPF_H
#define EBEE_RECORD_BPF_H

#include "vmlinux.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* Components and mounts that a walk passes at most: PATH_MAX holds 2,048 components, real trees fewer than 60. */
#define PATH_STEPS 256
/* d_name, a kernfs name: NAME_MAX and a NUL. */
#define COMPONENT_MAX 256
/* Pid namespaces nest at most 32 deep (MAX_PID_NS_LEVEL). */
#define PID_LEVELS 33

const volatile struct ebee_settings settings SEC(".rodata.settings") = {};

/* Where a record is put together before it is copied into the ring at its true length. */
struct scratch {
	__u8 bytes[EBEE_RECORD_MAX + EBEE_ARGUMENTS_MAX];
	__u32 length; /* of the record so far */
	__u32 cut;    /* the last walk met its bound */
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 23); /* the daemon sets its own */
} ring SEC(".maps");

/* One per cpu. Not a per-cpu map: those hold no value of more than 32 KiB. The daemon sets the number of cpus. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebee_account);
} accounts SEC(".maps");

/* Keeps the structs in BTF, where a test compares them with what Swift sees. */
const struct ebee_process *unused_process __attribute__((unused));
const struct ebee_exit *unused_exit __attribute__((unused));
const struct ebee_delete *unused_delete __attribute__((unused));
const struct ebee_lost *unused_lost __attribute__((unused));
const struct ebee_ancestor *unused_ancestor __attribute__((unused));

static __always_inline struct scratch *this_scratch(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&scratches, &cpu);
}

static __always_inline struct ebee_account *this_account(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&accounts, &zero);
}

/*
 * Where the record under way ends. The scratch memory goes on for EBEE_ARGUMENTS_MAX bytes behind the end of the longest
 * record, so that one clamp serves every append; emit() refuses a record that ran over. The length is kept in
 * memory on purpose: a loop that carried it in a register would be a new state for the verifier at every turn.
 */
static __always_inline void *end_of(struct scratch *scratch)
{
	__u64 offset = *(volatile __u32 *)&scratch->length;

	if (offset > EBEE_RECORD_MAX)
		offset = EBEE_RECORD_MAX;
	return scratch->bytes + offset;
}

static __always_inline __u32 length_of(struct scratch *scratch)
{
	return *(volatile __u32 *)&scratch->length;
}

static __always_inline void grow(struct scratch *scratch, __u32 bytes)
{
	*(volatile __u32 *)&scratch->length += bytes;
}

/* The number behind a trusted pointer, which no global function accepts: read back as memory it is a number. */
static __always_inline __u64 address_of(const void *pointer)
{
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &pointer);
	return address;
}

/* `pid` as the daemon's pid namespace sees it; 0 where that namespace doesn't see it. */
__noinline __u32 visible_pid(__u64 pid_address)
{
	struct pid *pid = (struct pid *)pid_address;
	__u64 upid_address = pid_address + bpf_core_field_offset(pid->numbers);
	__u32 level = BPF_CORE_READ(pid, level);

	for (__u32 i = 0; i < PID_LEVELS; i++) {
		struct upid *upid = (struct upid *)upid_address;

		if (i > level)
			break;
		if (BPF_CORE_READ(upid, ns, ns.inum) == settings.pid_namespace)
			return BPF_CORE_READ(upid, nr);
		upid_address += bpf_core_type_size(struct upid);
	}
	return 0;
}

static __always_inline __u64 start_time(struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	if (bpf_core_field_exists(task->start_boottime))
		return BPF_CORE_READ(leader, start_boottime);
	return BPF_CORE_READ((struct task_struct___before_5_5 *)leader, real_start_time);
}

/*
 * Begins a record with a struct of `size` bytes and fills its header, but for what emit() gives it. False: this process is not
 * ours to report, because it is the daemon itself or outside of its pid namespace.
 */
static __always_inline bool begin(struct scratch *scratch, struct task_struct *task, __u16 kind, __u32 size)
{
	struct ebee_header *header = (struct ebee_header *)scratch->bytes;
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	__u32 pid = visible_pid((__u64)BPF_CORE_READ(leader, thread_pid));

	if (!pid || pid == settings.pid)
		return false;
	header->kind = kind;
	header->time = bpf_ktime_get_boot_ns();
	header->pid = pid;
	header->tid = visible_pid((__u64)BPF_CORE_READ(task, thread_pid));
	scratch->length = size;
	return true;
}

/* Sends the record; counts it when it is an event, and counts what the ring has no room for. */
static __always_inline bool emit(struct scratch *scratch, bool event)
{
	struct ebee_header *header = (struct ebee_header *)scratch->bytes;
	struct ebee_account *account = this_account();
	__u32 size = (length_of(scratch) + 7) & ~7u;

	if (!account)
		return false;
	header->cpu = bpf_get_smp_processor_id();
	header->sequence = event ? ++account->sequence : 0;
	header->size = size;
	if (size > EBEE_RECORD_MAX || size < sizeof(*header) ||
	    bpf_ringbuf_output(&ring, scratch->bytes, size, 0)) {
		if (event)
			account->lost++;
		else
			account->unjoined++;
		return false;
	}
	return true;
}

/* Appends a name of the kernel's; false where there is no room or no name. */
static __always_inline bool append_component(struct scratch *scratch, const void *name, __u32 end)
{
	long length;

	if (length_of(scratch) + COMPONENT_MAX > end)
		return false;
	length = bpf_probe_read_kernel_str(end_of(scratch), COMPONENT_MAX, name);
	if (length <= 0)
		return false;
	grow(scratch, length);
	return true;
}

/*
 * Appends a path, innermost component first, through every mount up to the root of the mount namespace; the root
 * directory of a process is not its end (kernel: prepend_path()). Where it meets its bound, scratch->cut is 1.
 */
__noinline int walk_path(__u64 vfsmount_address, __u64 dentry_address)
{
	struct scratch *scratch = this_scratch();
	struct mount *mount = (struct mount *)(vfsmount_address - bpf_core_field_offset(struct mount, mnt));
	struct dentry *dentry = (struct dentry *)dentry_address;
	__u32 end;

	if (!scratch)
		return 0;
	end = length_of(scratch) + EBEE_PATH_MAX;
	scratch->cut = 0;
	for (int i = 0; i < PATH_STEPS; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root) || dentry == parent) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);
			const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
			char first = '/';

			/* A file that never was in a directory, as memfd_create(2) makes them (kernel: d_alloc_pseudo()). */
			if (dentry != BPF_CORE_READ(mount, mnt.mnt_root))
				bpf_probe_read_kernel(&first, 1, name);
			if (first != '/') {
				append_component(scratch, name, end);
				return 0;
			}
			if (above == mount || !above)
				return 0;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		if (!append_component(scratch, BPF_CORE_READ(dentry, d_name.name), end))
			break;
		dentry = parent;
	}
	scratch->cut = 1;
	return 0;
}

/* Appends the path of a cgroup in the same form, up to the root of the tree that the daemon sees. */
__noinline int walk_cgroup(__u64 kernfs_address)
{
	struct scratch *scratch = this_scratch();
	struct kernfs_node *node = (struct kernfs_node *)kernfs_address;
	__u32 end;

	if (!scratch)
		return 0;
	end = length_of(scratch) + EBEE_PATH_MAX;
	scratch->cut = 0;
	for (int i = 0; i < PATH_STEPS; i++) {
		struct kernfs_node___since_6_15 *since = (void *)node;
		struct kernfs_node___before_6_15 *before = (void *)node;
		struct kernfs_node *parent;

		if (bpf_core_field_exists(since->__parent))
			parent = BPF_CORE_READ(since, __parent);
		else
			parent = BPF_CORE_READ(before, parent);
		if (!parent || BPF_CORE_READ(node, id) == settings.cgroup_root)
			return 0;
		if (!append_component(scratch, BPF_CORE_READ(node, name), end))
			break;
		node = parent;
	}
	scratch->cut = 1;
	return 0;
}

/* Appends the ancestors of a task, the parent first, as far as the daemon's pid namespace reaches; how many. */
__noinline __u32 walk_ancestors(__u64 task_address)
{
	struct scratch *scratch = this_scratch();
	struct task_struct *task = (struct task_struct *)task_address;
	__u32 count = 0;

	if (!scratch)
		return 0;
	for (int i = 0; i < EBEE_ANCESTORS_MAX; i++) {
		struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);
		struct ebee_ancestor *ancestor;
		__u32 pid;

		if (!parent || parent == task)
			break;
		pid = visible_pid((__u64)BPF_CORE_READ(parent, thread_pid));
		if (!pid)
			break;
		ancestor = end_of(scratch);
		ancestor->pid = pid;
		BPF_CORE_READ_INTO(&ancestor->comm, parent, comm);
		grow(scratch, sizeof(*ancestor));
		task = parent;
		count++;
	}
	return count;
}

/* Appends the arguments of the current process from its memory, as the program itself sees them; returns flags. */
__noinline __u32 read_arguments(__u64 mm_address)
{
	struct scratch *scratch = this_scratch();
	struct mm_struct *mm = (struct mm_struct *)mm_address;
	__u64 start = BPF_CORE_READ(mm, arg_start);
	__u64 length = BPF_CORE_READ(mm, arg_end) - start;
	__u32 limit = settings.arguments_limit;
	__u32 flags = 0;

	if (!scratch || !length)
		return 0;
	if (limit > EBEE_ARGUMENTS_MAX)
		limit = EBEE_ARGUMENTS_MAX;
	if (length > limit) {
		length = limit;
		flags = EBEE_ARGUMENTS_CUT;
	}
	if (bpf_probe_read_user(end_of(scratch), length, (void *)start))
		return EBEE_ARGUMENTS_UNREAD;
	grow(scratch, length);
	return flags;
}

/* The interpreter of a script: what runs in the end is not what was asked for (kernel: fs/binfmt_script.c). */
static __always_inline void read_interpreter(struct scratch *scratch, struct linux_binprm *binprm)
{
	struct ebee_process *process = (struct ebee_process *)scratch->bytes;
	const char *interpreter = BPF_CORE_READ(binprm, interp);
	long length;

	if (interpreter == BPF_CORE_READ(binprm, filename))
		return;
	length = bpf_probe_read_kernel_str(end_of(scratch), EBEE_PATH_MAX, interpreter);
	if (length <= 0)
		return;
	process->flags |= EBEE_INTERPRETER_KNOWN;
	process->interpreter_length = length - 1;
	grow(scratch, length - 1);
}

/*
 * Puts together the struct ebee_process of the current task, which begin() began. `binprm_address` is that of an
 * execution under way, or 0.
 */
__noinline int collect_process(__u64 binprm_address)
{
	struct scratch *scratch = this_scratch();
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct linux_binprm *binprm = (struct linux_binprm *)binprm_address;
	struct ebee_process *process;
	struct signal_struct *signal;
	struct tty_struct *tty;
	const struct cred *cred;
	struct mm_struct *mm;
	struct file *executable;
	struct fs_struct *fs;
	struct pid *pid;
	__u64 innermost;
	__u32 before;

	if (!scratch)
		return 0;
	process = (struct ebee_process *)scratch->bytes;
	__builtin_memset(&process->start, 0, sizeof(*process) - sizeof(process->header));
	process->start = start_time(task);

	cred = BPF_CORE_READ(task, cred);
	process->uid = BPF_CORE_READ(cred, uid.val);
	process->euid = BPF_CORE_READ(cred, euid.val);
	process->gid = BPF_CORE_READ(cred, gid.val);
	process->login_uid = EBEE_NO_ID;
	process->session_id = EBEE_NO_ID;
	if (bpf_core_field_exists(task->loginuid)) { /* CONFIG_AUDIT */
		process->login_uid = BPF_CORE_READ(task, loginuid.val);
		process->session_id = BPF_CORE_READ(task, sessionid);
	}
	pid = BPF_CORE_READ(task, group_leader, thread_pid);
	innermost = (__u64)pid + bpf_core_field_offset(pid->numbers) +
		    (BPF_CORE_READ(pid, level) % PID_LEVELS) * bpf_core_type_size(struct upid);
	process->pid_namespace = BPF_CORE_READ((struct upid *)innermost, ns, ns.inum);
	process->mnt_namespace = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	/* The process's name, not that of the thread that happens to delete. */
	BPF_CORE_READ_INTO(&process->comm, task, group_leader, comm);
	signal = BPF_CORE_READ(task, signal);
	tty = BPF_CORE_READ(signal, tty);
	if (tty)
		bpf_probe_read_kernel_str(process->tty, sizeof(process->tty), &tty->name);

	process->ancestors = walk_ancestors((__u64)BPF_CORE_READ(task, group_leader));
	if (process->ancestors)
		process->ppid = ((struct ebee_ancestor *)(process + 1))->pid;
	else
		process->flags |= EBEE_NO_PARENT;

	mm = BPF_CORE_READ(task, mm);
	executable = BPF_CORE_READ(mm, exe_file);
	if (executable) {
		before = length_of(scratch);
		walk_path((__u64)BPF_CORE_READ(executable, f_path.mnt),
			  (__u64)BPF_CORE_READ(executable, f_path.dentry));
		process->executable_length = length_of(scratch) - before;
		process->flags |= EBEE_EXECUTABLE_KNOWN | (scratch->cut ? EBEE_EXECUTABLE_CUT : 0);
	}
	fs = BPF_CORE_READ(task, fs);
	if (fs) {
		before = length_of(scratch);
		walk_path((__u64)BPF_CORE_READ(fs, pwd.mnt), (__u64)BPF_CORE_READ(fs, pwd.dentry));
		process->directory_length = length_of(scratch) - before;
		process->flags |= EBEE_DIRECTORY_KNOWN | (scratch->cut ? EBEE_DIRECTORY_CUT : 0);
	}
	before = length_of(scratch);
	walk_cgroup((__u64)BPF_CORE_READ(task, cgroups, dfl_cgrp, kn));
	process->cgroup_length = length_of(scratch) - before;
	process->flags |= EBEE_CGROUP_KNOWN | (scratch->cut ? EBEE_CGROUP_CUT : 0);

	if (binprm_address) {
		process->arguments_count = BPF_CORE_READ(binprm, argc);
		process->flags |= EBEE_COUNT_KNOWN;
		read_interpreter(scratch, binprm);
	}
	before = length_of(scratch);
	process->flags |= read_arguments((__u64)mm);
	process->arguments_length = length_of(scratch) - before;
	return 0;
}

#endif
