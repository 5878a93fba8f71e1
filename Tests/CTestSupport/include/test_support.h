// SPDX-License-Identifier: Apache-2.0
// What tests need of C.
#ifndef EBEE_TEST_SUPPORT_H
#define EBEE_TEST_SUPPORT_H

#include <stdint.h>
#include <sys/types.h>

/// How many times the calling thread has allocated memory. malloc(3) and its kin are defined here, in front of glibc's,
/// for the tests' own executable and every library in it, and pass on to them.
uint64_t ebee_allocations(void);

/// Runs a program in a directory (posix_spawn_file_actions_addchdir_np(3) needs _GNU_SOURCE). Its standard input is a
/// pipe, whose other end goes to `input`. Its pid, or -errno.
pid_t ebee_spawn(const char *const *arguments, const char *directory, int *input);

/// In a child named `leader`, a thread named `worker` unlinks a file. The child's pid, once it has ended, or -errno.
pid_t ebee_unlink_in_thread(const char *path);

/// Connects to a Unix socket from a child that has become that user for good: what the kernel then says of the peer is
/// this user, these groups. The descriptor, or -errno.
int ebee_connect_as(const char *path, uid_t uid, gid_t gid, const gid_t *groups, unsigned count);

/// A thread of another process stands still, and only it, until the calling thread thaws it or ends (ptrace(2)). 0 or
/// -errno.
int ebee_freeze(pid_t thread);

/// Sends a signal to one thread of a process (tgkill(2)). 0 or -errno.
int ebee_signal_thread(pid_t process, pid_t thread, int number);

/// Lets it go on.
void ebee_thaw(pid_t thread);

#endif
