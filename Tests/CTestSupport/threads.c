// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "test_support.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int ebee_freeze(pid_t thread)
{
    int status;

    if (ptrace(PTRACE_SEIZE, thread, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, thread, 0, 0) < 0)
        return -errno;
    return waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status) ? 0 : -ECHILD;
}

void ebee_thaw(pid_t thread) { ptrace(PTRACE_DETACH, thread, 0, 0); }

int ebee_signal_thread(pid_t process, pid_t thread, int number)
{
    return tgkill(process, thread, number) < 0 ? -errno : 0;
}
