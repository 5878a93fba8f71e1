// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Every deletion of a file or directory: unlink, unlinkat, rmdir, and a rename over an existing name.
 *
 * Three rungs, the best first. The first two see the kernel's own functions, with trampolines (fentry, fexit) or with kprobes:
 * security_path_unlink() and its like know the mount, and so the path; vfs_unlink() and its like know the file and the
 * result. System calls, 32-bit ones too, and io_uring all come by there, and nobody who deletes nothing pays. The
 * third rung is the system call tracepoints, which every kernel has: a name and a result. What they can't give, the
 * file itself, comes from tracepoints in between, which fire when the change time of an inode is set (since 6.13), as
 * every filesystem does to the file that it removes. Before that, the name is looked up in the kernel's cache of names as
 * the system call begins (lookup.bpf.h), and ext4 tells which inodes it writes down.
 */
#include "deletion.bpf.h"
#include "lookup.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The request that a thread of io_uring works on, 0 where it is none. */
static __always_inline __u64 current_request(struct task_struct *task)
{
	struct task_struct___before_5_16 *old = (void *)task;
	struct io_worker *worker = 0;
	struct io_wq_work *work;

	if (!bpf_core_field_exists(worker->cur_work))
		return 0;
	if (bpf_core_field_exists(task->worker_private))
		worker = BPF_CORE_READ(task, worker_private);
	else if (bpf_core_field_exists(old->pf_io_worker))
		worker = BPF_CORE_READ(old, pf_io_worker);
	work = BPF_CORE_READ(worker, cur_work);
	return work ? (__u64)work - bpf_core_field_offset(struct io_kiocb, work) : 0;
}

/* struct filename of a request: since 7.0 in a struct of its own. */
#define FILENAME(operation, field)                                                                           \
	({                                                                                                   \
		struct filename *filename_;                                                                  \
		if (bpf_core_field_exists((operation)->field))                                               \
			filename_ = BPF_CORE_READ(operation, field);                                         \
		else                                                                                         \
			filename_ = BPF_CORE_READ(since_7_0(operation), field.__incomplete_filename);        \
		filename_;                                                                                   \
	})
#define since_7_0(operation)                                                                                 \
	_Generic((operation), struct io_unlink *                                                             \
		 : (struct io_unlink___since_7_0 *)(operation), struct io_rename *                           \
		 : (struct io_rename___since_7_0 *)(operation))

static __always_inline void copy_filename(char *to, struct filename *filename)
{
	bpf_probe_read_kernel_str(to, EBEE_PATH_MAX, BPF_CORE_READ(filename, name));
}

/* io_uring takes a request; the directory descriptor and the names are in the part of it that belongs to the operation. */
static __always_inline int submitted(__u64 address)
{
	struct io_kiocb *submitted = (struct io_kiocb *)address;
	__u8 operation = BPF_CORE_READ(submitted, opcode);
	struct io_unlink *unlink = (void *)address;
	struct io_rename *rename = (void *)address;
	struct request *request;
	__u32 how;

	if (operation == IORING_OP_UNLINKAT)
		how = BPF_CORE_READ(unlink, flags) & AT_REMOVEDIR ? EBEE_RMDIR : EBEE_UNLINK;
	else if (operation == IORING_OP_RENAMEAT && !(BPF_CORE_READ(rename, flags) & RENAME_EXCHANGE))
		how = EBEE_RENAME;
	else
		return 0;
	bpf_map_update_elem(&requests, &address, &no_request, BPF_ANY);
	request = bpf_map_lookup_elem(&requests, &address);
	if (!request)
		return 0;
	request->deletion.how = how;
	request->deletion.via = EBEE_IO_URING;
	request->deletion.name = address_of(request->name);
	if (how == EBEE_RENAME) {
		request->deletion.directory = BPF_CORE_READ(rename, new_dfd);
		request->deletion.source_directory = BPF_CORE_READ(rename, old_dfd);
		request->deletion.source_name = address_of(request->source_name);
		copy_filename(request->name, FILENAME(rename, newpath));
		copy_filename(request->source_name, FILENAME(rename, oldpath));
	} else {
		request->deletion.directory = BPF_CORE_READ(unlink, dfd);
		copy_filename(request->name, FILENAME(unlink, filename));
	}
	return look_up_names(address);
}

/* ------ Trampolines and kprobes ------ */

/*
 * What this thread began is given up, where it was never seen to leave it: a kretprobe had no room for its return. Whether it failed
 * nobody can tell, so that at most so many were missed where failures are not reported. `deletion` is what the thread has in the map, or 0.
 */
static __always_inline void give_up(struct deletion *deletion)
{
	if (end_call() || close_deletion(deletion))
		count_missed();
}

/* The mount and the directory are known: a deletion is about to be tried (kernel: fs/namei.c, do_unlinkat() and its like). */
static __always_inline int placed(__u32 how, __u64 path_address, __u64 dentry)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion = bpf_map_lookup_elem(&deletions, &thread);
	struct path *path = (struct path *)path_address;

	/* Within one unlink or rmdir, it is tried again. A rename is noted only when the filesystem is asked. */
	if (how == EBEE_RENAME || !is_called())
		give_up(deletion);
	deletion = begin_deletion(how);
	if (!deletion) {
		end_call(); /* counted already */
		return 0;
	}
	deletion->place.mount = (__u64)BPF_CORE_READ(path, mnt);
	deletion->place.directory = (__u64)BPF_CORE_READ(path, dentry);
	deletion->place.dentry = dentry;
	bpf_probe_read_kernel_str(deletion->component, COMPONENT_MAX,
				  BPF_CORE_READ((struct dentry *)dentry, d_name.name));
	deletion->touched[0].inode = (__u64)BPF_CORE_READ((struct dentry *)dentry, d_inode);
	read_victim(&deletion->touched[0].victim, (struct inode *)deletion->touched[0].inode);
	return 0;
}

static __always_inline int placed_rename(__u64 source_path, __u64 source, __u64 path, __u64 dentry)
{
	struct path *from = (struct path *)source_path;
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion;

	/* Most renames replace nothing. */
	if (!BPF_CORE_READ((struct dentry *)dentry, d_inode))
		return 0;
	placed(EBEE_RENAME, path, dentry);
	deletion = bpf_map_lookup_elem(&deletions, &thread);
	if (!deletion)
		return 0;
	deletion->source.mount = (__u64)BPF_CORE_READ(from, mnt);
	deletion->source.directory = (__u64)BPF_CORE_READ(from, dentry);
	deletion->source.dentry = source;
	bpf_probe_read_kernel_str(deletion->source_component, COMPONENT_MAX,
				  BPF_CORE_READ((struct dentry *)source, d_name.name));
	return 0;
}

/*
 * A thread ends, or begins anew, maybe with a deletion that was never left. What nobody takes out of the map stays in it for
 * ever.
 */
static __always_inline int ended(void)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion = bpf_map_lookup_elem(&deletions, &thread);

	give_up(deletion);
	if (deletion)
		bpf_map_delete_elem(&deletions, &thread);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int exit_thread(void *context)
{
	return ended();
}

/* Beside kprobes and system call tracepoints: never interrupted by another thread. */
SEC("tp/sched/sched_process_exit")
int exit_thread_tp(void *context)
{
	return ended();
}

/* A security module said no, or it is over. */
static __always_inline int forget(void)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&deletions, &thread);
	return 0;
}

/* The filesystem is asked: with the file that was placed, or from within that, by overlayfs with a file of a layer. */
static __always_inline int entered(__u64 dentry_address)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion = bpf_map_lookup_elem(&deletions, &thread);

	if (!deletion || !(deletion->depth || deletion->place.dentry == dentry_address))
		return 0;
	if (!deletion->depth++)
		open_deletion(deletion);
	return 0;
}

/* A rename that the filesystem is asked for. */
struct asked {
	__u64 source; /* dentry */
	__u64 target;
	__u32 flags;
};

/* Not an exchange, nor that of a file over its own hard link, which deletes nothing (kernel: vfs_rename()). */
static __always_inline bool replaces(const struct asked *asked)
{
	/* In variables: asked->source within BPF_CORE_READ() would be looked for in the kernel's types. */
	struct dentry *from = (struct dentry *)asked->source, *to = (struct dentry *)asked->target;
	struct inode *source = BPF_CORE_READ(from, d_inode), *target = BPF_CORE_READ(to, d_inode);

	return target && target != source && !(asked->flags & RENAME_EXCHANGE);
}

static __always_inline int entered_rename(struct asked asked)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion = bpf_map_lookup_elem(&deletions, &thread);

	if (!deletion)
		return 0;
	if (!deletion->depth && deletion->place.dentry == asked.target && !replaces(&asked))
		return forget();
	entered(asked.target);
	if (settings.few_returns && deletion->depth == 1 && !is_called())
		begin_call(NOTE);
	return 0;
}

static __always_inline int left(int result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion = bpf_map_lookup_elem(&deletions, &thread);
	bool is_rename;

	if (!deletion || !deletion->depth || --deletion->depth)
		return 0;
	is_rename = deletion->how == EBEE_RENAME;
	/*
	 * What fails is reported by returned(): some is tried again, and most never gets here. But what a rename would have
	 * replaced is known only here; EAGAIN and ESTALE are those that are tried again.
	 */
	if (!result || (is_rename && result != -EAGAIN && result != -ESTALE))
		report(thread, result);
	/* Behind the report: others may take the place of this program now, and ask what is open and not in the ring. */
	if (!result || is_rename)
		end_call();
	close_deletion(deletion);
	bpf_map_delete_elem(&deletions, &thread);
	return 0;
}

/*
 * An unlink or rmdir is over, whatever its result. If it failed, the registers tell what was asked for. If it did not and was not
 * reported, the compiler made vfs_unlink() or vfs_rmdir() a part of its caller (Debian's 5.10 has such an rmdir).
 */
static __always_inline int returned(int result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 thread = bpf_get_current_pid_tgid();
	__u64 request = BPF_CORE_READ(task, flags) & PF_IO_WORKER ? current_request(task) : 0;
	struct deletion *deletion = bpf_map_lookup_elem(&deletions, &thread);
	struct call call = {};

	/* A rename that was never left. This is another deletion. */
	if (deletion && deletion->how == EBEE_RENAME) {
		give_up(deletion);
		forget();
		deletion = 0;
	}
	if (result < 0 && close_deletion(deletion))
		count_missed(); /* that is another one, whose end was not seen */
	if (result >= 0) {
		if (!deletion && is_called())
			count_missed(); /* its place was hidden */
		report(thread, 0);
		close_deletion(deletion);
	} else if (request) {
		if (find_deletion(request))
			report(request, result);
		else if (settings.report_failed && daemon.is_in_charge && reported_pid(task))
			count_missed(); /* it was not seen to begin */
	} else if (settings.report_failed && read_call(&call)) {
		deletion = begin_deletion(call.kind == CALL_RMDIR ? EBEE_RMDIR : EBEE_UNLINK);
		if (deletion) {
			deletion->name = call.name;
			deletion->directory = call.directory;
		}
		report(thread, result);
	}
	end_call();
	if (request)
		bpf_map_delete_elem(&requests, &request);
	return forget();
}

/* What a trampoline hands over in place `index`, after the arguments the result: a number, not a pointer that is checked. */
#define SLOT(context, index)                                                                                 \
	({                                                                                                   \
		__u64 slot_;                                                                                 \
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(slot_) : "r"(context), "i"((index)*8));         \
		slot_;                                                                                       \
	})
#define POINTER(context, index)                                                                              \
	({                                                                                                   \
		void *pointer_ = (void *)SLOT(context, index);                                               \
		address_of(pointer_);                                                                        \
	})

SEC("fexit/security_path_unlink")
int fexit_path_unlink(void *context)
{
	return (int)SLOT(context, 2) ? 0 : placed(EBEE_UNLINK, POINTER(context, 0), POINTER(context, 1));
}

SEC("fexit/security_path_rmdir")
int fexit_path_rmdir(void *context)
{
	return (int)SLOT(context, 2) ? 0 : placed(EBEE_RMDIR, POINTER(context, 0), POINTER(context, 1));
}

SEC("fexit/security_path_rename")
int fexit_path_rename(void *context)
{
	return (int)SLOT(context, 5) ? 0
				     : placed_rename(POINTER(context, 0), POINTER(context, 1),
						     POINTER(context, 2), POINTER(context, 3));
}

/* Since 5.12 the first argument is the user namespace of the mount, or its id map. */
SEC("fentry/vfs_unlink")
int fentry_unlink(void *context)
{
	return entered(settings.dentry_argument == 1 ? POINTER(context, 1) : POINTER(context, 2));
}

SEC("fentry/vfs_rmdir")
int fentry_rmdir(void *context)
{
	return entered(settings.dentry_argument == 1 ? POINTER(context, 1) : POINTER(context, 2));
}

static __always_inline struct asked asked_by(__u64 renamedata_address)
{
	struct renamedata *data = (struct renamedata *)renamedata_address;

	return (struct asked){.source = (__u64)BPF_CORE_READ(data, old_dentry),
			      .target = (__u64)BPF_CORE_READ(data, new_dentry),
			      .flags = BPF_CORE_READ(data, flags)};
}

/* Before 5.12: the directory and dentry of the source, those of the target, what a delegation needs, flags. */
static __always_inline struct asked asked_with(void *context)
{
	if (settings.rename_arguments == 1)
		return asked_by(POINTER(context, 0));
	return (struct asked){POINTER(context, 1), POINTER(context, 3), SLOT(context, 5)};
}

SEC("fentry/vfs_rename")
int fentry_rename(void *context)
{
	return entered_rename(asked_with(context));
}

static __always_inline int left_with(void *context, __u32 arguments)
{
	/* Each case by itself: the place must be a constant where it is read. */
	switch (arguments) {
	case 1:
		return left(SLOT(context, 1));
	case 2:
		return left(SLOT(context, 2));
	case 3:
		return left(SLOT(context, 3));
	case 4:
		return left(SLOT(context, 4));
	case 6:
		return left(SLOT(context, 6));
	}
	return 0;
}

SEC("fexit/vfs_unlink")
int fexit_unlink(void *context)
{
	return left_with(context, settings.unlink_arguments);
}

SEC("fexit/vfs_rmdir")
int fexit_rmdir(void *context)
{
	return left_with(context, settings.rmdir_arguments);
}

SEC("fexit/vfs_rename")
int fexit_rename(void *context)
{
	return left_with(context, settings.rename_arguments);
}

SEC("fexit/do_unlinkat")
int fexit_do_unlinkat(void *context)
{
	return returned(SLOT(context, 2));
}

SEC("fexit/do_rmdir")
int fexit_do_rmdir(void *context)
{
	return returned(SLOT(context, 2));
}

/* As the two are called since 7.0. */
SEC("fexit/filename_unlinkat")
int fexit_filename_unlinkat(void *context)
{
	return returned(SLOT(context, 2));
}

SEC("fexit/filename_rmdir")
int fexit_filename_rmdir(void *context)
{
	return returned(SLOT(context, 2));
}

/* io_uring begins a deletion: the names, should it fail. */
SEC("fentry/io_unlinkat")
int fentry_io_unlinkat(void *context)
{
	return submitted(POINTER(context, 0));
}

/* Where not every return is seen. Of all four. */
SEC("kprobe/do_unlinkat")
int note_call(struct pt_regs *context)
{
	ended();
	begin_call(NOTE_OF_KPROBE);
	return 0;
}

/* Where that may not be run, and nothing counts it. */
static __always_inline int note_hidden(void)
{
	if (is_noted())
		return 0;
	ended();
	begin_hidden_call();
	return 0;
}

SEC("fentry/do_unlinkat")
int hidden_unlink(void *context)
{
	return note_hidden();
}

SEC("fentry/do_rmdir")
int hidden_rmdir(void *context)
{
	return note_hidden();
}

/* What is noted from here on is of this rename. */
SEC("fentry/do_renameat2")
int begin_rename(void *context)
{
	return ended();
}

/* Behind the kprobe that notes the place. */
SEC("fentry/security_path_rename")
int hidden_path_rename(void *context)
{
	struct asked asked = {POINTER(context, 1), POINTER(context, 3), SLOT(context, 4)};
	__u64 thread = bpf_get_current_pid_tgid();

	if (replaces(&asked) && !bpf_map_lookup_elem(&deletions, &thread) && !is_called())
		begin_hidden_call();
	return 0;
}

/* Likewise behind the one that sees the place entered. Renames that the kernel makes for itself have none. */
SEC("fentry/vfs_rename")
int hidden_rename(void *context)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion = bpf_map_lookup_elem(&deletions, &thread);
	struct asked asked;

	if (!deletion || deletion->depth || is_called())
		return 0;
	asked = asked_with(context);
	if (deletion->place.dentry == asked.target && replaces(&asked))
		begin_hidden_call();
	return 0;
}

SEC("kprobe/security_path_unlink")
int kprobe_path_unlink(struct pt_regs *context)
{
	return placed(EBEE_UNLINK, PT_REGS_PARM1(context), PT_REGS_PARM2(context));
}

SEC("kprobe/security_path_rmdir")
int kprobe_path_rmdir(struct pt_regs *context)
{
	return placed(EBEE_RMDIR, PT_REGS_PARM1(context), PT_REGS_PARM2(context));
}

SEC("kprobe/security_path_rename")
int kprobe_path_rename(struct pt_regs *context)
{
	return placed_rename(PT_REGS_PARM1(context), PT_REGS_PARM2(context), PT_REGS_PARM3(context),
			     PT_REGS_PARM4(context));
}

/* Of all three: the daemon attaches it to each. */
SEC("kretprobe/security_path_unlink")
int kretprobe_path(struct pt_regs *context)
{
	return (int)PT_REGS_RC(context) ? forget() : 0;
}

SEC("kprobe/io_unlinkat")
int kprobe_io_unlinkat(struct pt_regs *context)
{
	return submitted(PT_REGS_PARM1(context));
}

/* Of unlink and rmdir. */
SEC("kprobe/vfs_unlink")
int kprobe_entered(struct pt_regs *context)
{
	__u64 second = PT_REGS_PARM2(context), third = PT_REGS_PARM3(context);

	/* Both are read first: the place must be a constant where it is read. */
	asm volatile("" : "+r"(second), "+r"(third));
	return entered(settings.dentry_argument == 1 ? second : third);
}

SEC("kprobe/vfs_rename")
int kprobe_rename(struct pt_regs *context)
{
	if (settings.rename_arguments == 1)
		return entered_rename(asked_by(PT_REGS_PARM1(context)));
	return entered_rename((struct asked){PT_REGS_PARM2(context), PT_REGS_PARM4(context), context->r9});
}

/* Of all three. */
SEC("kretprobe/vfs_unlink")
int kretprobe_left(struct pt_regs *context)
{
	return left(PT_REGS_RC(context));
}

/* Of all four. */
SEC("kretprobe/do_unlinkat")
int kretprobe_returned(struct pt_regs *context)
{
	return returned(PT_REGS_RC(context));
}

/* ------ System call tracepoints ------ */

static __always_inline int started(__u16 how, int directory, __u64 name, int source_directory,
				   __u64 source_name)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion;

	give_up(bpf_map_lookup_elem(&deletions, &thread));
	deletion = begin_deletion(how);
	if (!deletion)
		return 0;
	open_deletion(deletion);
	deletion->name = name;
	deletion->source_name = source_name;
	deletion->directory = directory;
	deletion->source_directory = source_directory;
	return look_up_names(thread);
}

/* A 32-bit system call, which was not seen to begin. */
static __always_inline struct deletion *begin_32_bit_call(void)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion;
	struct call call = {};

	if (!read_call(&call))
		return 0;
	give_up(bpf_map_lookup_elem(&deletions, &thread));
	switch (call.kind) {
	case CALL_UNLINK:
		deletion = begin_deletion(EBEE_UNLINK);
		break;
	case CALL_RMDIR:
		deletion = begin_deletion(EBEE_RMDIR);
		break;
	case CALL_RENAME:
		deletion = begin_deletion(EBEE_RENAME);
		break;
	default:
		return 0;
	}
	if (!deletion)
		return 0;
	deletion->name = call.name;
	deletion->directory = call.directory;
	deletion->source_name = call.source_name;
	deletion->source_directory = call.source_directory;
	return deletion;
}

/* Whether this thread is in a system call that deletes. */
static __always_inline bool is_deletion(void)
{
	struct call call = {};

	return read_call(&call) &&
	       (call.kind == CALL_UNLINK || call.kind == CALL_RMDIR || call.kind == CALL_RENAME);
}

/* What this thread is deleting, or asked to delete by io_uring. */
static __always_inline struct deletion *current_deletion(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion;

	if (BPF_CORE_READ(task, flags) & PF_IO_WORKER)
		return find_deletion(current_request(task));
	deletion = bpf_map_lookup_elem(&deletions, &thread);
	if (!deletion && settings.calls_32_bit && in_32_bit_call(task))
		return begin_32_bit_call();
	return deletion;
}

static __always_inline __u64 alias_offset(void)
{
	struct dentry *dentry = 0;

	if (bpf_core_field_exists(dentry->d_alias))
		return bpf_core_field_offset(struct dentry, d_alias);
	return bpf_core_field_offset(struct dentry___before_7_0, d_u.d_alias);
}

/* Remembers an inode that the deletion under way in this thread changes, before its names are cut; `alias` is one of them. */
__noinline int remember(__u64 inode_address, __u64 alias)
{
	struct inode *inode = (struct inode *)inode_address;
	struct deletion *deletion = current_deletion();
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
	read_victim(&slot->victim, inode);
	slot->aliases[0] = alias;
	if (alias)
		return 0;
	node = BPF_CORE_READ(inode, i_dentry.first);
	for (int i = 0, found = 0; i < 8 && node; i++) {
		struct dentry *dentry = (void *)node - alias_offset();

		/* A name that is being removed is held; one that is only cached is not. */
		if (BPF_CORE_READ(dentry, d_lockref.count) > 0) {
			slot->aliases[found & 1] = (__u64)dentry;
			if (found++)
				break;
		}
		node = BPF_CORE_READ(node, next);
	}
	return 0;
}

/*
 * overlayfs changes the directory but not the file, where that is in a lower layer only: what is held in the
 * directory may be it.
 */
__noinline int remember_children(__u64 inode_address)
{
	struct inode *inode = (struct inode *)inode_address;
	struct dentry *directory = (void *)BPF_CORE_READ(inode, i_dentry.first) - alias_offset(), *child = 0;
	struct hlist_node *node;

	if (!bpf_core_field_exists(child->d_sib))
		return 0;
	node = BPF_CORE_READ(directory, d_children.first);
	for (int i = 0; i < CHILDREN_MAX && node; i++) {
		child = (void *)node - bpf_core_field_offset(struct dentry, d_sib);
		if (BPF_CORE_READ(child, d_lockref.count) > 0 && BPF_CORE_READ(child, d_inode))
			remember((__u64)BPF_CORE_READ(child, d_inode), (__u64)child);
		node = BPF_CORE_READ(child, d_sib.next);
	}
	return 0;
}

/* An inode changes: one that this thread is deleting, or its directory, or what nobody deletes. */
static __always_inline int touched(__u64 inode_address)
{
	struct inode *inode = (struct inode *)inode_address;
	struct deletion *deletion = current_deletion();

	if (!deletion)
		return 0;
	deletion->touches_followed++;
	remember(inode_address, 0);
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFDIR &&
	    BPF_CORE_READ(inode, i_sb, s_magic) == OVERLAYFS_SUPER_MAGIC)
		remember_children(inode_address);
	return 0;
}

static __always_inline int finished(long result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct deletion *deletion = bpf_map_lookup_elem(&deletions, &thread);

	if (!deletion)
		return 0;
	report(thread, result);
	close_deletion(deletion);
	bpf_map_delete_elem(&deletions, &thread);
	return 0;
}

SEC("tp/syscalls/sys_enter_unlink")
int enter_unlink(struct syscall_trace_enter *context)
{
	return started(EBEE_UNLINK, AT_FDCWD, context->args[0], 0, 0);
}

SEC("tp/syscalls/sys_enter_unlinkat")
int enter_unlinkat(struct syscall_trace_enter *context)
{
	return started(context->args[2] & AT_REMOVEDIR ? EBEE_RMDIR : EBEE_UNLINK, context->args[0],
		       context->args[1], 0, 0);
}

SEC("tp/syscalls/sys_enter_rmdir")
int enter_rmdir(struct syscall_trace_enter *context)
{
	return started(EBEE_RMDIR, AT_FDCWD, context->args[0], 0, 0);
}

SEC("tp/syscalls/sys_enter_rename")
int enter_rename(struct syscall_trace_enter *context)
{
	return started(EBEE_RENAME, AT_FDCWD, context->args[1], AT_FDCWD, context->args[0]);
}

SEC("tp/syscalls/sys_enter_renameat")
int enter_renameat(struct syscall_trace_enter *context)
{
	return started(EBEE_RENAME, context->args[2], context->args[3], context->args[0], context->args[1]);
}

SEC("tp/syscalls/sys_enter_renameat2")
int enter_renameat2(struct syscall_trace_enter *context)
{
	/* An exchange deletes nothing (rename(2)). */
	if (context->args[4] & RENAME_EXCHANGE)
		return ended();
	return started(EBEE_RENAME, context->args[2], context->args[3], context->args[0], context->args[1]);
}

/* The exits are all alike: the daemon attaches this one to each, so that it is verified once. */
SEC("tp/syscalls/sys_exit_unlink")
int exit_call(struct syscall_trace_exit *context)
{
	return finished(context->ret);
}

/*
 * A system call returns, any of any process: the only way to see the end of those that 32-bit programs make. It stays
 * short for all others.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(exit_32_bit, struct pt_regs *registers, long result)
{
	__u64 thread;

	if (!is_in_32_bit_call())
		return 0;
	thread = bpf_get_current_pid_tgid();
	if (bpf_map_lookup_elem(&deletions, &thread)) {
		/* Or it is another one, whose end was not seen. */
		if (!is_deletion())
			return ended();
	} else if (!begin_32_bit_call()) {
		return 0; /* nothing was touched, but for what failed, or where a filesystem sets no time */
	}
	return finished(result);
}

/*
 * A system call begins, any of any process. Only where names are looked up: by the end of a 32-bit system call the name is another
 * file's.
 */
SEC("tp_btf/sys_enter")
int BPF_PROG(enter_32_bit, struct pt_regs *registers, long number)
{
	if (is_in_32_bit_call() && begin_32_bit_call())
		look_up_names(bpf_get_current_pid_tgid());
	return 0;
}

static __always_inline int completed(__u64 address, int result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct io_kiocb *request = (struct io_kiocb *)address;
	__u8 operation;

	if (!address)
		return 0;
	operation = BPF_CORE_READ(request, opcode);
	if (operation != IORING_OP_UNLINKAT && operation != IORING_OP_RENAMEAT)
		return 0;
	if (find_deletion(address))
		report(address, result);
	else if (operation == IORING_OP_UNLINKAT && (!result || settings.report_failed) &&
		 daemon.is_in_charge && reported_pid(task))
		count_missed(); /* of a rename nobody knows whether it replaced anything */
	bpf_map_delete_elem(&requests, &address);
	return 0;
}

/*
 * Where programs of tracepoints can be interrupted by other threads, and are then not run for those (Linux 7.0), the perf events of
 * the same tracepoints, whose programs can't.
 */
SEC("tp/io_uring/io_uring_submit_req")
int submit_event(struct trace_event_raw_io_uring_submit_req *context)
{
	return submitted((__u64)BPF_CORE_READ(context, req));
}

SEC("tp/io_uring/io_uring_complete")
int complete_event(struct trace_event_raw_io_uring_complete *context)
{
	return completed((__u64)BPF_CORE_READ(context, req), BPF_CORE_READ(context, res));
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(submit_req, struct io_kiocb *request)
{
	return submitted(address_of(request));
}

/* As it is called before 6.3. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(submit_sqe, struct io_kiocb *request)
{
	return submitted(address_of(request));
}

/* Before 6.0, and in Debian's 5.10, which has the io_uring of 5.15. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(submit_sqe_of_ring, void *ring, void *request)
{
	return submitted((__u64)request);
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(complete_entry, void *ring, void *request, struct io_uring_cqe *entry)
{
	return completed((__u64)request, BPF_CORE_READ(entry, res));
}

/* As its arguments are before 6.13. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(complete_values, void *ring, void *request, __u64 user_data, int result)
{
	return completed((__u64)request, result);
}

/* As they are before 5.16: no request, but it is the thread that did the work which completes it. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(complete_work, void *ring, __u64 user_data, int result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (!(BPF_CORE_READ(task, flags) & PF_IO_WORKER))
		return 0;
	return completed(current_request(task), result);
}

/* ext4 writes an inode down: the one that loses a name too. */
SEC("tp_btf/ext4_mark_inode_dirty")
int BPF_PROG(touch_ext4, struct inode *inode)
{
	return touched(address_of(inode));
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

/*
 * Likewise the perf events of these three, which do not tell the inode: only that a touch was not followed, and so perhaps the file that
 * a rename replaced not seen.
 */
SEC("tp/timestamp/inode_set_ctime_to_ts")
int note_touch(void *context)
{
	struct deletion *deletion = current_deletion();

	if (deletion)
		deletion->touches++;
	return 0;
}
