// SPDX-License-Identifier: Apache-2.0
/* What comes before an action: where, as whom and how it is done. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act.h"

static int process_directory = -1;

void remember_process_ids(void) { process_directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

/*
 * The ids of this thread in the pid namespace of /proc, which is that of whoever mounted it: the one that a test sees,
 * also when this process is in a namespace of its own. /proc is opened before a chroot takes it away.
 */
void own_ids(int *pid, int *tid)
{
    char link[64] = { 0 };

    *pid = getpid();
    *tid = gettid();
    if (process_directory >= 0 && readlinkat(process_directory, "thread-self", link, sizeof(link) - 1) > 0)
        sscanf(link, "%d/task/%d", pid, tid);
}

static int fail(const char *what, const char *thing)
{
    fprintf(stderr, "ebee-act: %s %s: %s\n", what, thing, strerror(errno));
    exit(1);
}

static void write_word(const char *path, const char *file, const char *word)
{
    int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), opened = openat(parent, file, O_WRONLY | O_CLOEXEC);

    if (opened < 0 || write(opened, word, strlen(word)) < 0)
        fail("can't write into", path);
    close(opened);
    close(parent);
}

/* What follows is done by a child, the first process of a pid namespace of its own; ends as it ends. */
static void enter_pid_namespace(void)
{
    int status, pid;

    if (unshare(CLONE_NEWPID) || (pid = fork()) < 0)
        fail("can't make", "a pid namespace");
    if (!pid)
        return;
    if (waitpid(pid, &status, 0) < 0)
        fail("can't wait for", "the pid namespace");
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void enter_mount_namespace(void)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        fail("can't make", "a mount namespace");
}

/* How many words the prefix takes; 0 if it is none. */
int prefix(const char *name)
{
    int pid, tid;

    if (!strcmp(name, "thread"))
        return on_thread = true;
    if (!strcmp(name, "stat"))
        return describes = true;
    if (!strcmp(name, "tell")) {
        own_ids(&pid, &tid);
        printf("at %d %d\n", pid, tid);
        return !fflush(stdout);
    }
    if (!strcmp(name, "wait")) {
        puts("ready");
        fflush(stdout);
        if (getchar() == EOF)
            exit(1);
        return 1;
    }
    if (!strcmp(name, "with-parent"))
        return prctl(PR_SET_PDEATHSIG, SIGTERM) ? fail("can't", name) : 1;
    if (!strcmp(name, "mountns"))
        return enter_mount_namespace(), 1;
    if (!strcmp(name, "pidns"))
        return enter_pid_namespace(), 1;
    if (!strcmp(name, "chroot"))
        return chroot(argument(0)) || chdir("/") ? fail(name, argument(0)) : 2;
    if (!strcmp(name, "cd"))
        return chdir(argument(0)) ? fail(name, argument(0)) : 2;
    if (!strcmp(name, "uid"))
        return setuid(atoi(argument(0))) ? fail(name, argument(0)) : 2;
    if (!strcmp(name, "open"))
        return open(argument(0), O_RDONLY) < 0 ? fail(name, argument(0)) : 2;
    if (!strcmp(name, "path"))
        return setenv("PATH", argument(0), 1) ? fail(name, argument(0)) : 2;
    if (!strcmp(name, "cgroup"))
        return write_word(argument(0), "cgroup.procs", "0"), 2;
    if (!strcmp(name, "tmpfs"))
        return mount("tmpfs", argument(0), "tmpfs", 0, NULL) ? fail(name, argument(0)) : 2;
    if (!strcmp(name, "make"))
        return mknod(argument(0), S_IFREG | 0644, 0) ? fail(name, argument(0)) : 2;
    return 0;
}
