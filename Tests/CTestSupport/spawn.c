// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/prctl.h>
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
