// SPDX-License-Identifier: Apache-2.0
// What Swift's Glibc module doesn't offer, one function each, no logic.
#ifndef EBEE_LINUX_SHIM_H
#define EBEE_LINUX_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// The symbol of an errno (`EPERM`), NULL for a number that has none. strerrorname_np(3) needs _GNU_SOURCE.
const char *ebee_errno_name(int number);

/// An anonymous memory file (memfd_create(2), which needs _GNU_SOURCE) of `size` bytes, closed on exec; -1 and errno.
int ebee_memory_file(const char *name, size_t size);

/// Mounts a pseudo filesystem; mount(2)'s flags are macros that Swift can't see. 0, or -1 and errno.
int ebee_mount_tracefs(const char *target);
int ebee_unmount(const char *target);

/// The magic number of the filesystem that holds `path` (statfs(2)); 0 and errno where there is none.
unsigned long ebee_filesystem(const char *path);

/// A full barrier (C11 seq_cst fence).
void ebee_fence(void);

/// Large blocks of memory come from the system and go back to it when they are freed, whatever came before: without
/// this, glibc keeps what the first ones freed (mallopt(3), M_MMAP_THRESHOLD). Before the first thread.
void ebee_return_large_blocks(void);
/// Gives memory that the heap no longer uses back to the system (malloc_trim(3)).
void ebee_trim_heap(void);

/// Names the calling thread for ps and gdb (pthread_setname_np, _GNU_SOURCE); at most 15 bytes count.
void ebee_name_thread(const char *name);

/// Bind a listening socket at `path` with the mode: created in place with that mode, never wider for a moment (umask).
/// The descriptor, or -1 and errno.
int ebee_listen(const char *path, unsigned mode, int backlog);

/// True when something accepts connections on the Unix socket at `path`; false when nobody does (ECONNREFUSED, ENOENT);
/// on another error false, with errno set to it, else 0.
bool ebee_answers(const char *path);

/// Accepts a connection: the new descriptor is non-blocking and closed on exec (accept4(2), which needs _GNU_SOURCE).
int ebee_accept(int listener);

/// Who connected, as it was then (SO_PEERCRED, whose struct ucred Swift can't see). 0, or -1 and errno: ENODATA where
/// the kernel doesn't know, which getsockopt(2) itself tells only by ids of -1.
int ebee_peer(int socket, pid_t *pid, uid_t *uid, gid_t *gid);

/// The supplementary groups of who connected, as they were then (SO_PEERGROUPS, which the C library's headers lack), up
/// to
/// `*count`, which becomes how many there are. 0, or -1 and errno: ERANGE where there are more.
int ebee_peer_groups(int socket, gid_t *groups, unsigned *count);

/// The same for datagrams: true when somebody holds the Unix socket at `path` to receive them.
bool ebee_receives(const char *path);

/// A deadline for the calling thread's system calls: once set, whatever blocks longer is interrupted (EINTR), again and
/// again until it is set to 0. Uses SIGALRM; sigevent's thread id has no name in glibc's headers. A number, since
/// glibc's timer_t is a pointer that is NULL for the first timer. 0, or the errno.
int ebee_make_deadline(uintptr_t *deadline);
void ebee_set_deadline(uintptr_t deadline, unsigned milliseconds);
void ebee_end_deadline(uintptr_t deadline);

/// The calling thread, and all that it starts from then on, keeps no capability and gains none by executing something
/// (capabilities(7), no_new_privs). 0, or -1 and errno.
int ebee_drop_capabilities(void);

/// Every thread of the process, and what it executes, is refused (EPERM) from now on: the system calls of a fixed list,
/// those of another architecture, opening files to write, and sockets of families other than AF_UNIX (seccomp(2)).
/// Needs no_new_privs. 0; -1 and errno; or the id of a thread that has another filter.
int ebee_refuse_calls(void);

#endif
