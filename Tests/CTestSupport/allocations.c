// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* The sanitizers have a malloc(3) of their own: under them, nothing is counted. */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)

uint64_t ebee_allocations(void) { return 0; }

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static __thread uint64_t allocations;

uint64_t ebee_allocations(void) { return allocations; }

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    allocations++;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

#endif
