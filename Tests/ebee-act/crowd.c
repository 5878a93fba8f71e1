// SPDX-License-Identifier: Apache-2.0
/*
 * Many threads inside the same system call at once, for certain: each waits there for memory that is not there yet.
 *
 * What keeps them is a page that userfaultfd(2) lets nobody touch: a call that holds a directory's or a file's lock
 * while it reads or writes that page, or that has its path there.
 */
#define _GNU_SOURCE
#include "act.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define MOST 1000
/* Seconds that threads may take to get into their call. */
#define PATIENCE 60

static char home[64];
static int descriptor;
static char *page;
static pthread_t threads[2 * MOST];
static int started;
static atomic_int deletions, executions;

/* A new page that whoever touches it waits for. */
static void withhold(void)
{
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register range = { .range.len = PAGE, .mode = UFFDIO_REGISTER_MODE_MISSING };

    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    descriptor = syscall(SYS_userfaultfd, O_CLOEXEC);
    range.range.start = (uintptr_t)page;
    if (page == MAP_FAILED || descriptor < 0 || ioctl(descriptor, UFFDIO_API, &api) ||
        ioctl(descriptor, UFFDIO_REGISTER, &range))
        err(71, "userfaultfd");
}

/* It is there now, with this text, and everybody goes on. */
static void provide(const char *text)
{
    static char content[PAGE];
    struct uffdio_copy copy = { .dst = (uintptr_t)page, .src = (uintptr_t)content, .len = PAGE };

    strcpy(content, text);
    if (ioctl(descriptor, UFFDIO_COPY, &copy))
        err(71, "UFFDIO_COPY");
    close(descriptor);
}

/* How many of our threads sleep in this system call. */
static int sleepers(long call)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    int count = 0;

    while (tasks && (task = readdir(tasks))) {
        char path[300], line[256] = "";
        FILE *file;

        /* Its number, or `running` (proc_pid_syscall(5)). */
        snprintf(path, sizeof(path), "/proc/self/task/%s/syscall", task->d_name);
        if (!(file = fopen(path, "r")))
            continue;
        if (fgets(line, sizeof(line), file) && *line >= '0' && *line <= '9' && atol(line) == call)
            count++;
        fclose(file);
    }
    closedir(tasks);
    return count;
}

/* home/NAME, or home/INDEX/NAME. */
static char *path_of(const char *name, long index)
{
    char *path;

    if ((index < 0 ? asprintf(&path, "%s/%s", home, name) : asprintf(&path, "%s/%ld/%s", home, index, name)) < 0)
        err(71, "asprintf");
    return path;
}

static void create(const char *name, long index)
{
    char *path = path_of(name, index);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    if (file < 0)
        err(71, "%s", path);
    close(file);
    free(path);
}

/* Whether it is there or not. */
static void unlink_name(const char *name, long index)
{
    char *path = path_of(name, index);

    deletions++;
    unlink(path);
    free(path);
}

static void *hold_home(void *unused)
{
    (void)unused;
    syscall(SYS_getdents64, open(home, O_RDONLY | O_CLOEXEC), page, PAGE);
    return NULL;
}

/* Every fourth is there. Every other thread goes on to delete, the rest ends. */
static void *unlink_number(void *index)
{
    char name[16];

    snprintf(name, sizeof(name), "file%ld", (long)index);
    unlink_name(name, -1);
    if ((long)index & 1)
        unlink_name("none", -1);
    return NULL;
}

static void *hold_target(void *index)
{
    char *path = path_of("target", (long)index);

    if (write(open(path, O_WRONLY | O_CLOEXEC), page, 1) != 1)
        err(71, "%s", path);
    free(path);
    return NULL;
}

static void *replace_target(void *index)
{
    char *source = path_of("source", (long)index), *target = path_of("target", (long)index);

    deletions++;
    if (rename(source, target))
        err(71, "%s", source);
    if ((long)index & 1)
        unlink_name("none", (long)index);
    free(source);
    free(target);
    return NULL;
}

static void *unlink_target(void *index)
{
    unlink_name("target", (long)index);
    if ((long)index & 1)
        unlink_name("none", (long)index);
    return NULL;
}

static void *execute_nothing(void *index)
{
    char *const words[] = { "none", NULL };

    for (int i = 0; i < 1 + ((long)index & 1); i++) {
        executions++;
        execv(page, words);
    }
    return NULL;
}

static void *unlink_and_stay(void *index)
{
    unlink_number(index);
    for (;;)
        pause();
    return NULL;
}

/* Until so many of our threads wait in that system call. */
static void await_sleepers(int count, long call)
{
    for (int i = 0; sleepers(call) != count; i++) {
        if (i == PATIENCE * 100)
            errx(71, "%d threads wait in system call %ld, not %d", sleepers(call), call, count);
        usleep(10000);
    }
}

/* Starts threads, and waits until they wait in that system call. */
static void start(int count, void *(*body)(void *), long call)
{
    for (long i = 0; i < count; i++)
        if (pthread_create(&threads[started++], NULL, body, (void *)i))
            errx(71, "pthread_create");
    await_sleepers(count, call);
}

/* Lets all threads go on, to their end. */
static void let_go(const char *text)
{
    provide(text);
    while (started)
        pthread_join(threads[--started], NULL);
}

static long long now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Where everything happens, with the files that numbers stand for. */
static void prepare(int count)
{
    char name[16];

    if (count < 1 || count > MOST)
        errx(64, "a crowd is 1 to %d", MOST);
    snprintf(home, sizeof(home), "/dev/shm/ebee-load-%d", getpid());
    if (mkdir(home, 0700))
        err(71, "%s", home);
    for (int i = 0; i < count; i += 4) {
        snprintf(name, sizeof(name), "file%d", i);
        create(name, -1);
    }
}

/* A directory for each thread. */
static void prepare_targets(int count)
{
    char name[80];

    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "%s/%d", home, i);
        if (mkdir(name, 0700))
            err(71, "%s", name);
        create("source", i);
        create("target", i);
    }
}

static int tell(int count, long long begin)
{
    char name[80];

    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "%s/%d", home, i);
        deletions++;
        rmdir(name);
    }
    rmdir(home);
    printf("{\"pid\":%d,\"deletions\":%d,\"executions\":%d,\"seconds\":%.3f}\n", getpid(), deletions, executions,
           (now() - begin) / 1e9);
    fflush(stdout);
    return 0;
}

int crowd(int count)
{
    long long begin = now();
    char name[80];

    prepare(count);
    withhold();
    start(1, hold_home, SYS_getdents64);
    start(count, unlink_number, SYS_unlink);
    let_go("");

    prepare_targets(count);
    withhold();
    start(count, hold_target, SYS_write);
    start(count, replace_target, SYS_rename);
    let_go("");

    withhold();
    start(count, hold_target, SYS_write);
    start(count, unlink_target, SYS_unlink);
    let_go("");

    withhold();
    snprintf(name, sizeof(name), "%s/none", home);
    start(count, execute_nothing, SYS_execve);
    let_go(name);
    return tell(count, begin);
}

int linger(int count)
{
    long long begin = now();
    struct timespec pause = { .tv_nsec = 1000000 };
    sigset_t signals;
    char name[32];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    prepare(count);
    withhold();
    start(1, hold_home, SYS_getdents64);
    start(count, unlink_and_stay, SYS_unlink);
    started = 1; /* the others stay */
    let_go("");
    await_sleepers(count, SYS_pause);

    prepare_targets(count);
    withhold();
    start(count, hold_target, SYS_write);
    start(count, unlink_target, SYS_unlink);
    fputs("ready\n", stderr);
    for (long i = count; sigtimedwait(&signals, NULL, &pause) < 0; i++) {
        snprintf(name, sizeof(name), "file%ld", i);
        create(name, -1);
        unlink_name(name, -1);
    }
    let_go("");
    for (int i = 0; i < count; i++)
        unlink_name("source", i);
    return tell(count, begin);
}
