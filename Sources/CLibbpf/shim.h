// SPDX-License-Identifier: Apache-2.0
// libbpf, as the only module that touches the kernel sees it.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
