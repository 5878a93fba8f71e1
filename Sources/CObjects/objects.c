// SPDX-License-Identifier: Apache-2.0
#include "objects.h"

extern const unsigned char ebee_execsnoop_begin[], ebee_execsnoop_end[]; // images.S
extern const unsigned char ebee_rmdetect_begin[], ebee_rmdetect_end[];

const void *ebee_execsnoop(size_t *size)
{
    *size = (size_t)(ebee_execsnoop_end - ebee_execsnoop_begin);
    return ebee_execsnoop_begin;
}

const void *ebee_rmdetect(size_t *size)
{
    *size = (size_t)(ebee_rmdetect_end - ebee_rmdetect_begin);
    return ebee_rmdetect_begin;
}
