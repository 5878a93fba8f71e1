// SPDX-License-Identifier: Apache-2.0
#ifndef EBEE_ACT_H
#define EBEE_ACT_H

#include <stdbool.h>

/* What follows the word at hand, up to NULL; and the one of it with this index, or the usage. */
extern char **arguments;
const char *argument(int index);

/* Set by prefixes: the action is a second thread's; what is deleted is printed before. */
extern bool on_thread, describes;

/* Obeys a prefix: how many words it takes; 0 if the word is none. */
int prefix(const char *name);

/* The ids of this thread, as those who started this program know them; the first before anything else. */
void remember_process_ids(void);
void own_ids(int *pid, int *tid);

/* Both take one of unlink, rmdir, rename; `other` is the new name of a rename. They return 0, or -1 and errno. */

/* Through io_uring: no system call of this thread deletes, a worker of the kernel does. */
int through_uring(const char *name, const char *path, const char *other);

/* Through the system calls of i386, and also unlinkat, renameat, renameat2; there, of paths that begin where `.` does.
 */
int through_i386(const char *name, const char *path, const char *other);

/*
 * Prints the nanoseconds that one getppid(2) takes in the best of many batches. Where a virtual machine lets each
 * instruction take one nanosecond, it is the number of instructions.
 */
int count_getppid(int count);

/*
 * Lets so many threads be in one unlink(2), rename(2) or execve(2) each at the same time, and says how many of each it
 * made: as ebee-load does, on one line of JSON. One more deletion is that of its directory.
 */
int crowd(int count);

/* Reads a map of BPF again and again until it is killed. */
int use_maps(void);

/*
 * So many threads in one unlink(2) at the same time, which then do nothing any more, and as many more that stay in
 * theirs: says "ready" on standard error then, and lets them go on when SIGUSR1 comes; until then it deletes a file
 * every millisecond. In the end it says what crowd() does.
 */
int linger(int count);

#endif
