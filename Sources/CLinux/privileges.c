// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "linux_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int ebee_drop_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };

    /* Only who may set capabilities may bound them; to all others no_new_privs does the same. */
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return (int)syscall(SYS_capset, &header, none);
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "add this architecture's AUDIT_ARCH_ value"
#endif

/*
 * What nobody needs to whom everything is open already: more of the kernel, of other processes, of the system. And what
 * is permitted without a capability to whoever is root: root owns most files, /proc/sys/kernel/core_pattern among them.
 */
static const unsigned refused[] = {
    /* The kernel's own insides. */
    SYS_bpf,
    SYS_perf_event_open,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_syslog,
    SYS_fanotify_init,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
#ifdef SYS_modify_ldt
    SYS_modify_ldt,
#endif
    /* Mounts and namespaces. */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
#ifdef SYS_mount_setattr
    SYS_mount_setattr,
#endif
    /* Other processes. */
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_getfd,
    /* Other users, and other files. What else opens to write is further below. */
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_setgroups,
    SYS_fchown,
    SYS_fchownat,
    SYS_mknodat,
    SYS_open_by_handle_at,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_openat2,
    SYS_truncate,
    SYS_renameat2,
    SYS_linkat,
    SYS_symlinkat,
    SYS_mkdirat,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef __x86_64__
    SYS_chown,
    SYS_lchown,
    SYS_mknod,
    SYS_chmod,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
    SYS_creat,
    SYS_rename,
    SYS_link,
    SYS_symlink,
    SYS_mkdir,
#endif
    /* The system as a whole. */
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_quotactl,
#ifdef SYS_quotactl_fd
    SYS_quotactl_fd,
#endif
    SYS_vhangup,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
#ifdef SYS_ioperm
    SYS_ioperm,
    SYS_iopl,
#endif
};
/*
 * From here on a call is one that nobody has looked at, and whose name the headers may lack: the first is fchmodat2.
 * The numbers are the same on all architectures. To ebeed the kernel is one of before Linux 6.6.
 */
#define NEWER 452

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Refused where an argument has one of these bits. All are of 32 bits to the kernel. */
#define NAMESPACES                                                                                                     \
    (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
#define WRITING (O_WRONLY | O_RDWR | O_TRUNC)
static const struct {
    unsigned number, argument, bits;
} refused_with[] = {
    { SYS_openat, 2, WRITING },
#ifdef SYS_open
    { SYS_open, 1, WRITING },
#endif
    { SYS_clone, 0, NAMESPACES },
    /* Of another process: 0 is this one. */
    { SYS_prlimit64, 0, ~0U },
};

int ebee_refuse_calls(void)
{
    const unsigned number = offsetof(struct seccomp_data, nr), architecture = offsetof(struct seccomp_data, arch);
    const struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                             allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_filter filter[32 + 2 * COUNT(refused) + 5 * COUNT(refused_with)];
    unsigned short length = 0;

#define ADD(...) filter[length++] = (struct sock_filter)__VA_ARGS__
/* The lower half: both architectures are little-endian. */
#define ARGUMENT(index) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[index]))
    /* The numbers below are those of this architecture; none is called by another one's. */
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, architecture));
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    filter[length++] = refuse;
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number));
    /* Of x32 (__X32_SYSCALL_BIT), and of what has no number. */
    ADD(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
    filter[length++] = refuse;
    ADD(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, NEWER, 0, 1));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    for (size_t index = 0; index < COUNT(refused); index++) {
        ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[index], 0, 1));
        filter[length++] = refuse;
    }
    for (size_t index = 0; index < COUNT(refused_with); index++) {
        ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused_with[index].number, 0, 4));
        ADD(ARGUMENT(refused_with[index].argument));
        ADD(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, refused_with[index].bits, 0, 1));
        filter[length++] = refuse;
        filter[length++] = allow;
    }
    /* A filter can't look at its flags, which are in memory. Who is told that it isn't there takes clone. */
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    /* What somebody at the terminal would have typed (ioctl_tty(2)). */
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5));
    ADD(ARGUMENT(1));
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 1, 0));
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 0, 1));
    filter[length++] = refuse;
    filter[length++] = allow;
    /* Sockets of this machine only. */
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3));
    ADD(ARGUMENT(0));
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT));
    filter[length++] = allow;
#undef ARGUMENT
#undef ADD
    struct sock_fprog program = { .len = length, .filter = filter };

    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}
