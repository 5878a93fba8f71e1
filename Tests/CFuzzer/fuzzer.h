// SPDX-License-Identifier: Apache-2.0
// What libFuzzer offers those who have a main of their own. It comes with the compiler, which has no header for it.
#ifndef FUZZER_H
#define FUZZER_H

#include <stddef.h>
#include <signal.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sys/wait.h>
#include <unistd.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*test)(const uint8_t *data, size_t size));

/* Whether a process survives that: a child, since Swift has no fork(2). Its end by abort(3) is not for libFuzzer to
 * tell. */
static inline int fuzzer_survives(void (*body)(const void *), const void *argument)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        body(argument);
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

#endif
