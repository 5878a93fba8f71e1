/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel's types that the programs use, with only the fields they read. Offsets are those of the running kernel:
 * libbpf relocates every access by name (CO-RE). A struct with a suffix after three underscores is the same struct as
 * another kernel has it.
 */
#ifndef EBEE_VMLINUX_H
#define EBEE_VMLINUX_H
/* What bpf_tracing.h looks for: the registers have their kernel names. */
#define __VMLINUX_H__

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

enum { false = 0, true = 1 };

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum bpf_func_id { BPF_FUNC_get_current_task_btf = 158, BPF_FUNC_task_pt_regs = 175 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_F_MMAPABLE = 1 << 10 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;
typedef struct {
	__u32 val;
} kuid_t;
typedef struct {
	__u32 val;
} kgid_t;

struct list_head {
	struct list_head *next, *prev;
};
struct hlist_node {
	struct hlist_node *next, **pprev;
};
struct hlist_head {
	struct hlist_node *first;
};
struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
};
struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

struct qstr {
	__u32 hash;
	__u32 len;
	const unsigned char *name;
};
struct lockref {
	int count;
};

struct file_system_type {
	const char *name;
};
struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
	struct mount *s_mounts; /* since 6.18 */
};
struct super_block___before_6_18 {
	struct list_head s_mounts;
};

struct inode {
	unsigned short i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	long long i_size;
	__s64 i_mtime_sec;
	__u32 i_mtime_nsec;
	struct hlist_head i_dentry;
	const char *i_link;
};
struct inode___before_6_11 {
	struct timespec64 __i_mtime;
};
struct inode___before_6_7 {
	struct timespec64 i_mtime;
};
struct ext4_inode_info {
	long long i_disksize;
	struct timespec64 i_crtime;
	struct inode vfs_inode;
};
struct shmem_inode_info {
	struct timespec64 i_crtime;
	struct inode vfs_inode;
};
struct xfs_inode {
	struct timespec64 i_crtime;
	struct inode i_vnode;
};
struct f2fs_inode_info {
	struct timespec64 i_crtime;
	struct inode vfs_inode;
};
struct btrfs_inode {
	__s64 i_otime_sec;
	__u32 i_otime_nsec;
	struct inode vfs_inode;
};
struct btrfs_inode___before_6_9 {
	struct timespec64 i_otime;
	struct inode vfs_inode;
};

struct dentry {
	unsigned int d_flags;
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
	struct lockref d_lockref;
	struct hlist_node d_sib; /* since 6.8 */
	struct hlist_head d_children;
	struct hlist_node d_alias;
};
struct dentry___before_7_0 {
	union {
		struct hlist_node d_alias;
	} d_u;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct list_head mnt_mounts;
	struct list_head mnt_child;
	struct mnt_namespace *mnt_ns;
	struct mount *mnt_next_for_sb; /* since 6.18 */
};
struct mount___before_6_18 {
	struct list_head mnt_instance;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct renamedata { /* since 5.12 */
	struct dentry *old_dentry;
	struct dentry *new_dentry;
	unsigned int flags;
};
struct filename {
	const char *name;
};

struct file {
	struct path f_path;
};
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};
struct fs_struct {
	struct path root;
	struct path pwd;
};

struct ns_common {
	unsigned int inum;
};
struct pid_namespace {
	struct ns_common ns;
};
struct mnt_namespace {
	struct ns_common ns;
};
struct nsproxy {
	struct mnt_namespace *mnt_ns;
};
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
};
struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
	struct file *exe_file;
};

struct tty_struct {
	char name[64];
};
struct signal_struct {
	atomic_t live;
	unsigned int flags;
	int group_exit_code;
	struct tty_struct *tty;
};

struct kernfs_node {
	const char *name;
	__u64 id;
};
struct kernfs_node___since_6_15 {
	struct kernfs_node *__parent;
};
struct kernfs_node___before_6_15 {
	struct kernfs_node *parent;
};
struct cgroup_root {
	char name[64];
};
struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
};
struct css_set {
	struct cgroup *dfl_cgrp;
	struct list_head cgrp_links;
};
struct cgrp_cset_link {
	struct cgroup *cgrp;
	struct list_head cgrp_link;
};

#ifdef __TARGET_ARCH_x86
struct pt_regs {
	unsigned long bp, bx, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, sp;
};
struct thread_info {
	unsigned int status;
};
#endif

struct task_struct {
#ifdef __TARGET_ARCH_x86
	struct thread_info thread_info;
#endif
	unsigned int flags;
	void *stack;
	void *worker_private; /* since 5.16 */
	int pid;
	int tgid;
	int exit_code;
	struct mm_struct *mm;
	__u64 start_boottime;
	__u32 self_exec_id;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	kuid_t loginuid;
	unsigned int sessionid;
	struct css_set *cgroups;
};
struct task_struct___before_5_16 {
	void *pf_io_worker;
};
struct task_struct___before_5_5 {
	__u64 real_start_time;
};

struct linux_binprm {
	int argc;
	const char *filename;
	const char *interp;
};

struct io_uring_cqe {
	int res;
};
struct io_wq_work {
	int cancel_seq;
};
struct io_kiocb {
	__u8 opcode;
	struct io_wq_work work;
};
struct io_worker {
	struct io_wq_work *cur_work;
};
struct io_unlink {
	int dfd;
	int flags;
	struct filename *filename;
};
struct io_rename {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct delayed_filename {
	struct filename *__incomplete_filename;
};
struct io_unlink___since_7_0 {
	struct delayed_filename filename;
};
struct io_rename___since_7_0 {
	struct delayed_filename oldpath;
	struct delayed_filename newpath;
};
/* include/uapi/linux/io_uring.h */
enum io_uring_op { IORING_OP_RENAMEAT = 35, IORING_OP_UNLINKAT = 36 };

struct trace_entry {
	unsigned short type;
	unsigned char flags;
	unsigned char preempt_count;
	int pid;
};
/*
 * What tracepoints of single system calls hand over (kernel/trace/trace.h). struct trace_event_raw_sys_enter is laid out alike only where
 * struct trace_entry has 8 bytes; with PREEMPT_RT it has more.
 */
struct syscall_trace_enter {
	struct trace_entry ent;
	int nr;
	unsigned long args[6];
};
struct syscall_trace_exit {
	struct trace_entry ent;
	int nr;
	long ret;
};
/* The same of those of io_uring. */
struct trace_event_raw_io_uring_submit_req {
	void *req;
};
struct trace_event_raw_io_uring_complete {
	void *req;
	int res;
};
struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

#pragma clang attribute pop
#endif
