/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A deletion under way, from the moment it is asked for until its result is known, and the report of it. What the hooks
 * of every rung share.
 */
#ifndef EBEE_DELETION_BPF_H
#define EBEE_DELETION_BPF_H

#include "record.bpf.h"
#include "victim.bpf.h"

/* Threads that can be inside of a deletion at one time. One more is counted as missed, not forgotten. */
#define DELETIONS_MAX 4096
/* Requests of io_uring that are under way; more are counted as missed. */
#define REQUESTS_MAX 256
/* Mounts of one filesystem that are looked at. */
#define MOUNTS_MAX 256
/* Inodes that one system call touches: two directories, the file, what replaces it; twice that on overlayfs. */
#define TOUCHED_MAX 10
/* Names in a directory of overlayfs that are looked at. */
#define CHILDREN_MAX 128
/* Names of one inode that are looked at to find the one that goes. */
#define ALIASES_MAX 2
/* How long a process that goes on deleting need not be described again, in ns. */
#define PROCESS_INTERVAL 1000000000ull
/* include/linux/sched.h: a thread that works for io_uring. */
#define PF_IO_WORKER 0x10

/* An inode that a deletion changes, as it was then. */
struct touched {
	__u64 inode;
	__u64 aliases[ALIASES_MAX]; /* dentries */
	struct ebee_victim victim;
};

/* A name in a directory, as the kernel holds it while it works on it. */
struct place {
	__u64 mount; /* struct vfsmount */
	__u64 directory;
	__u64 dentry;
	__u64 inode; /* of the directory, where the name was looked up */
};

/*
 * Found by its names, as a system call was given them, or by its place, where a hook tells the mount: then place.mount is
 * not 0, the only inode that is `touched` is the victim, and names and descriptors are unused. Or both, where the name
 * was looked up: then the victim comes first, if it is one.
 */
struct deletion {
	__u64 name; /* in the memory of the process */
	__u64 source_name;
	int directory; /* file descriptor or AT_FDCWD */
	int source_directory;
	__u32 how;
	__u32 via;
	__u32 depth; /* of calls to vfs_unlink() and its like: overlayfs calls them again on its layers */
	/* How often a touch was seen by what is never interrupted, where there is that, and by what looks at the inode: */
	__u32 touches;
	__u32 touches_followed;
	__u32 is_open; /* it must be seen to end, and was not yet */
	struct place place;
	struct place source;
	char component[COMPONENT_MAX]; /* their names: a dentry is given another when it is moved */
	char source_component[COMPONENT_MAX];
	struct touched touched[TOUCHED_MAX];
};
/* By thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DELETIONS_MAX);
	__type(key, __u64);
	__type(value, struct deletion);
} deletions SEC(".maps");

/* A request for a deletion that io_uring works on, by its address, on the rung that does not see the functions it calls. */
struct request {
	struct deletion deletion;
	char name[EBEE_PATH_MAX];
	char source_name[EBEE_PATH_MAX];
};
/* The least used goes first: one that asks for no completion stays behind. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REQUESTS_MAX);
	__type(key, __u64);
	__type(value, struct request);
} requests SEC(".maps");

/* They are too large for the stack: what a new entry of the maps is copied from. */
static const struct deletion no_deletion;
static const struct request no_request;

/* What has been said of the processes that delete, by tgid, so that it is said again only when it changes. */
struct told {
	__u64 start;
	__u64 time;
	__u64 directory; /* dentry */
	__u64 cred;
	__u32 exec_id;
	__u32 euid; /* a cred may be freed, and another take its place */
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct told);
} tellings SEC(".maps");

/* Where not every return is seen, calls are noted in place of this. */
static __always_inline void open_deletion(struct deletion *deletion)
{
	if (settings.few_returns || !daemon.is_in_charge ||
	    !reported_pid((struct task_struct *)bpf_get_current_task()))
		return;
	deletion->is_open = 1;
	count_open(1);
}

/* It ended, or its end was missed; whether that would have been seen. */
static __always_inline bool close_deletion(struct deletion *deletion)
{
	if (!deletion || !deletion->is_open)
		return false;
	deletion->is_open = 0;
	count_open(-1);
	return true;
}

/* A new deletion by this thread; one left behind is overwritten, so that it can't mute the new one. */
static __always_inline struct deletion *begin_deletion(__u32 how)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion;

	if (bpf_map_update_elem(&deletions, &thread, &no_deletion, BPF_ANY)) {
		count_missed();
		return 0;
	}
	deletion = bpf_map_lookup_elem(&deletions, &thread);
	if (!deletion)
		return 0;
	deletion->how = how;
	deletion->via = BPF_CORE_READ(task, flags) & PF_IO_WORKER ? EBEE_IO_URING : EBEE_SYSCALL;
	return deletion;
}

/* A deletion is found by its thread, or by the address of its request, which is in the upper half of all numbers. */
static __always_inline struct deletion *find_deletion(__u64 key)
{
	struct request *request;

	if (!(key >> 63))
		return bpf_map_lookup_elem(&deletions, &key);
	request = bpf_map_lookup_elem(&requests, &key);
	return request ? &request->deletion : 0;
}

/* Notes how long the two parts are that were appended for a name. */
static __always_inline void end_name(struct scratch *scratch, __u32 base, __u32 name, bool is_source)
{
	struct ebee_delete *delete = (struct ebee_delete *)scratch->bytes;

	if (is_source) {
		delete->source_base_length = base;
		delete->source_name_length = name;
	} else {
		delete->base_length = base;
		delete->name_length = name;
	}
}

/* Appends a place: the path of its directory, then `component`. Flags as of read_name(). */
__noinline __u32 read_place(__u64 mount, __u64 directory, __u64 component, __u32 source)
{
	struct scratch *scratch = this_scratch();
	__u32 before, flags = 0, base;
	long length;

	if (!scratch)
		return EBEE_NAME_UNREAD;
	before = length_of(scratch);
	walk_path(mount, directory);
	if (scratch->cut)
		flags |= EBEE_BASE_CUT;
	base = length_of(scratch) - before;
	before = length_of(scratch);
	length = bpf_probe_read_kernel_str(end_of(scratch), COMPONENT_MAX, (void *)component);
	if (length > 0)
		grow(scratch, length - 1);
	else
		flags |= EBEE_NAME_UNREAD;
	end_name(scratch, base, length_of(scratch) - before, source);
	return flags;
}

/*
 * A dentry whose file is gone from under it: unhashed, or negative (kernel: d_delete(), __d_move()), or by now another
 * one. The root of a filesystem is never hashed and never goes.
 */
static __always_inline bool is_gone(__u64 dentry_address, __u64 inode)
{
	struct dentry *dentry = (struct dentry *)dentry_address;

	if (!dentry_address || BPF_CORE_READ(dentry, d_parent) == dentry)
		return false;
	return !BPF_CORE_READ(dentry, d_hash.pprev) || (__u64)BPF_CORE_READ(dentry, d_inode) != inode;
}

/*
 * The file that is gone, of those that were touched: the one that was looked up, or else on overlayfs the layer's own
 * file comes first, and the one that the process sees last.
 */
static __always_inline struct touched *find_victim(struct deletion *deletion)
{
	struct touched *victim = 0;

	for (int i = 0; i < TOUCHED_MAX; i++) {
		struct touched *slot = &deletion->touched[i];

		if (!slot->inode)
			break;
		if (is_gone(slot->aliases[0], slot->inode) || is_gone(slot->aliases[1], slot->inode))
			victim = slot;
		if (settings.look_up && victim && deletion->place.mount)
			break;
	}
	return victim;
}

enum name_kind { NAME_SOURCE = 1 << 0, NAME_OF_KERNEL = 1 << 1 };

/*
 * Appends where a name starts and the name itself, from the memory of the process or, copied before, of the kernel.
 * Flags: 1 << 0 unread, 1 << 1 base cut, 1 << 2 base unknown.
 */
__noinline __u32 read_name(__u64 name, int descriptor, __u32 kind)
{
	struct scratch *scratch = this_scratch();
	__u32 before, flags = 0, base;
	char first = 0;
	long length;

	if (!scratch)
		return EBEE_NAME_UNREAD;
	/* Read at the exit of the system call: the kernel has just read it, so its page is there. */
	if (kind & NAME_OF_KERNEL ? bpf_probe_read_kernel(&first, 1, (void *)name)
				  : bpf_probe_read_user(&first, 1, (void *)name))
		return EBEE_NAME_UNREAD;
	before = length_of(scratch);
	if (read_base(descriptor, first == '/'))
		flags |= EBEE_BASE_UNKNOWN;
	if (scratch->cut)
		flags |= EBEE_BASE_CUT;
	base = length_of(scratch) - before;
	before = length_of(scratch);
	if (kind & NAME_OF_KERNEL)
		length = bpf_probe_read_kernel_str(end_of(scratch), EBEE_PATH_MAX, (void *)name);
	else
		length = bpf_probe_read_user_str(end_of(scratch), EBEE_PATH_MAX, (void *)name);
	if (length > 0)
		grow(scratch, length - 1);
	else
		flags |= EBEE_NAME_UNREAD;
	end_name(scratch, base, length_of(scratch) - before, kind & NAME_SOURCE);
	return flags;
}

/*
 * Sends an EBEE_PROCESS ahead of the deletion, unless the same has been said a moment ago. EBEE_PROCESS_LOST where something else
 * was said last, otherwise 0: who calls it takes it over as it is, and the verifier need not follow both.
 */
__noinline __u32 tell_process(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct scratch *scratch = this_scratch();
	struct told now = {}, *before;
	bool is_known;

	now.start = start_time(task);
	now.time = bpf_ktime_get_boot_ns();
	now.directory = (__u64)BPF_CORE_READ(task, fs, pwd.dentry);
	now.cred = (__u64)BPF_CORE_READ(task, cred);
	now.exec_id = BPF_CORE_READ(task, self_exec_id);
	now.euid = BPF_CORE_READ(task, cred, euid.val);
	before = bpf_map_lookup_elem(&tellings, &tgid);
	is_known = before && before->start == now.start && before->directory == now.directory &&
		   before->cred == now.cred && before->exec_id == now.exec_id && before->euid == now.euid;
	if (is_known && now.time - before->time < PROCESS_INTERVAL)
		return 0;
	if (!scratch || !begin(scratch, task, EBEE_PROCESS, sizeof(struct ebee_process)))
		return EBEE_PROCESS_LOST;
	collect_process(0, false);
	if (!emit(scratch, false))
		return is_known ? 0 : EBEE_PROCESS_LOST;
	bpf_map_update_elem(&tellings, &tgid, &now, BPF_ANY);
	return 0;
}

/* The file of those that were touched that has this address: the place of a dentry is believed only if its directory is one. */
static __always_inline bool was_touched(struct deletion *deletion, __u64 inode)
{
	for (int i = 0; i < TOUCHED_MAX; i++)
		if (deletion->touched[i].inode == inode)
			return inode;
	return false;
}

/*
 * The next mount of a filesystem after `mount_address`, the first one after 0; 0 at the end. By itself, because a field
 * that a kernel lacks must not be asked for ahead of a loop.
 */
__noinline __u64 next_mount(__u64 filesystem_address, __u64 mount_address)
{
	struct super_block *filesystem = (struct super_block *)filesystem_address;
	struct super_block___before_6_18 *old_filesystem = (void *)filesystem;
	struct mount *mount = (struct mount *)mount_address;
	struct mount___before_6_18 *old_mount = (void *)mount;
	struct list_head *node, *head;

	if (bpf_core_field_exists(mount->mnt_next_for_sb))
		return (__u64)(mount ? BPF_CORE_READ(mount, mnt_next_for_sb)
				     : BPF_CORE_READ(filesystem, s_mounts));
	head = (void *)filesystem + bpf_core_field_offset(old_filesystem->s_mounts);
	node = mount ? BPF_CORE_READ(old_mount, mnt_instance.next) : BPF_CORE_READ(head, next);
	if (node == head)
		return 0;
	return (__u64)node - bpf_core_field_offset(struct mount___before_6_18, mnt_instance);
}

/*
 * Where the name that is gone really was, whatever symbolic links led there: the struct vfsmount, if its filesystem is mounted in one
 * place only of what this process sees, otherwise 0. A system call tells no mount.
 */
__noinline __u64 only_mount(__u64 dentry_address)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct mnt_namespace *here = BPF_CORE_READ(task, nsproxy, mnt_ns);
	struct dentry *dentry = (struct dentry *)dentry_address;
	__u64 filesystem = (__u64)BPF_CORE_READ(dentry, d_sb);
	struct scratch *scratch = this_scratch();
	__u64 mount = next_mount(filesystem, 0);

	if (!scratch)
		return 0;
	/* In memory, as the length of a record is: see end_of(). */
	*(volatile __u64 *)&scratch->mount = 0;
	*(volatile __u32 *)&scratch->mounts = 0;
	for (int i = 0; i < MOUNTS_MAX && mount; i++) {
		if (BPF_CORE_READ((struct mount *)mount, mnt_ns) == here) {
			*(volatile __u64 *)&scratch->mount = mount;
			*(volatile __u32 *)&scratch->mounts += 1;
		}
		mount = next_mount(filesystem, mount);
	}
	if (mount || *(volatile __u32 *)&scratch->mounts != 1)
		return 0;
	return *(volatile __u64 *)&scratch->mount + bpf_core_field_offset(struct mount, mnt);
}

/* Appends the path of what was deleted by its place, where a name could lead astray; returns whether it did. */
static __always_inline bool read_real_place(struct scratch *scratch, struct deletion *deletion,
					    struct touched *victim, __u32 *flags)
{
	struct dentry *dentry = (void *)(is_gone(victim->aliases[0], victim->inode) ? victim->aliases[0]
										    : victim->aliases[1]);
	struct dentry *directory = BPF_CORE_READ(dentry, d_parent);
	__u64 mount;

	if (!was_touched(deletion, (__u64)BPF_CORE_READ(directory, d_inode)))
		return false;
	mount = only_mount((__u64)dentry);
	if (!mount)
		return false;
	scratch->length = sizeof(struct ebee_delete);
	*flags = read_place(mount, (__u64)directory, (__u64)BPF_CORE_READ(dentry, d_name.name), 0);
	return true;
}

/* The place of a name is known, and its directory still there: nobody holds that for one that was looked up. */
static __always_inline bool is_known(struct place *place)
{
	struct dentry *directory = (struct dentry *)place->directory;

	if (!settings.look_up || !place->mount)
		return place->mount;
	return (__u64)BPF_CORE_READ(directory, d_inode) == place->inode;
}

static __always_inline int report_in_lane(__u64 key, long result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct scratch *scratch = this_scratch();
	struct deletion *deletion = find_deletion(key);
	struct ebee_delete *delete;
	struct touched *victim = 0;
	__u32 kind, flags = 0, lost;
	bool placed;

	if (!deletion || !scratch)
		return 0;
	placed = is_known(&deletion->place);
	if (settings.look_up || !placed) {
		if (!result)
			victim = find_victim(deletion);
		placed = placed && victim == &deletion->touched[0];
	} else {
		victim = &deletion->touched[0];
	}
	if (!victim && deletion->how == EBEE_RENAME) {
		/* Nothing was there to be replaced, or it failed: what it would have replaced isn't known. */
		if (!result && deletion->touches > deletion->touches_followed && reported_pid(task))
			count_missed(); /* nor is what it replaced, if it did */
		return 0;
	}
	if (!begin(scratch, task, EBEE_DELETE, sizeof(*delete)))
		return 0;
	lost = tell_process();
	begin(scratch, task, EBEE_DELETE, sizeof(*delete));
	delete = (struct ebee_delete *)scratch->bytes;
	__builtin_memset(&delete->start, 0, sizeof(*delete) - sizeof(delete->header));
	delete->start = start_time(task);
	delete->uid = BPF_CORE_READ(task, cred, uid.val);
	delete->euid = BPF_CORE_READ(task, cred, euid.val);
	delete->result = result;
	delete->how = deletion->how;
	delete->via = deletion->via;
	BPF_CORE_READ_INTO(&delete->comm, task, group_leader, comm);
	if (victim) {
		struct inode *inode = (struct inode *)victim->inode;

		delete->victim = victim->victim;
		/* Counted down by now, if this is still the same inode; an inode that is gone had no link left. */
		if (!result && deletion->how == EBEE_RMDIR) {
			delete->victim.links = 0;
			delete->victim.flags |= EBEE_LINKS_KNOWN;
		} else if (BPF_CORE_READ(inode, i_ino) == victim->victim.inode) {
			delete->victim.links = BPF_CORE_READ(inode, i_nlink);
			delete->victim.flags |= EBEE_LINKS_KNOWN;
		}
	}
	kind = key >> 63 ? NAME_OF_KERNEL : 0;
	if (placed)
		flags = read_place(deletion->place.mount, deletion->place.directory,
				   address_of(deletion->component), 0);
	else if (!victim || !read_real_place(scratch, deletion, victim, &flags))
		flags = read_name(deletion->name, deletion->directory, kind);
	if (deletion->how == EBEE_RENAME) {
		if (placed && is_known(&deletion->source))
			flags |= read_place(deletion->source.mount, deletion->source.directory,
					    address_of(deletion->source_component), 1)
				 << 3;
		else
			flags |= read_name(deletion->source_name, deletion->source_directory,
					   kind | NAME_SOURCE)
				 << 3;
	}
	delete->flags = flags | lost;
	emit(scratch, true);
	return 0;
}

/*
 * Sends the deletion `key`, which ended with `result`, unless it is none or not to be reported; once, for the kernel may refuse to
 * take it out of its map then (-EBUSY: somebody else is at work there).
 */
__noinline int report(__u64 key, long result)
{
	struct deletion *deletion = find_deletion(key);

	if ((result && !settings.report_failed) || !deletion || !deletion->how)
		return 0;
	if (take_lane()) {
		report_in_lane(key, result);
		give_lane();
	} else {
		count_missed();
	}
	/* A request may be another one's by now. */
	if (!(key >> 63))
		deletion->how = 0;
	return 0;
}

#endif
