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
#include "call.bpf.h"

/* Components and mounts that a walk passes at most: PATH_MAX holds 2,048 components, real trees fewer than 60. */
#define PATH_STEPS 256
/* Cgroups nest far less. */
#define CGROUP_STEPS 64
/* d_name, a kernfs name: NAME_MAX and a NUL. */
#define COMPONENT_MAX 256
/* Pid namespaces nest at most 32 deep (MAX_PID_NS_LEVEL). */
#define PID_LEVELS 33
/* Trees of cgroups that a process is in at once: a controller has at most one (there are 14), and those by name. */
#define HIERARCHIES 24
/* Arguments of an execution that failed that are looked at. */
#define ARGUMENTS_LISTED 128
/* Threads that can be in a noted call at one time: as many as there are pids by default (kernel: PID_MAX_DEFAULT). */
#define CALLS_MAX 32768

const volatile struct ebee_settings settings SEC(".rodata.settings") = {};
volatile struct ebee_daemon daemon SEC(".data.daemon") = {};

/* A path that is being looked up: see lookup.bpf.h. */
struct walk {
	__u64 mount; /* struct mount: where it is by now */
	__u64 dentry;
	__u64 found; /* the last component: a name in that directory, not entered yet */
	__u32 text;  /* where the rest of the path begins */
	__u32 length;
	__u32 hash;
	__u32 padding;
};

/* A lane: where a record is put together before it is copied into the ring at its true length. */
struct scratch {
	__u64 thread; /* whose record it is; 0 where it is free */
	__u32 comers; /* who has it, and who is just trying to: see take_lane() */
	__u32 padding_comers;
	__u8 bytes[EBEE_RECORD_MAX + EBEE_ARGUMENTS_MAX];
	__u32 length; /* of the record so far */
	__u32 cut;    /* the last walk met its bound */
	__u64 mount;  /* the last that only_mount() found, of how many */
	__u32 mounts;
	__u32 padding;
	struct walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22); /* the daemon sets its own */
} ring SEC(".maps");

/* One per lane. Not a per-cpu map: those hold no value of more than 32 KiB. The daemon sets the number. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* One per lane, of which the daemon sets the number. Not a per-cpu map, so that it can be mapped: to read it needs no right then. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebee_account);
} accounts SEC(".maps");

/*
 * Calls that are under way, where a kretprobe may have no room for a return (settings.few_returns): who begins another one, or ends, with
 * one that was not seen to return has made an event that was missed. By struct task_struct, because an execution may change
 * the thread's pid.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CALLS_MAX); /* the daemon makes it 1 where nothing is noted */
	__type(key, __u64);
	__type(value, __u8);
} calls SEC(".maps");

/* Who noted a call: the kprobe on its beginning, just now, or anyone. */
enum note { NOTE = 1, NOTE_OF_KPROBE };

/* Keeps the structs in BTF, where a test compares them with what Swift sees. */
const struct ebee_process *unused_process __attribute__((unused));
const struct ebee_exit *unused_exit __attribute__((unused));
const struct ebee_delete *unused_delete __attribute__((unused));
const struct ebee_lost *unused_lost __attribute__((unused));
const struct ebee_ancestor *unused_ancestor __attribute__((unused));

/* The first lane of this cpu. */
static __always_inline __u32 first_lane(void)
{
	return bpf_get_smp_processor_id() * EBEE_LANES;
}

/*
 * Takes a lane of this cpu for this thread; false where all are taken. Programs are kept from leaving their cpu, so that only
 * one runs at any moment, but another may take over between any two instructions. Whoever finds itself alone after
 * it came has the lane, and nobody else who comes does. An exchange would be shorter: Linux 5.10 has none.
 */
__noinline bool take_lane(void)
{
	__u64 thread = bpf_get_current_pid_tgid();

	for (__u32 i = 0; i < EBEE_LANES; i++) {
		__u32 lane = first_lane() + i;
		struct scratch *scratch = bpf_map_lookup_elem(&scratches, &lane);

		if (!scratch)
			return false;
		__sync_fetch_and_add(&scratch->comers, 1);
		if (*(volatile __u32 *)&scratch->comers == 1) {
			*(volatile __u64 *)&scratch->thread = thread;
			return true;
		}
		__sync_fetch_and_add(&scratch->comers, -1);
	}
	return false;
}

/* The lane that this thread took; by itself, so that the verifier need not tell one lane from another. */
__noinline __u32 this_lane(void)
{
	__u64 thread = bpf_get_current_pid_tgid();

	for (__u32 i = 0; i < EBEE_LANES - 1; i++) {
		__u32 lane = first_lane() + i;
		struct scratch *scratch = bpf_map_lookup_elem(&scratches, &lane);

		if (scratch && *(volatile __u64 *)&scratch->thread == thread)
			return lane;
	}
	return first_lane() + EBEE_LANES - 1;
}

/* Only between take_lane() and give_lane(). */
static __always_inline struct scratch *this_scratch(void)
{
	__u32 lane = this_lane();

	return bpf_map_lookup_elem(&scratches, &lane);
}

static __always_inline void give_lane(void)
{
	struct scratch *scratch = this_scratch();

	if (!scratch)
		return;
	*(volatile __u64 *)&scratch->thread = 0;
	__sync_fetch_and_add(&scratch->comers, -1);
}

/* An event that could not be followed, or for which there was no lane. Nobody has this count to itself. */
static __always_inline void count_missed(void)
{
	__u32 lane = first_lane();
	struct ebee_account *account = bpf_map_lookup_elem(&accounts, &lane);

	if (account)
		__sync_fetch_and_add(&account->missed, 1);
}

/* A call that must be seen to end has begun, or is over: see ebee_account.open. */
static __always_inline void count_open(__s64 change)
{
	__u32 lane = first_lane();
	struct ebee_account *account = bpf_map_lookup_elem(&accounts, &lane);

	if (account)
		__sync_fetch_and_add(&account->open, change);
}

/* What count_missed() is to events, for a record that is none. */
static __always_inline void count_unjoined(void)
{
	__u32 lane = first_lane();
	struct ebee_account *account = bpf_map_lookup_elem(&accounts, &lane);

	if (account)
		__sync_fetch_and_add(&account->unjoined, 1);
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

/*
 * A number that was compared with its bound in the line before. Without this the compiler may compare a derived
 * number instead, and verifiers before Linux 6.13 don't carry that back to the original.
 */
static __always_inline __u32 known_bounded(__u32 number)
{
	asm volatile("" : "+r"(number));
	return number;
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

/* The process of a thread; 0 where it is not ours to report, because it is the daemon itself or outside of its pid namespace. */
static __always_inline __u32 reported_pid(struct task_struct *task)
{
	__u32 pid = visible_pid((__u64)BPF_CORE_READ(task, group_leader, thread_pid));

	return pid == daemon.pid ? 0 : pid;
}

/*
 * A call begins that may not be seen to return: for want of room, not because one program is attached and another one is not. Whether it
 * is noted now.
 */
static __always_inline bool begin_call(enum note by)
{
	__u64 task = bpf_get_current_task();
	__u8 note = by;

	if (!daemon.is_in_charge || !reported_pid((struct task_struct *)task))
		return false;
	if (bpf_map_update_elem(&calls, &task, &note, BPF_NOEXIST)) {
		count_missed(); /* no room: nobody would miss its return */
		return false;
	}
	count_open(1);
	return true;
}

/* It is over, or reported; whether there was one that should have been seen to return. */
static __always_inline bool end_call(void)
{
	__u64 task = bpf_get_current_task();

	if (!settings.few_returns || bpf_map_delete_elem(&calls, &task))
		return false;
	count_open(-1);
	return true;
}

/* One that was not seen to return, if there was one: its thread does something else. */
static __always_inline void give_up_call(void)
{
	if (end_call())
		count_missed();
}

/* Whether this thread is in a call that is noted. */
static __always_inline bool is_called(void)
{
	__u64 task = bpf_get_current_task();

	return settings.few_returns && bpf_map_lookup_elem(&calls, &task);
}

/*
 * Whether the kprobe at the beginning of this call noted it. Asked by a trampoline there, which comes behind (arch/x86/kernel/ftrace_64.S):
 * kprobes are not run while another thread of the cpu is interrupted within bpf(2) on a map (kernel/trace/bpf_trace.c, trace_call_bpf()).
 */
static __always_inline bool is_noted(void)
{
	__u64 task = bpf_get_current_task();
	__u8 *note = bpf_map_lookup_elem(&calls, &task);

	if (!note || *note != NOTE_OF_KPROBE)
		return false;
	*note = NOTE;
	return true;
}

/* Notes a call that a kprobe was not run for. */
static __always_inline void begin_hidden_call(void)
{
	__u32 lane = first_lane();
	struct ebee_account *account = bpf_map_lookup_elem(&accounts, &lane);

	if (begin_call(NOTE) && account)
		__sync_fetch_and_add(&account->hidden, 1);
}

/*
 * Begins a record with a struct of `size` bytes and fills its header, but for what emit() gives it. False: this process is not
 * ours to report.
 */
static __always_inline bool begin(struct scratch *scratch, struct task_struct *task, __u16 kind, __u32 size)
{
	struct ebee_header *header = (struct ebee_header *)scratch->bytes;
	__u32 pid = reported_pid(task);

	if (!pid)
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
	__u32 lane = this_lane();
	struct ebee_account *account = bpf_map_lookup_elem(&accounts, &lane);
	__u32 size = (length_of(scratch) + 7) & ~7u;

	if (!account)
		return false;
	header->lane = lane;
	header->sequence = event ? ++account->sequence : 0;
	header->size = size;
	if (size > EBEE_RECORD_MAX || bpf_ringbuf_output(&ring, scratch->bytes, known_bounded(size), 0)) {
		if (event)
			account->lost++;
		else
			count_unjoined();
		return false;
	}
	return true;
}

/* Appends a name of the kernel's; false where `end` is passed or there is no name. */
static __always_inline bool append_component(struct scratch *scratch, const void *name, __u32 end)
{
	long length;

	if (length_of(scratch) >= end)
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

		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount || !above)
				return 0;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		if (!append_component(scratch, BPF_CORE_READ(dentry, d_name.name), end))
			break;
		/* In no tree: a memory file, which has but a name. */
		if (dentry == parent)
			return 0;
		dentry = parent;
	}
	scratch->cut = 1;
	return 0;
}

/* The struct path that a name given with `descriptor` starts from: the directory, or the root of the process; 0 if there is none. */
__noinline __u64 base_of(int descriptor, __u32 absolute)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 fs = (__u64)BPF_CORE_READ(task, fs);
	struct fdtable *table;
	struct file *file = 0;
	struct file **files;

	if (absolute)
		return fs + bpf_core_field_offset(struct fs_struct, root);
	if (descriptor == AT_FDCWD)
		return fs + bpf_core_field_offset(struct fs_struct, pwd);
	table = BPF_CORE_READ(task, files, fdt);
	if (descriptor < 0 || (__u32)descriptor >= BPF_CORE_READ(table, max_fds))
		return 0;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
	return file ? (__u64)file + bpf_core_field_offset(struct file, f_path) : 0;
}

/* Appends that path; not 0 if there is none. */
__noinline int read_base(int descriptor, __u32 absolute)
{
	struct path *base = (struct path *)base_of(descriptor, absolute);
	struct scratch *scratch = this_scratch();

	if (!scratch)
		return -1;
	scratch->cut = 0;
	if (!base)
		return -1;
	return walk_path((__u64)BPF_CORE_READ(base, mnt), (__u64)BPF_CORE_READ(base, dentry));
}

static __always_inline struct kernfs_node *parent_node(struct kernfs_node *node)
{
	struct kernfs_node___since_6_15 *since = (void *)node;
	struct kernfs_node___before_6_15 *before = (void *)node;

	if (bpf_core_field_exists(since->__parent))
		return BPF_CORE_READ(since, __parent);
	return BPF_CORE_READ(before, parent);
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
	for (int i = 0; i < CGROUP_STEPS; i++) {
		struct kernfs_node *parent = parent_node(node);

		if (!parent || BPF_CORE_READ(node, id) == settings.cgroup_root)
			return 0;
		if (!append_component(scratch, BPF_CORE_READ(node, name), end))
			break;
		node = parent;
	}
	scratch->cut = 1;
	return 0;
}

/*
 * The cgroup that names the unit: that of the unified tree, or where systemd doesn't use it (cgroup v1), which leaves
 * everything at its root, that of the tree with no controller that systemd mounts for this, by its name.
 */
__noinline __u64 unit_cgroup(__u64 task_address)
{
	struct task_struct *task = (struct task_struct *)task_address;
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct kernfs_node *unified = BPF_CORE_READ(set, dfl_cgrp, kn);
	struct list_head *head = (void *)set + bpf_core_field_offset(set->cgrp_links);
	struct list_head *node = BPF_CORE_READ(head, next);

	if (parent_node(unified))
		return (__u64)unified;
	for (int i = 0; i < HIERARCHIES && node != head; i++) {
		struct cgrp_cset_link *link =
			(void *)node - bpf_core_field_offset(struct cgrp_cset_link, cgrp_link);
		struct cgroup *cgroup = BPF_CORE_READ(link, cgrp);
		char name[8] = {};

		bpf_probe_read_kernel(&name, sizeof(name),
				      (void *)BPF_CORE_READ(cgroup, root) +
					      bpf_core_field_offset(struct cgroup_root, name));
		if (__builtin_memcmp(name, "systemd", sizeof(name)) == 0)
			return (__u64)BPF_CORE_READ(cgroup, kn);
		node = BPF_CORE_READ(node, next);
	}
	return (__u64)unified;
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

/*
 * Appends the arguments of an execution that failed from the list that it was given, and sets their count where
 * the list ends within ARGUMENTS_LISTED. What is found is kept in memory, as the length is: see end_of().
 */
__noinline int read_argument_list(__u64 list, __u32 pointer_size)
{
	struct scratch *scratch = this_scratch();
	struct ebee_process *process;
	__u32 end;

	if (!scratch || !list)
		return 0;
	process = (struct ebee_process *)scratch->bytes;
	end = length_of(scratch) + settings.arguments_limit;
	for (__u32 i = 0; i < ARGUMENTS_LISTED; i++) {
		__u64 argument = 0;
		long length;

		if (bpf_probe_read_user(&argument, sizeof(argument), (void *)list + i * pointer_size)) {
			process->flags |= EBEE_ARGUMENTS_UNREAD;
			return 0;
		}
		if (pointer_size == 4)
			argument = (__u32)argument;
		if (!argument) {
			process->arguments_count = i;
			process->flags |= EBEE_COUNT_KNOWN;
			return 0;
		}
		if (length_of(scratch) >= end) {
			process->flags |= EBEE_ARGUMENTS_CUT;
			continue;
		}
		length = bpf_probe_read_user_str(end_of(scratch), EBEE_ARGUMENTS_MAX, (void *)argument);
		if (length <= 0) {
			process->flags |= EBEE_ARGUMENTS_UNREAD;
			return 0;
		}
		grow(scratch, length);
		if (length_of(scratch) > end) {
			*(volatile __u32 *)&scratch->length = end;
			process->flags |= EBEE_ARGUMENTS_CUT;
		}
	}
	process->flags |= EBEE_ARGUMENTS_CUT;
	return 0;
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

/* Appends what an execution that failed was to run, in place of what its process still runs. */
static __always_inline void read_attempt(struct scratch *scratch, struct ebee_process *process,
					 const struct call *call)
{
	__u32 before = length_of(scratch);
	char first = 0;

	bpf_probe_read_user(&first, 1, (void *)call->name);
	if (read_base(call->directory, first == '/'))
		return;
	process->executable_length = length_of(scratch) - before;
	process->flags |= EBEE_EXECUTABLE_KNOWN | (scratch->cut ? EBEE_EXECUTABLE_CUT : 0);
}

/*
 * Puts together the struct ebee_process of the current task, which begin() began. `binprm_address` is that of an
 * execution under way, or 0; `failed` says that the system call under way is an execution that failed: not 0 if it is none.
 */
static __always_inline int collect_process(__u64 binprm_address, bool failed)
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
	struct call call = {};
	__u64 innermost;
	long length;
	__u32 before;

	if (!scratch)
		return 0;
	if (failed && (!read_call(&call) || call.kind != CALL_EXECUTE))
		return -1;
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
	/* Of the process: a thread may have a name of its own. */
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
	if (failed) {
		read_attempt(scratch, process, &call);
	} else if (executable) {
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
	walk_cgroup(unit_cgroup((__u64)task));
	process->cgroup_length = length_of(scratch) - before;
	process->flags |= EBEE_CGROUP_KNOWN | (scratch->cut ? EBEE_CGROUP_CUT : 0);

	if (binprm_address) {
		process->arguments_count = BPF_CORE_READ(binprm, argc);
		process->flags |= EBEE_COUNT_KNOWN;
		read_interpreter(scratch, binprm);
	}
	before = length_of(scratch);
	if (failed) {
		length = bpf_probe_read_user_str(end_of(scratch), EBEE_PATH_MAX, (void *)call.name);
		if (length > 0)
			grow(scratch, length - 1);
		process->interpreter_length = length_of(scratch) - before;
		before = length_of(scratch);
		read_argument_list(call.list, call.pointer_size);
	} else {
		process->flags |= read_arguments((__u64)mm);
	}
	process->arguments_length = length_of(scratch) - before;
	return 0;
}

#endif
