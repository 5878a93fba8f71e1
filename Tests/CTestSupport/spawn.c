// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t ebee_spawn(const char *const *arguments, const char *directory, int *input)
{
    posix_spawn_file_actions_t actions;
    int ends[2];
    pid_t pid;
    int error;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
    posix_spawn_file_actions_addchdir_np(&actions, directory);
    error = posix_spawn(&pid, arguments[0], &actions, NULL, (char *const *)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    if (error) {
        close(ends[1]);
        return -error;
    }
    *input = ends[1];
    return pid;
}

static void *worker(void *path)
{
    prctl(PR_SET_NAME, "worker");
    unlink(path);
    return NULL;
}

pid_t ebee_unlink_in_thread(const char *path)
{
    pid_t pid = fork();
    pthread_t thread;

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        prctl(PR_SET_NAME, "leader");
        if (!pthread_create(&thread, NULL, worker, (void *)path))
            pthread_join(thread, NULL);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    return pid;
}

/* In the child of a process with threads: system calls alone, and not the C library's setuid(), which tells other
 * threads. */
static int connect_as(int channel, const struct sockaddr_un *address, uid_t uid, gid_t gid, const gid_t *groups,
                      unsigned count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    char byte = 0;
    struct iovec data = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
    };
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (file < 0 || syscall(SYS_setgroups, count, groups) < 0 || syscall(SYS_setresgid, gid, gid, gid) < 0 ||
        syscall(SYS_setresuid, uid, uid, uid) < 0 ||
        connect(file, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return errno;
    memcpy(CMSG_DATA(&control.header), &file, sizeof(file));
    return sendmsg(channel, &message, 0) == 1 ? 0 : errno;
}

static int receive(int channel)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control;
    char byte;
    struct iovec data = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
    };
    int file;

    if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1 || message.msg_controllen < CMSG_LEN(sizeof(int)))
        return -EPROTO;
    memcpy(&file, CMSG_DATA(&control.header), sizeof(file));
    return file;
}

int ebee_connect_as(const char *path, uid_t uid, gid_t gid, const gid_t *groups, unsigned count)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int channel[2], status, result;
    pid_t pid;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        _exit(connect_as(channel[1], &address, uid, gid, groups, count));
    close(channel[1]);
    result = pid < 0 ? -errno : 0;
    if (pid > 0 && (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)))
        result = -ECHILD;
    else if (pid > 0)
        result = WEXITSTATUS(status) ? -WEXITSTATUS(status) : receive(channel[0]);
    close(channel[0]);
    return result;
}
