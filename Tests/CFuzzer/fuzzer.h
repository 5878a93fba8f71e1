// SPDX-License-Identifier: Apache-2.0
// What libFuzzer offers those who have a main of their own. It comes with the compiler, which has no header for it.
#ifndef FUZZER_H
#define FUZZER_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*test)(const uint8_t *data, size_t size));

#endif
