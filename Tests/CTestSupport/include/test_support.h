// SPDX-License-Identifier: Apache-2.0
// Counts what the tests' own executable and every library in it allocate: malloc(3) and its kin are defined here, in front of
// glibc's, and pass on to them.
#ifndef EBEE_ALLOCATIONS_H
#define EBEE_ALLOCATIONS_H

#include <stdint.h>

/// How many times the calling thread has allocated memory.
uint64_t ebee_allocations(void);

#endif
