// SPDX-License-Identifier: Apache-2.0
/*
 * The system calls of i386, which a 64-bit program may make as well: the kernel takes another way in, and the pointers
 * must fit into 32 bits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "act.h"

#ifdef __x86_64__

/* arch/x86/entry/syscalls/syscall_32.tbl; <asm/unistd_32.h> can't be included beside the 64-bit numbers. */
enum {
    I386_UNLINK = 10,
    I386_EXECVE = 11,
    I386_RENAME = 38,
    I386_RMDIR = 40,
    I386_UNLINKAT = 301,
    I386_RENAMEAT = 302,
    I386_RENAMEAT2 = 353
};

static long call(long number, long first, long second, long third, long fourth)
{
    long result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(first), "c"(second), "d"(third), "S"(fourth), "D"(0L)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
}

/* A copy below 4 GiB. */
static long low(const char *path)
{
    char *copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

    if (!path || copy == MAP_FAILED)
        return 0;
    return (long)strncpy(copy, path, 4095);
}

/* An argument or none, and NULL, as 32-bit pointers below 4 GiB. */
static long vector(long argument)
{
    uint32_t pointers[2] = { (uint32_t)argument, 0 };
    char *copy = (char *)low("");

    return copy ? (long)memcpy(copy, pointers, sizeof(pointers)) : 0;
}

int through_i386(const char *name, const char *path, const char *other)
{
    long first = low(path), second = low(other), result = -EINVAL;

    if (!strcmp(name, "unlink"))
        result = call(I386_UNLINK, first, 0, 0, 0);
    else if (!strcmp(name, "execve"))
        result = call(I386_EXECVE, first, vector(first), vector(0), 0);
    else if (!strcmp(name, "rmdir"))
        result = call(I386_RMDIR, first, 0, 0, 0);
    else if (!strcmp(name, "rename"))
        result = call(I386_RENAME, first, second, 0, 0);
    else if (!strcmp(name, "unlinkat"))
        result = call(I386_UNLINKAT, AT_FDCWD, first, 0, 0);
    else if (!strcmp(name, "renameat"))
        result = call(I386_RENAMEAT, AT_FDCWD, first, AT_FDCWD, second);
    else if (!strcmp(name, "renameat2"))
        result = call(I386_RENAMEAT2, AT_FDCWD, first, AT_FDCWD, second); /* flags: edi, 0 */
    /* The sign of 32 bits. */
    if ((int)result < 0) {
        errno = -(int)result;
        return -1;
    }
    return 0;
}

#else

int through_i386(const char *name, const char *path, const char *other)
{
    (void)name, (void)path, (void)other;
    errno = ENOSYS;
    return -1;
}

#endif
