// SPDX-License-Identifier: Apache-2.0
/*
 * One request through io_uring, with the system calls themselves: liburing would be one more thing to install, for
 * what is a page of code when there is one request and one answer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "act.h"

static void *map(int ring, size_t size, off_t offset)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, offset);
}

int through_uring(const char *name, const char *path, const char *other)
{
    struct io_uring_params parameters = { 0 };
    int ring = syscall(SYS_io_uring_setup, 1, &parameters);
    struct io_uring_sqe *request;
    struct io_uring_cqe *answers;
    uint8_t *submissions, *completions;
    uint32_t *tail;

    if (ring < 0)
        return -1;
    submissions = map(ring, parameters.sq_off.array + parameters.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
    completions = map(ring, parameters.cq_off.cqes + parameters.cq_entries * sizeof(*answers), IORING_OFF_CQ_RING);
    request = map(ring, parameters.sq_entries * sizeof(*request), IORING_OFF_SQES);
    if (submissions == MAP_FAILED || completions == MAP_FAILED || (void *)request == MAP_FAILED)
        return -1;

    memset(request, 0, sizeof(*request));
    request->fd = AT_FDCWD;
    request->addr = (uintptr_t)path;
    if (!strcmp(name, "rename")) {
        request->opcode = IORING_OP_RENAMEAT;
        request->len = (uint32_t)AT_FDCWD;
        request->addr2 = (uintptr_t)other;
    } else {
        request->opcode = IORING_OP_UNLINKAT;
        request->unlink_flags = strcmp(name, "rmdir") ? 0 : AT_REMOVEDIR;
    }
    ((uint32_t *)(submissions + parameters.sq_off.array))[0] = 0;
    tail = (uint32_t *)(submissions + parameters.sq_off.tail);
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        return -1;

    answers = (struct io_uring_cqe *)(completions + parameters.cq_off.cqes);
    if (answers[0].res < 0) {
        errno = -answers[0].res;
        return -1;
    }
    close(ring);
    return 0;
}
