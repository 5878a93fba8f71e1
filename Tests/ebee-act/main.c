// SPDX-License-Identifier: Apache-2.0
/*
 * Does exact things, for a test to find in what ebeed recorded: system calls that a Swift process can't make (from
 * another thread, after chroot, an exec by descriptor) or that no shell tool makes alone.
 *
 *     ebee-act [PREFIX...] ACTION ARGUMENT... [then [PREFIX...] ACTION ARGUMENT...]...
 *
 * Prints "PID TID ERRNO" of an action that returns, so that the test knows who did it; ends with 0 whatever it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act.h"

char **arguments;
bool on_thread, describes;

static int usage(void)
{
    fputs("usage: ebee-act [PREFIX]... ACTION ARGUMENT... [then [PREFIX]... ACTION ARGUMENT...]...\n"
          "  prefixes: thread, wait, chroot DIR, cd DIR, uid N, open PATH, path DIRS, cgroup DIR, mountns, pidns,\n"
          "    tmpfs DIR, make PATH, with-parent; stat: first prints what is deleted; tell: first prints PID and TID\n"
          "  unlink PATH, rmdir PATH, unlinkat DIR NAME FLAGS, rename OLD NEW, renameat2 OLD NEW FLAGS\n"
          "  uring unlink|rmdir PATH, uring rename OLD NEW, i386 CALL PATH [NEW]; unlinkat's DIR @cwd is AT_FDCWD\n"
          "  exec PROGRAM ARG..., execvp NAME ARG..., fexecve PROGRAM ARG..., memfd PROGRAM ARG...,\n"
          "  execveat DIR NAME ARG..., vfork PROGRAM ARG..., spawn PROGRAM ARG..., many-arguments COUNT LENGTH,\n"
          "  exit N, kill SIGNAL, sleep MS, getppid COUNT, crowd COUNT,\n"
          "  linger COUNT, maps\n",
          stderr);
    exit(64);
}

const char *argument(int index)
{
    for (int i = 0; i <= index; i++)
        if (!arguments[i])
            usage();
    return arguments[index];
}

static int directory(const char *path)
{
    return strcmp(path, "@cwd") ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD;
}

/* Prints what is about to be deleted, as the kernel shows it to this process. */
static void look(int at, const char *path)
{
    struct statx file;

    if (!describes)
        return;
    if (statx(at, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &file)) {
        puts("stat -");
    } else {
        printf("stat %llu %u:%u %llu %o %u %u %u %lld.%09u", (unsigned long long)file.stx_ino, file.stx_dev_major,
               file.stx_dev_minor, (unsigned long long)file.stx_size, file.stx_mode, file.stx_uid, file.stx_gid,
               file.stx_nlink, (long long)file.stx_mtime.tv_sec, file.stx_mtime.tv_nsec);
        if (file.stx_mask & STATX_BTIME)
            printf(" %lld.%09u", (long long)file.stx_btime.tv_sec, file.stx_btime.tv_nsec);
        putchar('\n');
    }
    fflush(stdout);
}

/* A copy of a program that is in memory only. */
static int memory_copy(const char *path)
{
    int source = open(path, O_RDONLY | O_CLOEXEC), copy = memfd_create("act", MFD_CLOEXEC);
    char buffer[65536];
    ssize_t count;

    if (source < 0 || copy < 0)
        return -1;
    while ((count = read(source, buffer, sizeof(buffer))) > 0)
        if (write(copy, buffer, count) != count)
            return -1;
    close(source);
    return copy;
}

/* Executes itself with arguments that no command line of a test could hold. */
static int many_arguments(int count, int length)
{
    char **many = calloc(count + 3, sizeof(*many));
    char *one = malloc(length + 1);

    memset(one, 'x', length);
    one[length] = 0;
    many[0] = "ebee-act";
    many[1] = "exit";
    many[2] = "0";
    for (int i = 3; i < count; i++)
        many[i] = one;
    return execv("/proc/self/exe", many);
}

/* Waits for a child, and says who it was and how it ended, as wait(2) tells it. */
static int child_ended(int pid)
{
    int status;

    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    printf("child %d %d\n", pid, status);
    return 0;
}

static int vfork_and_exec(void)
{
    const char *program = argument(0);
    int pid = vfork();

    if (!pid) {
        execv(program, arguments + 1);
        _exit(127);
    }
    return child_ended(pid);
}

static int spawn(void)
{
    pid_t pid;
    int error = posix_spawn(&pid, argument(0), NULL, NULL, arguments + 1, environ);

    errno = error;
    return child_ended(error ? -1 : pid);
}

static int delete_at(int at, const char *name, int flags)
{
    look(at, name);
    return unlinkat(at, name, flags);
}

static int act(const char *name)
{
    if (!strcmp(name, "unlink"))
        return look(AT_FDCWD, argument(0)), unlink(argument(0));
    if (!strcmp(name, "rmdir"))
        return look(AT_FDCWD, argument(0)), rmdir(argument(0));
    if (!strcmp(name, "unlinkat"))
        return delete_at(directory(argument(0)), argument(1), atoi(argument(2)));
    if (!strcmp(name, "rename"))
        return look(AT_FDCWD, argument(1)), rename(argument(0), argument(1));
    if (!strcmp(name, "renameat2"))
        return look(AT_FDCWD, argument(1)), renameat2(AT_FDCWD, argument(0), AT_FDCWD, argument(1), atoi(argument(2)));
    if (!strcmp(name, "uring") || !strcmp(name, "i386")) {
        const char *call = argument(0), *path = argument(1), *other = arguments[2];

        if (strcmp(call, "execve"))
            look(AT_FDCWD, other ? other : path);
        return (*name == 'u' ? through_uring : through_i386)(call, path, other);
    }
    if (!strcmp(name, "exec"))
        return execv(argument(0), arguments + 1);
    if (!strcmp(name, "execvp"))
        return execvp(argument(0), arguments + 1);
    if (!strcmp(name, "fexecve"))
        return fexecve(open(argument(0), O_RDONLY | O_CLOEXEC), arguments + 1, environ);
    if (!strcmp(name, "memfd"))
        return fexecve(memory_copy(argument(0)), arguments + 1, environ);
    if (!strcmp(name, "execveat"))
        return execveat(directory(argument(0)), argument(1), arguments + 2, environ, 0);
    if (!strcmp(name, "vfork"))
        return vfork_and_exec();
    if (!strcmp(name, "spawn"))
        return spawn();
    if (!strcmp(name, "many-arguments"))
        return many_arguments(atoi(argument(0)), atoi(argument(1)));
    if (!strcmp(name, "sleep"))
        return usleep(atoi(argument(0)) * 1000);
    if (!strcmp(name, "getppid"))
        return count_getppid(atoi(argument(0)));
    if (!strcmp(name, "crowd"))
        return crowd(atoi(argument(0)));
    if (!strcmp(name, "maps"))
        return use_maps();
    if (!strcmp(name, "linger"))
        return linger(atoi(argument(0)));
    if (!strcmp(name, "kill"))
        return kill(getpid(), atoi(argument(0)));
    if (!strcmp(name, "exit"))
        exit(atoi(argument(0)));
    return usage();
}

static void *act_and_tell(void *name)
{
    int error, pid, tid;

    if (on_thread)
        pthread_setname_np(pthread_self(), "a thread's name");
    error = act(name) ? errno : 0;

    own_ids(&pid, &tid);
    printf("%d %d %d\n", pid, tid, error);
    fflush(stdout);
    return NULL;
}

int main(int count, char **values)
{
    int index = 1, words;
    pthread_t thread;

    remember_process_ids();
    while (index < count) {
        const char *name = values[index];
        int end = index;

        while (end < count && strcmp(values[end], "then"))
            end++;
        values[end] = NULL;
        arguments = values + index + 1;
        if ((words = prefix(name))) {
            if (end < count)
                values[end] = "then";
            index += words;
            continue;
        }
        if (!on_thread)
            act_and_tell(values[index]);
        else if (pthread_create(&thread, NULL, act_and_tell, values[index]) || pthread_join(thread, NULL))
            return 1;
        if (end >= count)
            return 0;
        index = end + 1;
    }
    return usage();
}
