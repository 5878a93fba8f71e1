// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Makes a kernel of the matrix one without trampolines and kprobes: from then on it refuses to load programs for them,
 * with EPERM, as some hypervisors and hardened kernels do. A stock kernel has no setting for that: with
 * kernel.ftrace_enabled=0 and debugfs's kprobes/enabled=0, it takes them and never runs them.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("lsm/bpf")
int BPF_PROG(refuse, int command, union bpf_attr *attr)
{
    if (command != BPF_PROG_LOAD)
        return 0;
    switch (attr->prog_type) {
    case BPF_PROG_TYPE_KPROBE:
    case BPF_PROG_TYPE_LSM:
    case BPF_PROG_TYPE_EXT:
        return -EPERM;
    case BPF_PROG_TYPE_TRACING:
        if (attr->expected_attach_type == BPF_TRACE_FENTRY || attr->expected_attach_type == BPF_TRACE_FEXIT ||
            attr->expected_attach_type == BPF_MODIFY_RETURN)
            return -EPERM;
        return 0;
    default:
        return 0;
    }
}
