// SPDX-License-Identifier: Apache-2.0
// A library to be preloaded (LD_PRELOAD, ld.so(8)) into a program one call of which is to fail:
// EBEE_FAULT=NAME:NUMBER:ERRNO, where the first call is number 1. EBEE_FAULT_COUNTS names an empty file that gets
// `struct counts`. The first process that finds it is the one that is meant; its children count nothing and fail in
// nothing.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum function {
    OPEN,
    FOPEN,
    MMAP,
    BPF,
    PERF_EVENT_OPEN,
    EPOLL_CREATE,
    EPOLL_CTL,
    EPOLL_WAIT,
    POLL,
    READ,
    WRITE,
    SEND,
    SENDMSG,
    RECV,
    MEMFD_CREATE,
    FTRUNCATE,
    SOCKET,
    BIND,
    LISTEN,
    ACCEPT,
    CONNECT,
    PIPE,
    EVENTFD,
    TIMERFD,
    FCNTL,
    IOCTL,
    STAT,
    ACCESS,
    MKDIR,
    CHMOD,
    CHOWN,
    UNLINK,
    POSIX_SPAWN,
    WAITPID,
    PTHREAD_CREATE,
    GETSOCKOPT,
    SETSOCKOPT,
    TIMER_CREATE,
    SIGACTION,
    FUNCTIONS,
};

static const char *const names[FUNCTIONS] = {
    [OPEN] = "open",
    [FOPEN] = "fopen",
    [MMAP] = "mmap",
    [BPF] = "bpf",
    [PERF_EVENT_OPEN] = "perf_event_open",
    [EPOLL_CREATE] = "epoll_create1",
    [EPOLL_CTL] = "epoll_ctl",
    [EPOLL_WAIT] = "epoll_wait",
    [POLL] = "poll",
    [READ] = "read",
    [WRITE] = "write",
    [SEND] = "send",
    [SENDMSG] = "sendmsg",
    [RECV] = "recv",
    [MEMFD_CREATE] = "memfd_create",
    [FTRUNCATE] = "ftruncate",
    [SOCKET] = "socket",
    [BIND] = "bind",
    [LISTEN] = "listen",
    [ACCEPT] = "accept4",
    [CONNECT] = "connect",
    [PIPE] = "pipe",
    [EVENTFD] = "eventfd",
    [TIMERFD] = "timerfd",
    [FCNTL] = "fcntl",
    [IOCTL] = "ioctl",
    [STAT] = "stat",
    [ACCESS] = "access",
    [MKDIR] = "mkdir",
    [CHMOD] = "chmod",
    [CHOWN] = "lchown",
    [UNLINK] = "unlink",
    [POSIX_SPAWN] = "posix_spawn",
    [WAITPID] = "waitpid",
    [PTHREAD_CREATE] = "pthread_create",
    [GETSOCKOPT] = "getsockopt",
    [SETSOCKOPT] = "setsockopt",
    [TIMER_CREATE] = "timer_create",
    [SIGACTION] = "sigaction",
};

// Faults.swift reads it.
static struct counts {
    _Atomic uint32_t pid;
    // 1 once the call has failed.
    _Atomic uint32_t failed;
    struct {
        char name[16];
        _Atomic uint64_t calls;
    } functions[FUNCTIONS];
} * counts;

static enum function chosen = FUNCTIONS;
static uint64_t chosen_call;
static int chosen_error;

static void choose(const char *fault)
{
    char name[16];
    unsigned long call;

    if (!fault || sscanf(fault, "%15[^:]:%lu:%d", name, &call, &chosen_error) != 3)
        return;
    chosen_call = call;
    for (chosen = 0; chosen < FUNCTIONS && strcmp(names[chosen], name); chosen++)
        ;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("EBEE_FAULT_COUNTS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    uint32_t none = 0;
    struct counts *found;

    if (file < 0 || ftruncate(file, sizeof(*found)) < 0)
        return;
    found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (found == MAP_FAILED || !atomic_compare_exchange_strong(&found->pid, &none, (uint32_t)getpid()))
        return;
    for (int function = 0; function < FUNCTIONS; function++)
        strcpy(found->functions[function].name, names[function]);
    choose(getenv("EBEE_FAULT"));
    counts = found;
}

// Whether this call is the one; then errno is what it is to be.
static bool fails(enum function function)
{
    // A child has the mapping until it executes something else.
    if (!counts || counts->pid != (uint32_t)getpid())
        return false;
    uint64_t call = atomic_fetch_add(&counts->functions[function].calls, 1) + 1;
    if (chosen != function || chosen_call != call)
        return false;
    counts->failed = 1;
    errno = chosen_error;
    return true;
}

#define WRAP(function, failure, type, name, parameters, arguments)                                                     \
    type name parameters                                                                                               \
    {                                                                                                                  \
        static type(*next) parameters;                                                                                 \
                                                                                                                       \
        if (!next)                                                                                                     \
            next = (type(*) parameters)dlsym(RTLD_NEXT, #name);                                                        \
        return fails(function) ? (failure) : next arguments;                                                           \
    }

// Those with arguments that may be missing are passed on with the most that there can be.
#define WRAP_OPEN(name)                                                                                                \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        static int (*next)(const char *, int, ...);                                                                    \
        va_list list;                                                                                                  \
                                                                                                                       \
        if (!next)                                                                                                     \
            next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name);                                           \
        va_start(list, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;                                      \
        va_end(list);                                                                                                  \
        return fails(OPEN) ? -1 : next(path, flags, mode);                                                             \
    }
#define WRAP_OPENAT(name)                                                                                              \
    int name(int directory, const char *path, int flags, ...)                                                          \
    {                                                                                                                  \
        static int (*next)(int, const char *, int, ...);                                                               \
        va_list list;                                                                                                  \
                                                                                                                       \
        if (!next)                                                                                                     \
            next = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, #name);                                      \
        va_start(list, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;                                      \
        va_end(list);                                                                                                  \
        return fails(OPEN) ? -1 : next(directory, path, flags, mode);                                                  \
    }
#define WRAP_CONTROL(function, name, type)                                                                             \
    int name(int file, type command, ...)                                                                              \
    {                                                                                                                  \
        static int (*next)(int, type, ...);                                                                            \
        va_list list;                                                                                                  \
                                                                                                                       \
        if (!next)                                                                                                     \
            next = (int (*)(int, type, ...))dlsym(RTLD_NEXT, #name);                                                   \
        va_start(list, command);                                                                                       \
        void *argument = va_arg(list, void *);                                                                         \
        va_end(list);                                                                                                  \
        return fails(function) ? -1 : next(file, command, argument);                                                   \
    }

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
WRAP_CONTROL(FCNTL, fcntl, int)
WRAP_CONTROL(FCNTL, fcntl64, int)
WRAP_CONTROL(IOCTL, ioctl, unsigned long)

long syscall(long number, ...)
{
    static long (*next)(long, ...);
    long arguments[6];
    va_list list;

    if (!next)
        next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_start(list, number);
    for (int index = 0; index < 6; index++)
        arguments[index] = va_arg(list, long);
    va_end(list);
    // Not futex(2), which can't fail where it is used as it should.
    if (number == SYS_bpf && fails(BPF))
        return -1;
    if (number == SYS_perf_event_open && fails(PERF_EVENT_OPEN))
        return -1;
    return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

WRAP(FOPEN, NULL, FILE *, fopen, (const char *path, const char *mode), (path, mode))
WRAP(FOPEN, NULL, FILE *, fopen64, (const char *path, const char *mode), (path, mode))
WRAP(MMAP, MAP_FAILED, void *, mmap, (void *at, size_t size, int protection, int flags, int file, off_t offset),
     (at, size, protection, flags, file, offset))
WRAP(MMAP, MAP_FAILED, void *, mmap64, (void *at, size_t size, int protection, int flags, int file, off64_t offset),
     (at, size, protection, flags, file, offset))
WRAP(EPOLL_CREATE, -1, int, epoll_create1, (int flags), (flags))
WRAP(EPOLL_CTL, -1, int, epoll_ctl, (int epoll, int operation, int file, struct epoll_event *event),
     (epoll, operation, file, event))
WRAP(EPOLL_WAIT, -1, int, epoll_wait, (int epoll, struct epoll_event *events, int most, int timeout),
     (epoll, events, most, timeout))
WRAP(POLL, -1, int, poll, (struct pollfd * files, nfds_t count, int timeout), (files, count, timeout))
WRAP(READ, -1, ssize_t, read, (int file, void *bytes, size_t count), (file, bytes, count))
WRAP(WRITE, -1, ssize_t, write, (int file, const void *bytes, size_t count), (file, bytes, count))
WRAP(WRITE, -1, ssize_t, writev, (int file, const struct iovec *vectors, int count), (file, vectors, count))
WRAP(SEND, -1, ssize_t, send, (int file, const void *bytes, size_t count, int flags), (file, bytes, count, flags))
WRAP(SENDMSG, -1, ssize_t, sendmsg, (int file, const struct msghdr *message, int flags), (file, message, flags))
WRAP(RECV, -1, ssize_t, recv, (int file, void *bytes, size_t count, int flags), (file, bytes, count, flags))
WRAP(MEMFD_CREATE, -1, int, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(FTRUNCATE, -1, int, ftruncate, (int file, off_t size), (file, size))
WRAP(FTRUNCATE, -1, int, ftruncate64, (int file, off64_t size), (file, size))
WRAP(SOCKET, -1, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(BIND, -1, int, bind, (int file, const struct sockaddr *address, socklen_t length), (file, address, length))
WRAP(LISTEN, -1, int, listen, (int file, int backlog), (file, backlog))
WRAP(ACCEPT, -1, int, accept4, (int file, struct sockaddr *address, socklen_t *length, int flags),
     (file, address, length, flags))
WRAP(CONNECT, -1, int, connect, (int file, const struct sockaddr *address, socklen_t length), (file, address, length))
WRAP(PIPE, -1, int, pipe, (int files[2]), (files))
WRAP(PIPE, -1, int, pipe2, (int files[2], int flags), (files, flags))
WRAP(EVENTFD, -1, int, eventfd, (unsigned value, int flags), (value, flags))
WRAP(TIMERFD, -1, int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(STAT, -1, int, stat, (const char *path, struct stat *status), (path, status))
WRAP(STAT, -1, int, lstat, (const char *path, struct stat *status), (path, status))
WRAP(STAT, -1, int, fstat, (int file, struct stat *status), (file, status))
WRAP(ACCESS, -1, int, access, (const char *path, int mode), (path, mode))
WRAP(MKDIR, -1, int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(CHMOD, -1, int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP(CHOWN, -1, int, lchown, (const char *path, uid_t user, gid_t group), (path, user, group))
WRAP(UNLINK, -1, int, unlink, (const char *path), (path))
WRAP(POSIX_SPAWN, errno, int, posix_spawn,
     (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
      char *const *arguments, char *const *environment),
     (pid, path, actions, attributes, arguments, environment))
WRAP(WAITPID, -1, pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
WRAP(PTHREAD_CREATE, errno, int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument),
     (thread, attributes, body, argument))
WRAP(GETSOCKOPT, -1, int, getsockopt, (int file, int level, int name, void *value, socklen_t *length),
     (file, level, name, value, length))
WRAP(SETSOCKOPT, -1, int, setsockopt, (int file, int level, int name, const void *value, socklen_t length),
     (file, level, name, value, length))
WRAP(TIMER_CREATE, -1, int, timer_create, (clockid_t clock, struct sigevent *event, timer_t *timer),
     (clock, event, timer))
WRAP(SIGACTION, -1, int, sigaction, (int signal, const struct sigaction *new, struct sigaction *old),
     (signal, new, old))
