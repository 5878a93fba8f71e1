/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Finds the file that a name leads to, as a system call begins, in the kernel's own cache of names. Only for kernels where
 * nothing tells that file later. What is found is a guess until the call has ended well and the name is gone:
 * find_victim() asks for that. What the cache doesn't hold is not found.
 *
 * The cache is one hash table. Where it is and how large, nobody tells: /proc/kallsyms does, but not to a confined
 * service. So it is learned from names that are in it.
 */
#ifndef EBEE_LOOKUP_BPF_H
#define EBEE_LOOKUP_BPF_H

#include "deletion.bpf.h"

/* A step skips a slash, passes a component, follows a symbolic link or enters a mount. */
#define WALK_STEPS 1024
/* Where in the scratch memory a name is put: what symbolic links lead to is put in front of it. */
#define WALK_TEXT 32768
/* Names that share a bucket. */
#define CHAIN_MAX 64
/* How many names of a process the table is learned from: those of its program and its directory, each with those above. */
#define LEARNED_MAX 8
/* Bytes between the buckets of two names that the table is learned from. */
#define BUCKETS_APART 4096
#define CACHE_LINE 64
/* Mounts that `..` leads out of at once. */
#define STACKED_MAX 8

#define S_IFLNK 0120000
/* include/linux/dcache.h: the filesystem has a hash or a comparison of its own. */
#define DCACHE_OWN_RULES 3
/* Something is mounted on it: DCACHE_MOUNTED is the upper bit, and the lower one on later kernels. */
#define DCACHE_MAY_BE_MOUNTED (1 << 16 | 1 << 15)

/* What is known of the hash table: its address, 0 until that is known, and how a hash becomes a place in it. */
static volatile struct {
	__u64 address;
	__u64 bucket; /* the last name that was looked at for this */
	__u32 hash;
	__u32 shift;
} table;

/* The bucket that a name is in. Each name points back at the one before it, the first one at the bucket. */
__noinline __u64 bucket_of(__u64 dentry_address)
{
	struct dentry *dentry = (struct dentry *)dentry_address;

	for (int i = 0; i < CHAIN_MAX && settings.look_up; i++) {
		__u64 link = (__u64)BPF_CORE_READ(dentry, d_hash.pprev);
		__u64 filesystem;

		if (!link)
			return 0;
		dentry = (void *)link - bpf_core_field_offset(struct dentry, d_hash);
		filesystem = (__u64)BPF_CORE_READ(dentry, d_sb);
		/* The directory of a name is on the same filesystem: otherwise this is none. */
		if (!filesystem || filesystem != (__u64)BPF_CORE_READ(dentry, d_parent, d_sb))
			return link;
	}
	return 0;
}

/*
 * Two names in two buckets, whose hashes are known, leave one size at which the table begins at one address for both, if
 * they are far enough apart for a shift by one more bit to show. It begins with a cache line: where there is one node of
 * memory, it is not made of pages of its own (kernel: alloc_large_system_hash()).
 */
__noinline int learn_from(__u64 dentry_address)
{
	__u32 hash = BPF_CORE_READ((struct dentry *)dentry_address, d_name.hash);
	__u64 bucket = bucket_of(dentry_address);

	if (!settings.look_up || !bucket || bucket - table.bucket + BUCKETS_APART < 2 * BUCKETS_APART)
		return 0;
	for (__u32 shift = 1; shift < 32; shift++) {
		__u64 address = bucket - (__u64)(hash >> shift) * sizeof(struct hlist_head);

		if (address % CACHE_LINE ||
		    address != table.bucket - (__u64)(table.hash >> shift) * sizeof(struct hlist_head))
			continue;
		table.shift = shift;
		table.address = address;
	}
	table.bucket = bucket;
	table.hash = hash;
	return 0;
}

static __always_inline void learn_above(struct dentry *dentry)
{
	for (int i = 0; i < LEARNED_MAX; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

		/* The root of a filesystem is not in the table. */
		if (!parent || parent == dentry)
			break;
		learn_from((__u64)dentry);
		dentry = parent;
	}
}

/* Learns the table from what the current process has at hand. */
__noinline int learn(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (!settings.look_up)
		return 0;
	learn_above(BPF_CORE_READ(task, mm, exe_file, f_path.dentry));
	learn_above(BPF_CORE_READ(task, fs, pwd.dentry));
	return 0;
}

/* What follows at `offset` in the path. In memory, as the length of a record is: see end_of(). */
static __always_inline void *rest_of(struct scratch *scratch, __u32 offset)
{
	__u64 at = *(volatile __u32 *)&scratch->walk.text + offset;

	return scratch->bytes + (at & 0xffff);
}

#define EVERY_BYTE(byte) (0x0101010101010101ull * (byte))

/* Marks the bytes of a word that are 0 with their highest bit; above the lowest of those that are, others may be marked. */
static __always_inline __u64 zeros(__u64 word)
{
	return (word - EVERY_BYTE(1)) & ~word & EVERY_BYTE(0x80);
}

static __always_inline __u64 rotated(__u64 word, int bits)
{
	return word << bits | word >> (64 - bits);
}

/* Measures the component that comes next, and hashes it as the kernel does, eight bytes at a time (fs/namei.c). */
__noinline int hash_component(void)
{
	const __u64 golden_ratio = 0x61c8864680b583ebull;
	struct scratch *scratch = this_scratch();
	__u64 sum = 0, mixed;

	if (!settings.look_up || !scratch)
		return 0;
	mixed = scratch->walk.dentry;
	for (__u32 length = 0; length < COMPONENT_MAX; length += 8) {
		__u64 word = *(__u64 *)rest_of(scratch, length);
		__u64 ends = zeros(word) | zeros(word ^ EVERY_BYTE('/'));

		if (ends) {
			__u64 before = ((ends & -ends) >> 7) - 1;

			mixed = (mixed ^ (sum ^ (word & before)) * golden_ratio) * golden_ratio;
			scratch->walk.hash = mixed >> 32;
			scratch->walk.length = length + (((before & EVERY_BYTE(1)) * EVERY_BYTE(1)) >> 56);
			return 0;
		}
		sum ^= word;
		mixed ^= sum;
		sum = rotated(sum, 12) + mixed;
		mixed = rotated(mixed, 45) * 9;
	}
	scratch->walk.length = COMPONENT_MAX;
	return 0;
}

/* Whether a name of the right length is the component that comes next. */
__noinline int is_named(__u64 dentry_address)
{
	struct scratch *scratch = this_scratch();

	if (!settings.look_up || !scratch)
		return 0;
	bpf_probe_read_kernel_str(scratch->bytes, COMPONENT_MAX,
				  BPF_CORE_READ((struct dentry *)dentry_address, d_name.name));
	for (__u32 i = 0; i < COMPONENT_MAX; i += 8) {
		__u32 left = *(volatile __u32 *)&scratch->walk.length - i;
		__u64 difference = *(__u64 *)(scratch->bytes + i) ^ *(__u64 *)rest_of(scratch, i);

		if (left <= 8)
			return !(left && difference << (64 - left * 8));
		if (difference)
			return 0;
	}
	return 0;
}

/* The name in the directory that the walk is in, of the component that comes next; 0 if the cache has none. */
__noinline __u64 find_component(void)
{
	struct scratch *scratch = this_scratch();
	struct hlist_bl_node *node = 0;
	struct dentry *parent;
	__u32 length, hash;

	if (!settings.look_up || !scratch)
		return 0;
	parent = (struct dentry *)scratch->walk.dentry;
	hash = scratch->walk.hash;
	length = scratch->walk.length;
	if (!table.address || BPF_CORE_READ(parent, d_flags) & DCACHE_OWN_RULES)
		return 0;
	bpf_probe_read_kernel(&node, sizeof(node),
			      (void *)table.address +
				      (__u64)(hash >> (table.shift & 31)) * sizeof(struct hlist_head));
	/* The lowest bit of a bucket is its lock. */
	node = (void *)((__u64)node & ~1ull);
	for (int i = 0; i < CHAIN_MAX && node; i++) {
		struct dentry *dentry = (void *)node - bpf_core_field_offset(struct dentry, d_hash);

		if (BPF_CORE_READ(dentry, d_parent) == parent && BPF_CORE_READ(dentry, d_name.hash) == hash &&
		    BPF_CORE_READ(dentry, d_name.len) == length && is_named((__u64)dentry))
			return (__u64)dentry;
		node = BPF_CORE_READ(node, next);
	}
	return 0;
}

/* The mount on a directory of another one; 0 if there is none, as it may be in another mount namespace. */
__noinline __u64 mount_on(__u64 mount_address, __u64 dentry)
{
	struct mount *mount = (struct mount *)mount_address, *child;
	struct list_head *head = (void *)mount + bpf_core_field_offset(mount->mnt_mounts);
	struct list_head *node = BPF_CORE_READ(mount, mnt_mounts.next);

	for (int i = 0; i < MOUNTS_MAX && settings.look_up && node != head; i++) {
		child = (void *)node - bpf_core_field_offset(child->mnt_child);
		if ((__u64)BPF_CORE_READ(child, mnt_mountpoint) == dentry)
			return (__u64)child;
		node = BPF_CORE_READ(node, next);
	}
	return 0;
}

static __always_inline void go_to(struct walk *walk, struct path *path)
{
	walk->mount = (__u64)BPF_CORE_READ(path, mnt) - bpf_core_field_offset(struct mount, mnt);
	walk->dentry = (__u64)BPF_CORE_READ(path, dentry);
}

/* Goes up to the directory above, out of any mount whose root this is, but not above the root of the process. */
__noinline int go_up(void)
{
	struct path *root = (struct path *)base_of(0, true);
	struct scratch *scratch = this_scratch();
	struct walk *walk;

	if (!settings.look_up || !scratch)
		return 0;
	walk = &scratch->walk;
	for (int i = 0; i < STACKED_MAX; i++) {
		struct mount *mount = (struct mount *)walk->mount, *above = BPF_CORE_READ(mount, mnt_parent);
		struct dentry *dentry = (struct dentry *)walk->dentry;

		if (dentry == BPF_CORE_READ(root, dentry) &&
		    (__u64)BPF_CORE_READ(root, mnt) == walk->mount + bpf_core_field_offset(mount->mnt))
			return 0;
		if (dentry != BPF_CORE_READ(mount, mnt.mnt_root)) {
			walk->dentry = (__u64)BPF_CORE_READ(dentry, d_parent);
			return 0;
		}
		if (above == mount)
			return 0;
		walk->dentry = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = (__u64)above;
	}
	return 0;
}

/* Puts what a symbolic link leads to in place of its name; not 0 where only its filesystem knows that, or it is too long. */
__noinline int follow_link(__u64 inode_address)
{
	struct inode *inode = (struct inode *)inode_address;
	const char *link = BPF_CORE_READ(inode, i_link);
	__u64 length = BPF_CORE_READ(inode, i_size);
	struct scratch *scratch = this_scratch();
	__u32 text;

	if (!settings.look_up || !scratch || !link || !length || length >= EBEE_PATH_MAX)
		return 1;
	length = known_bounded(length);
	/* The slash that ended its name stays. */
	text = scratch->walk.text - 1 - length;
	if (text < COMPONENT_MAX || text >= WALK_TEXT + EBEE_PATH_MAX)
		return 1;
	scratch->walk.text = text;
	bpf_probe_read_kernel(rest_of(scratch, 0), length & (EBEE_PATH_MAX - 1), link);
	if (*(char *)rest_of(scratch, 0) == '/')
		go_to(&scratch->walk, (struct path *)base_of(0, true));
	return 0;
}

/* Enters what was found, of which something follows; not 0 where that can't be. */
__noinline int enter(void)
{
	struct scratch *scratch = this_scratch();
	struct dentry *dentry;
	struct inode *inode;
	struct mount *mount = 0;

	if (!settings.look_up || !scratch)
		return 1;
	dentry = (struct dentry *)scratch->walk.found;
	inode = BPF_CORE_READ(dentry, d_inode);
	scratch->walk.found = 0;
	if (!inode)
		return 1;
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFLNK)
		return follow_link((__u64)inode);
	if (BPF_CORE_READ(dentry, d_flags) & DCACHE_MAY_BE_MOUNTED)
		mount = (struct mount *)mount_on(scratch->walk.mount, (__u64)dentry);
	if (mount) {
		scratch->walk.mount = (__u64)mount;
		/* On which there may be another one. */
		scratch->walk.found = (__u64)BPF_CORE_READ(mount, mnt.mnt_root);
	} else {
		scratch->walk.dentry = (__u64)dentry;
	}
	return 0;
}

/* Goes on along the path by one step; not 0 where it ends. */
__noinline int step(void)
{
	struct scratch *scratch = this_scratch();
	__u32 length;
	char *text;

	if (!settings.look_up || !scratch)
		return 1;
	text = rest_of(scratch, 0);
	if (!*text)
		return 1;
	if (*text == '/') {
		scratch->walk.text++;
		return 0;
	}
	if (scratch->walk.found)
		return enter();
	hash_component();
	length = scratch->walk.length;
	if (length >= COMPONENT_MAX)
		return 1;
	if (length == 2 && text[0] == '.' && text[1] == '.') {
		go_up();
	} else if (length != 1 || text[0] != '.') {
		scratch->walk.found = find_component();
		if (!scratch->walk.found)
			return 1;
	}
	scratch->walk.text += length;
	return 0;
}

/* Looks a path up; the name at its end, in the directory where the walk is then, or 0. */
__noinline __u64 look_up(__u64 name, int descriptor, __u32 kind)
{
	struct scratch *scratch = this_scratch();
	struct path *base;
	long length;

	if (!settings.look_up || !scratch)
		return 0;
	if (kind & NAME_OF_KERNEL)
		length = bpf_probe_read_kernel_str(scratch->bytes + WALK_TEXT, EBEE_PATH_MAX, (void *)name);
	else
		length = bpf_probe_read_user_str(scratch->bytes + WALK_TEXT, EBEE_PATH_MAX, (void *)name);
	base = (struct path *)base_of(descriptor, scratch->bytes[WALK_TEXT] == '/');
	if (length <= 0 || !base)
		return 0;
	go_to(&scratch->walk, base);
	scratch->walk.found = 0;
	scratch->walk.text = WALK_TEXT;
	for (int i = 0; i < WALK_STEPS; i++)
		if (step())
			break;
	return *(char *)rest_of(scratch, 0) ? 0 : scratch->walk.found;
}

/* Looks a name of a deletion up; its place, if it is a file that is there. */
static __always_inline bool find_place(struct place *place, char *component, __u64 name, int descriptor,
				       __u32 kind)
{
	struct dentry *found = (struct dentry *)look_up(name, descriptor, kind);
	struct scratch *scratch = this_scratch();
	struct dentry *directory;

	if (!found || !scratch || !BPF_CORE_READ(found, d_inode))
		return false;
	directory = (struct dentry *)scratch->walk.dentry;
	place->mount = scratch->walk.mount + bpf_core_field_offset(struct mount, mnt);
	place->directory = (__u64)directory;
	place->dentry = (__u64)found;
	place->inode = (__u64)BPF_CORE_READ(directory, d_inode);
	bpf_probe_read_kernel_str(component, COMPONENT_MAX, BPF_CORE_READ(found, d_name.name));
	return true;
}

static __always_inline int look_up_in_lane(__u64 key)
{
	struct deletion *deletion = find_deletion(key);
	__u32 kind = key >> 63 ? NAME_OF_KERNEL : 0;
	struct dentry *dentry;
	struct inode *inode;

	if (!deletion)
		return 0;
	if (!table.address)
		learn();
	if (!find_place(&deletion->place, deletion->component, deletion->name, deletion->directory, kind))
		return 0;
	dentry = (struct dentry *)deletion->place.dentry;
	inode = BPF_CORE_READ(dentry, d_inode);
	deletion->touched[0].inode = (__u64)inode;
	deletion->touched[0].aliases[0] = (__u64)dentry;
	read_victim(&deletion->touched[0].victim, inode);
	if (deletion->how == EBEE_RENAME)
		find_place(&deletion->source, deletion->source_component, deletion->source_name,
			   deletion->source_directory, kind);
	return 0;
}

/* Looks up what the deletion `key` is about to delete, and where a rename takes it from. Without a lane, nothing is known of it. */
__noinline int look_up_names(__u64 key)
{
	if (!settings.look_up || !take_lane())
		return 0;
	look_up_in_lane(key);
	give_lane();
	return 0;
}

#endif
