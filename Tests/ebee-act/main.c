// SPDX-License-Identifier: Apache-2.0
/*
 * Does one exact thing, for a test to find in what ebeed recorded: system calls that a Swift process can't make (from
 * another thread, after chroot, an exec by descriptor) or that no shell tool makes alone.
 *
 *     ebee-act [PREFIX...] ACTION ARGUMENT...
 *
 * Prints "PID TID ERRNO" of an action that returns, so that the test knows who did it; ends with 0 whatever it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char **arguments;
static bool on_thread;

static int usage(void)
{
    fputs("usage: ebee-act [thread|wait|chroot DIR|cd DIR|uid N]... ACTION ARGUMENT...\n"
          "  unlink PATH, rmdir PATH, unlinkat DIR NAME FLAGS, rename OLD NEW, renameat2 OLD NEW FLAGS\n"
          "  exec PROGRAM ARG..., fexecve PROGRAM ARG..., memfd PROGRAM ARG..., execveat DIR NAME ARG...\n"
          "  many-arguments COUNT LENGTH, exit N, kill SIGNAL, sleep MS\n",
          stderr);
    exit(64);
}

static const char *argument(int index)
{
    for (int i = 0; i <= index; i++)
        if (!arguments[i])
            usage();
    return arguments[index];
}

static int directory(const char *path) { return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

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

static int act(const char *name)
{
    if (!strcmp(name, "unlink"))
        return unlink(argument(0));
    if (!strcmp(name, "rmdir"))
        return rmdir(argument(0));
    if (!strcmp(name, "unlinkat"))
        return unlinkat(directory(argument(0)), argument(1), atoi(argument(2)));
    if (!strcmp(name, "rename"))
        return rename(argument(0), argument(1));
    if (!strcmp(name, "renameat2"))
        return renameat2(AT_FDCWD, argument(0), AT_FDCWD, argument(1), atoi(argument(2)));
    if (!strcmp(name, "exec"))
        return execv(argument(0), arguments + 1);
    if (!strcmp(name, "fexecve"))
        return fexecve(open(argument(0), O_RDONLY | O_CLOEXEC), arguments + 1, environ);
    if (!strcmp(name, "memfd"))
        return fexecve(memory_copy(argument(0)), arguments + 1, environ);
    if (!strcmp(name, "execveat"))
        return execveat(directory(argument(0)), argument(1), arguments + 2, environ, 0);
    if (!strcmp(name, "many-arguments"))
        return many_arguments(atoi(argument(0)), atoi(argument(1)));
    if (!strcmp(name, "sleep"))
        return usleep(atoi(argument(0)) * 1000);
    if (!strcmp(name, "kill"))
        return kill(getpid(), atoi(argument(0)));
    if (!strcmp(name, "exit"))
        exit(atoi(argument(0)));
    return usage();
}

static void *act_and_tell(void *name)
{
    int error;

    if (on_thread)
        pthread_setname_np(pthread_self(), "a thread's name");
    error = act(name) ? errno : 0;

    printf("%d %d %d\n", getpid(), gettid(), error);
    fflush(stdout);
    return NULL;
}

int main(int count, char **values)
{
    int index = 1;
    pthread_t thread;

    for (; index < count; index++) {
        const char *prefix = values[index];

        arguments = values + index + 1;
        if (!strcmp(prefix, "thread")) {
            on_thread = true;
        } else if (!strcmp(prefix, "wait")) {
            puts("ready");
            fflush(stdout);
            if (getchar() == EOF)
                return 1;
        } else if (!strcmp(prefix, "chroot")) {
            if (chroot(argument(0)) || chdir("/"))
                return 1;
            index++;
        } else if (!strcmp(prefix, "cd")) {
            if (chdir(argument(0)))
                return 1;
            index++;
        } else if (!strcmp(prefix, "uid")) {
            if (setuid(atoi(argument(0))))
                return 1;
            index++;
        } else {
            break;
        }
    }
    if (index >= count)
        return usage();
    arguments = values + index + 1;
    if (!on_thread) {
        act_and_tell(values[index]);
        return 0;
    }
    if (pthread_create(&thread, NULL, act_and_tell, values[index]))
        return 1;
    pthread_join(thread, NULL);
    return 0;
}
