// SPDX-License-Identifier: Apache-2.0
// The compiled BPF programs, as ELF files in memory. By way of the assembler, since a Swift array of so many numbers
// takes the compiler minutes.
#ifndef EBEE_OBJECTS_H
#define EBEE_OBJECTS_H

#include <stddef.h>

/// bpf/execsnoop.bpf.c and bpf/rmdetect.bpf.c, compiled; their sizes in bytes.
const void *ebee_execsnoop(size_t *size);
const void *ebee_rmdetect(size_t *size);

#endif
