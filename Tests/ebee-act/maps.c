// SPDX-License-Identifier: Apache-2.0
/*
 * Somebody who uses bpf(2) all the time: where the kernel is preempted, others run while this thread is in the middle
 * of it.
 */
#define _GNU_SOURCE
#include "act.h"

#include <err.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As long as the kernel takes to copy it, it runs no program of a kprobe. */
#define VALUE (1 << 20)

int use_maps(void)
{
    union bpf_attr map = {
        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = sizeof(uint32_t), .value_size = VALUE, .max_entries = 1
    };
    int descriptor = syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map));
    char *value = malloc(VALUE);
    uint32_t key = 0;
    union bpf_attr element = { .map_fd = (uint32_t)descriptor, .key = (uintptr_t)&key, .value = (uintptr_t)value };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (descriptor < 0 || !value)
        err(71, "make a map");
    for (;;)
        if (syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &element, sizeof(element)))
            err(71, "read a map");
}
