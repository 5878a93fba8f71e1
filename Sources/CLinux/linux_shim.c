// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "linux_shim.h"

#include <asm/socket.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

const char *ebee_errno_name(int number) { return strerrorname_np(number); }

int ebee_memory_file(const char *name, size_t size)
{
    int file = memfd_create(name, MFD_CLOEXEC);

    if (file >= 0 && ftruncate(file, (off_t)size) < 0) {
        int error = errno;

        close(file);
        errno = error;
        return -1;
    }
    return file;
}

int ebee_mount_tracefs(const char *target)
{
    return mount("tracefs", target, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

int ebee_unmount(const char *target) { return umount2(target, MNT_DETACH); }

unsigned long ebee_filesystem(const char *path)
{
    struct statfs status;

    return statfs(path, &status) == 0 ? (unsigned long)status.f_type : 0;
}

void ebee_fence(void) { atomic_thread_fence(memory_order_seq_cst); }

void ebee_return_large_blocks(void)
{
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_ARENA_MAX, 2);
}

void ebee_trim_heap(void) { malloc_trim(0); }

void ebee_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

static int unix_socket(const char *path, struct sockaddr_un *address, int type)
{
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address->sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address->sun_path, path);
    return socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
}

int ebee_listen(const char *path, unsigned mode, int backlog)
{
    struct sockaddr_un address;
    int file = unix_socket(path, &address, SOCK_STREAM);
    mode_t mask;
    int failed;

    if (file < 0)
        return -1;
    mask = umask(0777 & ~mode);
    failed = bind(file, (struct sockaddr *)&address, sizeof(address));
    umask(mask);
    if (failed || listen(file, backlog) < 0) {
        int error = errno;

        close(file);
        errno = error;
        return -1;
    }
    return file;
}

static bool connects(const char *path, int type)
{
    struct sockaddr_un address;
    int file = unix_socket(path, &address, type);
    bool answers;

    if (file < 0)
        return false;
    answers = connect(file, (struct sockaddr *)&address, sizeof(address)) == 0;
    int error = answers || errno == ECONNREFUSED || errno == ENOENT ? 0 : errno;
    close(file);
    errno = error;
    return answers;
}

bool ebee_answers(const char *path) { return connects(path, SOCK_STREAM); }

bool ebee_receives(const char *path) { return connects(path, SOCK_DGRAM); }

static void nothing(int signal) { (void)signal; }

int ebee_make_deadline(uintptr_t *deadline)
{
    /* Without SA_RESTART: the call that it interrupts returns. */
    struct sigaction action = { .sa_handler = nothing };
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
    sigset_t alarm;
    timer_t timer;

    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    event._sigev_un._tid = gettid();
    if (sigaction(SIGALRM, &action, NULL) < 0)
        return errno;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        return errno;
    *deadline = (uintptr_t)timer;
    return pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
}

void ebee_set_deadline(uintptr_t deadline, unsigned milliseconds)
{
    struct timespec after = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L };

    timer_settime((timer_t)deadline, 0, &(struct itimerspec){ .it_value = after, .it_interval = after }, NULL);
}

void ebee_end_deadline(uintptr_t deadline) { timer_delete((timer_t)deadline); }

int ebee_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int ebee_peer(int socket, pid_t *pid, uid_t *uid, gid_t *gid)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);

    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return -1;
    if (length != sizeof(peer) || peer.uid == (uid_t)-1 || peer.gid == (gid_t)-1) {
        errno = ENODATA;
        return -1;
    }
    *pid = peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}

int ebee_peer_groups(int socket, gid_t *groups, unsigned *count)
{
    socklen_t length = *count * sizeof(gid_t);
    int result = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &length);

    *count = length / sizeof(gid_t);
    return result;
}
