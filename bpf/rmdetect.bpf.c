// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Every deletion of a file or directory: unlink, unlinkat, rmdir, and a rename over an existing name.
 *
 * A deletion is reported in three steps, whatever hooks find it: started() remembers what was asked for, touched()
 * what is known of the files involved while they still exist, and finished() reports once the result is known,
 * because a deletion that fails isn't one and because afterwards the file is gone.
 *
 * The hooks here are the system call tracepoints, which every kernel has. What they can't give, the file itself,
 * comes from tracepoints between entry and exit: ext4_unlink_enter where that exists, and the ones that fire when the
 * change time of an inode is set (since 6.13), which every filesystem does to the file that it removes.
 */
#include "record.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define AT_FDCWD -100
#define AT_REMOVEDIR 0x200
#define RENAME_EXCHANGE 2
#define S_IFMT 0170000
/* Threads that can be inside of a deletion at one time. One more is counted as missed, not forgotten. */
#define DELETIONS_MAX 4096
/* Inodes that one system call touches: two directories, the file, what replaces it; twice that on overlayfs. */
#define TOUCHED_MAX 10
/* Names of one inode that are looked at to find the one that goes. */
#define ALIASES_MAX 2
/* How long a process that goes on deleting need not be described again, in ns. */
#define PROCESS_INTERVAL 1000000000ull

#define EXT4_SUPER_MAGIC 0xef53
#define TMPFS_MAGIC 0x01021994

/* An inode that a system call changed, as it was then. */
struct touched {
	__u64 inode;
	__u64 aliases[ALIASES_MAX]; /* dentries */
	struct ebee_victim victim;
};

/* A deletion under way, by thread. */
struct deletion {
	__u64 name; /* in the memory of the process */
	__u64 source_name;
	int directory; /* file descriptor or AT_FDCWD */
	int source_directory;
	__u32 how;
	__u32 padding;
	struct touched touched[TOUCHED_MAX];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DELETIONS_MAX);
	__type(key, __u64);
	__type(value, struct deletion);
} deletions SEC(".maps");

/* A deletion is too large for the stack: what started() copies into the map. */
static const struct deletion no_deletion;

/* What has been said of the processes that delete, by tgid, so that it is said again only when it changes. */
struct told {
	__u64 start;
	__u64 time;
	__u64 directory; /* dentry */
	__u64 cred;
	__u32 exec_id;
	__u32 padding;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct told);
} tellings SEC(".maps");

static __always_inline int started(__u16 how, int directory, __u64 name, int source_directory,
				   __u64 source_name)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion;

	/* An entry left behind by a thread of the same id is overwritten: it can't mute the new one. */
	if (bpf_map_update_elem(&deletions, &thread, &no_deletion, BPF_ANY)) {
		struct ebee_account *account = this_account();

		if (account)
			account->missed++;
		return 0;
	}
	deletion = bpf_map_lookup_elem(&deletions, &thread);
	if (!deletion)
		return 0;
	deletion->name = name;
	deletion->source_name = source_name;
	deletion->directory = directory;
	deletion->source_directory = source_directory;
	deletion->how = how;
	return 0;
}

static __always_inline void read_victim(struct ebee_victim *victim, struct inode *inode)
{
	struct inode___before_6_11 *before_6_11 = (void *)inode;
	struct inode___before_6_7 *before_6_7 = (void *)inode;
	unsigned long magic = BPF_CORE_READ(inode, i_sb, s_magic);

	victim->inode = BPF_CORE_READ(inode, i_ino);
	victim->size = BPF_CORE_READ(inode, i_size);
	victim->device = BPF_CORE_READ(inode, i_sb, s_dev);
	victim->mode = BPF_CORE_READ(inode, i_mode);
	victim->owner = BPF_CORE_READ(inode, i_uid.val);
	victim->group = BPF_CORE_READ(inode, i_gid.val);
	victim->links = BPF_CORE_READ(inode, i_nlink);
	victim->flags = EBEE_VICTIM_KNOWN;
	if (bpf_core_field_exists(inode->i_mtime_sec)) {
		victim->mtime_seconds = BPF_CORE_READ(inode, i_mtime_sec);
		victim->mtime_nanoseconds = BPF_CORE_READ(inode, i_mtime_nsec);
	} else if (bpf_core_field_exists(before_6_11->__i_mtime)) {
		victim->mtime_seconds = BPF_CORE_READ(before_6_11, __i_mtime.tv_sec);
		victim->mtime_nanoseconds = BPF_CORE_READ(before_6_11, __i_mtime.tv_nsec);
	} else {
		victim->mtime_seconds = BPF_CORE_READ(before_6_7, i_mtime.tv_sec);
		victim->mtime_nanoseconds = BPF_CORE_READ(before_6_7, i_mtime.tv_nsec);
	}
	/* Birth time is the filesystem's own: known where it is built in and so in the kernel's BTF. */
	if (magic == EXT4_SUPER_MAGIC && bpf_core_field_exists(struct ext4_inode_info, i_crtime)) {
		struct ext4_inode_info *info =
			(void *)inode - bpf_core_field_offset(struct ext4_inode_info, vfs_inode);

		victim->created_seconds = BPF_CORE_READ(info, i_crtime.tv_sec);
		victim->created_nanoseconds = BPF_CORE_READ(info, i_crtime.tv_nsec);
		victim->flags |= EBEE_CREATED_KNOWN;
	} else if (magic == TMPFS_MAGIC && bpf_core_field_exists(struct shmem_inode_info, i_crtime)) {
		struct shmem_inode_info *info =
			(void *)inode - bpf_core_field_offset(struct shmem_inode_info, vfs_inode);

		victim->created_seconds = BPF_CORE_READ(info, i_crtime.tv_sec);
		victim->created_nanoseconds = BPF_CORE_READ(info, i_crtime.tv_nsec);
		victim->flags |= EBEE_CREATED_KNOWN;
	}
}

/* Remembers an inode that the deletion under way in this thread changes, before its names are cut. */
__noinline int touched(__u64 inode_address)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion = bpf_map_lookup_elem(&deletions, &thread);
	struct inode *inode = (struct inode *)inode_address;
	struct hlist_node *node;
	struct touched *slot = 0;

	if (!deletion)
		return 0;
	for (int i = 0; i < TOUCHED_MAX; i++) {
		if (!deletion->touched[i].inode || deletion->touched[i].inode == inode_address) {
			slot = &deletion->touched[i];
			break;
		}
	}
	if (!slot || slot->inode)
		return 0;
	slot->inode = inode_address;
	node = BPF_CORE_READ(inode, i_dentry.first);
	for (int i = 0, found = 0; i < 8 && node; i++) {
		struct dentry *dentry = (void *)node - bpf_core_field_offset(struct dentry, d_u.d_alias);

		/* A name that is being removed is held; one that is only cached is not. */
		if (BPF_CORE_READ(dentry, d_lockref.count) > 0) {
			slot->aliases[found & 1] = (__u64)dentry;
			if (found++)
				break;
		}
		node = BPF_CORE_READ(node, next);
	}
	read_victim(&slot->victim, inode);
	return 0;
}

/*
 * A dentry whose file is gone from under it: unhashed, or negative (kernel: d_delete(), __d_move()). The root of a
 * filesystem is never hashed and never goes.
 */
static __always_inline bool is_gone(__u64 dentry_address)
{
	struct dentry *dentry = (struct dentry *)dentry_address;

	if (!dentry_address || BPF_CORE_READ(dentry, d_parent) == dentry)
		return false;
	return !BPF_CORE_READ(dentry, d_hash.pprev) || !BPF_CORE_READ(dentry, d_inode);
}

/*
 * The file that is gone, of those that were touched: on overlayfs the layer's own file comes first, and the one that
 * the process sees last.
 */
static __always_inline struct touched *find_victim(struct deletion *deletion)
{
	struct touched *victim = 0;

	for (int i = 0; i < TOUCHED_MAX; i++) {
		struct touched *slot = &deletion->touched[i];

		if (!slot->inode)
			break;
		if (is_gone(slot->aliases[0]) || is_gone(slot->aliases[1]))
			victim = slot;
	}
	return victim;
}

/* Appends the path that a name given with `descriptor` starts from: the directory, or the root of the process. */
__noinline int read_base(int descriptor, __u32 absolute)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct scratch *scratch = this_scratch();
	struct fdtable *table;
	struct file *file = 0;
	struct file **files;

	if (!scratch)
		return -1;
	scratch->cut = 0;
	if (absolute)
		return walk_path((__u64)BPF_CORE_READ(fs, root.mnt), (__u64)BPF_CORE_READ(fs, root.dentry));
	if (descriptor == AT_FDCWD)
		return walk_path((__u64)BPF_CORE_READ(fs, pwd.mnt), (__u64)BPF_CORE_READ(fs, pwd.dentry));
	table = BPF_CORE_READ(task, files, fdt);
	if (descriptor < 0 || (__u32)descriptor >= BPF_CORE_READ(table, max_fds))
		return -1;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
	if (!file)
		return -1;
	return walk_path((__u64)BPF_CORE_READ(file, f_path.mnt), (__u64)BPF_CORE_READ(file, f_path.dentry));
}

/* Appends where a name starts and the name itself. Flags: 1 << 0 unread, 1 << 1 base cut, 1 << 2 base unknown. */
__noinline __u32 read_name(__u64 name, int descriptor, __u32 source)
{
	struct scratch *scratch = this_scratch();
	struct ebee_delete *delete;
	__u32 before, flags = 0, base;
	char first = 0;
	long length;

	if (!scratch)
		return EBEE_NAME_UNREAD;
	delete = (struct ebee_delete *)scratch->bytes;
	/* Read at the exit of the system call: the kernel has just read it, so its page is there. */
	if (bpf_probe_read_user(&first, 1, (void *)name))
		return EBEE_NAME_UNREAD;
	before = length_of(scratch);
	if (read_base(descriptor, first == '/'))
		flags |= EBEE_BASE_UNKNOWN;
	if (scratch->cut)
		flags |= EBEE_BASE_CUT;
	base = length_of(scratch) - before;
	before = length_of(scratch);
	length = bpf_probe_read_user_str(end_of(scratch), EBEE_PATH_MAX, (void *)name);
	if (length > 0)
		grow(scratch, length - 1);
	else
		flags |= EBEE_NAME_UNREAD;
	if (source) {
		delete->source_base_length = base;
		delete->source_name_length = length_of(scratch) - before;
	} else {
		delete->base_length = base;
		delete->name_length = length_of(scratch) - before;
	}
	return flags;
}

/* Sends an EBEE_PROCESS ahead of the deletion, unless the same has been said a moment ago. */
__noinline int tell_process(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct scratch *scratch = this_scratch();
	struct told now = {}, *before;

	now.start = start_time(task);
	now.time = bpf_ktime_get_boot_ns();
	now.directory = (__u64)BPF_CORE_READ(task, fs, pwd.dentry);
	now.cred = (__u64)BPF_CORE_READ(task, cred);
	now.exec_id = BPF_CORE_READ(task, self_exec_id);
	before = bpf_map_lookup_elem(&tellings, &tgid);
	if (before && before->start == now.start && before->directory == now.directory &&
	    before->cred == now.cred && before->exec_id == now.exec_id &&
	    now.time - before->time < PROCESS_INTERVAL)
		return 0;
	if (!scratch || !begin(scratch, task, EBEE_PROCESS, sizeof(struct ebee_process)))
		return 0;
	collect_process(0);
	if (emit(scratch, false))
		bpf_map_update_elem(&tellings, &tgid, &now, BPF_ANY);
	return 0;
}

__noinline int report(long result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 thread = bpf_get_current_pid_tgid();
	struct scratch *scratch = this_scratch();
	struct deletion *deletion = bpf_map_lookup_elem(&deletions, &thread);
	struct ebee_delete *delete;
	struct touched *victim = 0;

	if (!deletion || !scratch)
		return 0;
	if (result && (!settings.report_failed || deletion->how == EBEE_RENAME))
		return 0; /* what a rename that failed would have replaced isn't known on this rung */
	if (!result)
		victim = find_victim(deletion);
	if (!victim && deletion->how == EBEE_RENAME)
		return 0; /* nothing was there to be replaced */
	if (!begin(scratch, task, EBEE_DELETE, sizeof(*delete)))
		return 0;
	tell_process();
	begin(scratch, task, EBEE_DELETE, sizeof(*delete));
	delete = (struct ebee_delete *)scratch->bytes;
	__builtin_memset(&delete->start, 0, sizeof(*delete) - sizeof(delete->header));
	delete->start = start_time(task);
	delete->uid = BPF_CORE_READ(task, cred, uid.val);
	delete->result = result;
	delete->how = deletion->how;
	delete->via = EBEE_SYSCALL;
	BPF_CORE_READ_INTO(&delete->comm, task, group_leader, comm);
	if (victim) {
		struct inode *inode = (struct inode *)victim->inode;

		delete->victim = victim->victim;
		/* Counted down by now, if this is still the same inode; an inode that is gone had no link left. */
		if (BPF_CORE_READ(inode, i_ino) == victim->victim.inode) {
			delete->victim.links = BPF_CORE_READ(inode, i_nlink);
			delete->victim.flags |= EBEE_LINKS_KNOWN;
		}
	}
	delete->flags = read_name(deletion->name, deletion->directory, 0);
	if (deletion->how == EBEE_RENAME)
		delete->flags |= read_name(deletion->source_name, deletion->source_directory, 1) << 3;
	emit(scratch, true);
	return 0;
}

static __always_inline int finished(long result)
{
	__u64 thread = bpf_get_current_pid_tgid();

	if (!bpf_map_lookup_elem(&deletions, &thread))
		return 0;
	report(result);
	bpf_map_delete_elem(&deletions, &thread);
	return 0;
}

SEC("tp/syscalls/sys_enter_unlink")
int enter_unlink(struct trace_event_raw_sys_enter *context)
{
	return started(EBEE_UNLINK, AT_FDCWD, context->args[0], 0, 0);
}

SEC("tp/syscalls/sys_enter_unlinkat")
int enter_unlinkat(struct trace_event_raw_sys_enter *context)
{
	return started(context->args[2] & AT_REMOVEDIR ? EBEE_RMDIR : EBEE_UNLINK, context->args[0],
		       context->args[1], 0, 0);
}

SEC("tp/syscalls/sys_enter_rmdir")
int enter_rmdir(struct trace_event_raw_sys_enter *context)
{
	return started(EBEE_RMDIR, AT_FDCWD, context->args[0], 0, 0);
}

SEC("tp/syscalls/sys_enter_rename")
int enter_rename(struct trace_event_raw_sys_enter *context)
{
	return started(EBEE_RENAME, AT_FDCWD, context->args[1], AT_FDCWD, context->args[0]);
}

SEC("tp/syscalls/sys_enter_renameat")
int enter_renameat(struct trace_event_raw_sys_enter *context)
{
	return started(EBEE_RENAME, context->args[2], context->args[3], context->args[0], context->args[1]);
}

SEC("tp/syscalls/sys_enter_renameat2")
int enter_renameat2(struct trace_event_raw_sys_enter *context)
{
	/* An exchange deletes nothing (rename(2)). */
	if (context->args[4] & RENAME_EXCHANGE)
		return 0;
	return started(EBEE_RENAME, context->args[2], context->args[3], context->args[0], context->args[1]);
}

/* The exits are all alike: the daemon attaches this one to each, so that it is verified once. */
SEC("tp/syscalls/sys_exit_unlink")
int exit_call(struct trace_event_raw_sys_exit *context)
{
	return finished(context->ret);
}

SEC("tp_btf/ext4_unlink_enter")
int BPF_PROG(touch_ext4, struct inode *parent, struct dentry *dentry)
{
	return touched((__u64)BPF_CORE_READ(dentry, d_inode));
}

SEC("tp_btf/inode_set_ctime_to_ts")
int BPF_PROG(touch_ctime, struct inode *inode)
{
	return touched(address_of(inode));
}

SEC("tp_btf/ctime_ns_xchg")
int BPF_PROG(touch_ctime_multigrain, struct inode *inode)
{
	return touched(address_of(inode));
}

/* Changed once more within the same tick of the clock: the time stays as it is, and only this tells. */
SEC("tp_btf/ctime_xchg_skip")
int BPF_PROG(touch_ctime_unchanged, struct inode *inode)
{
	return touched(address_of(inode));
}
