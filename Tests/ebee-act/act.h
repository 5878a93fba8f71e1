// SPDX-License-Identifier: Apache-2.0
#ifndef EBEE_ACT_H
#define EBEE_ACT_H

/* Both take one of unlink, rmdir, rename; `other` is the new name of a rename. They return 0, or -1 and errno. */

/* Through io_uring: no system call of this thread deletes, a worker of the kernel does. */
int through_uring(const char *name, const char *path, const char *other);

/* Through the system calls of i386, and also unlinkat, renameat, renameat2; there, of paths that begin where `.` does.
 */
int through_i386(const char *name, const char *path, const char *other);

#endif
