/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The records that the BPF programs write, that the window holds and that Swift reads: one layout, defined here
 * and nowhere else. A record is a fixed struct followed by variable parts, back to back, whose lengths the struct
 * gives in the order of the parts. Integers have the machine's byte order. Padding is named.
 *
 * A path is its components, innermost first, each followed by a NUL: "x\0app\0srv\0" is /srv/app/x, no
 * component at all is "/". This is the order in which the kernel's tree is walked; it is turned round when
 * somebody asks.
 */
#ifndef EBEE_EVENTS_H
#define EBEE_EVENTS_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* Counted up when a struct below changes, so that a window never meets records of another layout. */
#define EBEE_LAYOUT 4

/* No record is longer, whatever its parts. */
#define EBEE_RECORD_MAX 65536
/* Longest path that the kernel hands out (PATH_MAX), its NUL included. */
#define EBEE_PATH_MAX 4096
/* Upper bound of the setting that limits the bytes of arguments. */
#define EBEE_ARGUMENTS_MAX 32768
#define EBEE_ANCESTORS_MAX 8
/*
 * Records that one cpu can put together at a time: where the kernel can be preempted, a thread in a trampoline gives way to others
 * (migration is off there, preemption is not: kernel/bpf/trampoline.c). A lane has one record and one sequence.
 */
#define EBEE_LANES 2
#define EBEE_COMM_LENGTH 16
#define EBEE_TTY_LENGTH 32

/* An identity that isn't there: no login user, no audit session (the kernel's own value, (uid_t)-1). */
#define EBEE_NO_ID 0xffffffffu

enum ebee_kind {
	EBEE_EXEC = 1, /* struct ebee_process: a program was, or was not, executed */
	EBEE_EXIT =
		2, /* struct ebee_exit: the process of an earlier EBEE_EXEC is gone; never in the window */
	EBEE_DELETE = 3, /* struct ebee_delete: a file was, or was not, deleted */
	EBEE_PROCESS =
		4, /* struct ebee_process: who performs the deletions that follow; not an event of its own */
	EBEE_LOST = 5, /* struct ebee_lost: written by the daemon where records are missing */
	EBEE_DOUBLE =
		6, /* struct ebee_double: written by the daemon in place of an event that is in the window already */
};

struct ebee_header {
	__u32 size; /* of the whole record, a multiple of 8 */
	__u16 kind; /* enum ebee_kind */
	__u16 lane; /* cpu * EBEE_LANES + which of its lanes */
	__u64 sequence; /* of events in this lane, from 1, without a gap unless one was lost; 0 on a record that is no event */
	__u64 time; /* ns of boot time (CLOCK_BOOTTIME) */
	__u32 pid;  /* the process (tgid), as the pid namespace of the daemon sees it */
	__u32 tid;  /* the thread, likewise */
};

enum ebee_process_flag {
	EBEE_ARGUMENTS_CUT = 1 << 0,	/* more bytes than the limit: the end is missing */
	EBEE_ARGUMENTS_UNREAD = 1 << 1, /* their memory could not be read */
	EBEE_EXECUTABLE_CUT = 1 << 2,	/* longer than EBEE_PATH_MAX: the outermost components are missing */
	EBEE_DIRECTORY_CUT = 1 << 3,
	EBEE_CGROUP_CUT = 1 << 4,
	EBEE_NO_PARENT = 1 << 5,	/* the parent is outside of the daemon's pid namespace */
	EBEE_COUNT_KNOWN = 1 << 6,	/* arguments_count is the kernel's own */
	EBEE_EXECUTABLE_KNOWN = 1 << 7, /* a path of no components is "/" only with these */
	EBEE_DIRECTORY_KNOWN = 1 << 8,
	EBEE_CGROUP_KNOWN = 1 << 9,
	EBEE_INTERPRETER_KNOWN = 1 << 10,
	EBEE_ARGUMENTS_REDACTED = 1 << 11, /* set by the daemon: "***" stands for a secret */
};

/* A process. Parts: ancestors, executable, directory, cgroup, interpreter, arguments. */
struct ebee_process {
	struct ebee_header header;
	__u64 start;	     /* boot time at which the process started; with its pid, its identity */
	__u64 exit_duration; /* filled in by the daemon after an EBEE_EXIT: ns from execution to exit, 0 until then */
	__u32 exit_status; /* likewise: EBEE_EXITED | what wait(2) gives; 0 until then */
	__u32 flags;	   /* enum ebee_process_flag */
	__u32 ppid;
	__u32 uid;
	__u32 euid;
	__u32 gid;
	__u32 login_uid;  /* EBEE_NO_ID where there is none */
	__u32 session_id; /* audit session, EBEE_NO_ID where there is none */
	__u32 pid_namespace;
	__u32 mnt_namespace;
	__u32 arguments_count; /* of all arguments, also of those cut off; see EBEE_COUNT_KNOWN */
	__u32 ancestors;       /* how many struct ebee_ancestor, the parent first */
	__u32 executable_length;
	__u32 directory_length;
	__u32 cgroup_length;
	__u32 interpreter_length;
	__u32 arguments_length; /* each argument ends with a NUL */
	__s32 result;		/* of an execution: 0 or a negative errno, see below */
	char comm[EBEE_COMM_LENGTH];
	char tty[EBEE_TTY_LENGTH]; /* empty where there is none */
};

/*
 * Of an execution that failed (`result` is not 0) executable, interpreter and arguments are those that it asked for: the
 * executable is `interpreter`, as the system call was given it, seen from `executable`. All else is the process as it still is.
 */

/* Set in exit_status once the exit is known, above wait(2)'s 16 bits. */
#define EBEE_EXITED 0x10000u

struct ebee_ancestor {
	__u32 pid;
	char comm[EBEE_COMM_LENGTH];
};

struct ebee_exit {
	struct ebee_header header;
	__u64 start;
	__u64 duration;
	__u32 status; /* as wait(2) gives it */
	__u32 padding;
};

/* What is known of a file that was deleted, as it was just before. */
struct ebee_victim {
	__u64 inode;
	__u64 size;
	__s64 mtime_seconds; /* since the epoch */
	__s64 created_seconds;
	__u32 mtime_nanoseconds;
	__u32 created_nanoseconds;
	__u32 device; /* the kernel's dev_t: major << 20 | minor */
	__u32 mode;   /* type and permissions, as st_mode */
	__u32 owner;
	__u32 group;
	__u32 links; /* left after the deletion */
	__u32 flags; /* enum ebee_victim_flag */
};

enum ebee_victim_flag {
	EBEE_VICTIM_KNOWN = 1 << 0,
	EBEE_LINKS_KNOWN = 1 << 1,
	EBEE_CREATED_KNOWN = 1 << 2,
	EBEE_SIZE_UNKNOWN = 1 << 3, /* of a directory that the filesystem had emptied when it was looked at */
};

enum ebee_how { EBEE_UNLINK = 1, EBEE_RMDIR = 2, EBEE_RENAME = 3 };
enum ebee_via { EBEE_SYSCALL = 1, EBEE_IO_URING = 2 };

enum ebee_delete_flag {
	EBEE_NAME_UNREAD = 1 << 0,   /* the memory that holds the name could not be read */
	EBEE_BASE_CUT = 1 << 1,	     /* the outermost components of `base` are missing */
	EBEE_BASE_UNKNOWN = 1 << 2,  /* the directory descriptor was gone */
	EBEE_SOURCE_UNREAD = 1 << 3, /* the same of the source of a rename */
	EBEE_SOURCE_BASE_CUT = 1 << 4,
	EBEE_SOURCE_BASE_UNKNOWN = 1 << 5,
	/* What its process has become found the ring full: an older description is of somebody else. */
	EBEE_PROCESS_LOST = 1 << 6,
};

/*
 * A deletion. Parts: base, name, source base, source name. The deleted file is `name`, as the system call was
 * given it, seen from `base`; the source is what replaced it, of a rename only.
 */
struct ebee_delete {
	struct ebee_header header;
	__u64 start; /* of the process */
	__u64 process; /* filled in by the daemon: position in the window of the EBEE_PROCESS, 0 where there is none */
	struct ebee_victim victim;
	/* Of the thread that deleted: those of one process may have others. */
	__u32 uid;
	__u32 euid;
	__s32 result; /* 0 or a negative errno */
	__u16 how;    /* enum ebee_how */
	__u16 via;    /* enum ebee_via */
	__u32 flags;  /* enum ebee_delete_flag */
	__u32 base_length;
	__u32 name_length;
	__u32 source_base_length;
	__u32 source_name_length;
	__u32 padding;
	char comm[EBEE_COMM_LENGTH];
};

enum ebee_why { EBEE_RING_FULL = 1, EBEE_MISSED = 2, EBEE_EVICTED = 3, EBEE_RESTART = 4 };

/* Records that are not there: `count` events between `from` and `to` (boot time). The header's time is `to`. */
struct ebee_lost {
	struct ebee_header header;
	__u64 count;
	__u64 from;
	__u64 to;
	__u32 why; /* enum ebee_why */
	__u32 padding;
};

/* An event that programs saw after those whose place they took had seen it too. The header is its own, but for `sequence`. */
struct ebee_double {
	struct ebee_header header;
	__u64 sequence;
	__u64 key; /* what it is told apart by */
};

/* What the daemon tells a program before it is loaded: the section .rodata.settings. */
struct ebee_settings {
	__u64 cgroup_root;     /* inode number of the root of the mounted cgroup tree */
	__u32 pid_namespace;   /* inode number of the daemon's */
	__u32 arguments_limit; /* bytes, at most EBEE_ARGUMENTS_MAX */
	__u32 report_failed;   /* 1: also what fails */
	/* How this kernel's functions are called, of the rungs that hook them: */
	__u32 dentry_argument;	/* of vfs_unlink() and vfs_rmdir(): the place of the dentry, from 0 */
	__u32 unlink_arguments; /* how many vfs_unlink() has */
	__u32 rmdir_arguments;
	__u32 rename_arguments;
	__u32 calls_32_bit; /* 1: 32-bit system calls are seen when they end */
	__u32 look_up;	    /* 1: names are looked up in the kernel's cache: nothing else tells the file */
	__u32 few_returns;  /* 1: not every return is seen, so that calls are noted where they begin */
};

/* What can change while a program is attached: the section .data.daemon, which the daemon maps. */
struct ebee_daemon {
	__u32 pid; /* the daemon that reads now, as its own pid namespace sees it; what it does is not reported */
	/* 1: what begins now must be seen to end, for all programs are attached, and no others take their place. */
	__u32 is_in_charge;
};

/* One per lane and object, in the map `accounts`, which the daemon maps. Each has a cache line to itself. */
struct ebee_account {
	__u64 sequence; /* of the newest event */
	__u64 lost;	/* of these, how many found the ring full */
	__u64 missed; /* events that had no place to be remembered in while their system call was under way */
	__u64 unjoined; /* records that are no events (EBEE_EXIT, EBEE_PROCESS) and found the ring full */
	/*
	 * Calls that began while the programs were in charge, less those that ended or were counted as missed. They end on any cpu:
	 * the sum over all lanes is a number, each by itself is not.
	 */
	__u64 open;
	__u64 hidden; /* calls that were noted because kprobes were not run for them */
	__u64 padding[2];
};

#ifdef __cplusplus
#define EBEE_ASSERT_SIZE(type, size) static_assert(sizeof(type) == (size), #type)
#else
#define EBEE_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif
EBEE_ASSERT_SIZE(struct ebee_header, 32);
EBEE_ASSERT_SIZE(struct ebee_process, 168);
EBEE_ASSERT_SIZE(struct ebee_ancestor, 20);
EBEE_ASSERT_SIZE(struct ebee_exit, 56);
EBEE_ASSERT_SIZE(struct ebee_victim, 64);
EBEE_ASSERT_SIZE(struct ebee_delete, 168);
EBEE_ASSERT_SIZE(struct ebee_lost, 64);
EBEE_ASSERT_SIZE(struct ebee_double, 48);
EBEE_ASSERT_SIZE(struct ebee_settings, 48);
EBEE_ASSERT_SIZE(struct ebee_daemon, 8);
EBEE_ASSERT_SIZE(struct ebee_account, 64);

#endif
