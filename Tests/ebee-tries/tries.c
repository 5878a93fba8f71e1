// SPDX-License-Identifier: Apache-2.0
// A library to be preloaded (LD_PRELOAD, ld.so(8)) into a program that is to show what it can't do. At SIGTRAP, the
// thread that it is sent to tries each of these calls, and adds a line to the file EBEE_TRIES: its id, and of each call
// the name and the errno, 0 where it succeeded. With EBEE_TRIES_NOW it does so at once, and the program ends. The calls
// change nothing where they succeed.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int output = -1;
/* Of another user: a file with mode 0, and a process. */
static const char *foreign_file;
/* Where the lines go: a file of root's. */
static const char *output_file;
static pid_t foreign_process;

struct line {
    char text[2048];
    size_t length;
};

/* snprintf(3) is not for signal handlers; this is, and only adds. */
static void add(struct line *line, const char *text)
{
    while (*text && line->length < sizeof(line->text) - 1)
        line->text[line->length++] = *text++;
}

static void add_number(struct line *line, unsigned long number)
{
    char digits[24];
    size_t place = sizeof(digits) - 1;

    digits[place] = 0;
    do
        digits[--place] = (char)('0' + number % 10);
    while (number /= 10);
    add(line, digits + place);
}

/* What a call gave; a descriptor is closed. */
static void result(struct line *line, const char *name, long value, int error, int is_descriptor)
{
    if (value >= 0 && is_descriptor)
        close((int)value);
    add(line, " ");
    add(line, name);
    add(line, "=");
    add_number(line, value >= 0 ? 0 : (unsigned long)error);
}

static void tries(void)
{
    struct line line = { .length = 0 };
    long value;

#define TRY(name, is_descriptor, ...)                                                                                  \
    do {                                                                                                               \
        value = syscall(__VA_ARGS__);                                                                                  \
        result(&line, name, value, errno, is_descriptor);                                                              \
    } while (0)

    add_number(&line, (unsigned long)syscall(SYS_gettid));

    union bpf_attr map = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
    TRY("bpf", 1, SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map));
    struct perf_event_attr event = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof(event),
        .config = PERF_COUNT_SW_CPU_CLOCK,
    };
    TRY("perf_event_open", 1, SYS_perf_event_open, &event, 0, -1, -1, 0);
    TRY("init_module", 0, SYS_init_module, "", 0, "");
    TRY("delete_module", 0, SYS_delete_module, "ebee-none", 0);
    TRY("kexec_load", 0, SYS_kexec_load, 0, 0, NULL, ~0ul);
    TRY("io_uring_setup", 1, SYS_io_uring_setup, 0, NULL);
    TRY("userfaultfd", 1, SYS_userfaultfd, O_CLOEXEC);
    TRY("keyctl", 0, SYS_keyctl, 0, -3, 0);

    TRY("mount", 0, SYS_mount, "none", "/ebee-none", "tmpfs", 0, NULL);
    TRY("umount", 0, SYS_umount2, "/ebee-none", 0);
    TRY("chroot", 0, SYS_chroot, "/");
    TRY("unshare", 0, SYS_unshare, 0);
    TRY("setns", 0, SYS_setns, -1, 0);
    value = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
    if (value == 0)
        syscall(SYS_exit_group, 0);
    result(&line, "user_namespace", value, errno, 0);
    if (value > 0)
        waitpid((pid_t)value, NULL, 0);
    TRY("clone3", 0, SYS_clone3, NULL, 0);

    char byte = 0, other = 0;
    struct iovec to = { &byte, 1 }, from = { &other, 1 };
    TRY("process_vm_readv", 0, SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0);
    TRY("ptrace", 0, SYS_ptrace, PTRACE_PEEKDATA, getpid(), NULL, &byte);
    TRY("kill", 0, SYS_kill, foreign_process, 0);

    TRY("setuid", 0, SYS_setuid, 0);
    TRY("setresuid", 0, SYS_setresuid, -1, -1, -1);
    TRY("setresgid", 0, SYS_setresgid, -1, -1, -1);
    TRY("setgroups", 0, SYS_setgroups, 0, NULL);
    TRY("open", 1, SYS_openat, AT_FDCWD, foreign_file, O_RDONLY | O_CLOEXEC);
    TRY("chmod", 0, SYS_fchmodat, AT_FDCWD, foreign_file, 0);
    TRY("open_to_write", 1, SYS_openat, AT_FDCWD, output_file, O_WRONLY | O_CLOEXEC);
    TRY("utime_own", 0, SYS_utimensat, AT_FDCWD, output_file, NULL, 0);
    TRY("chmod_own", 0, SYS_fchmodat, AT_FDCWD, output_file, 0600);
    TRY("rename", 0, SYS_renameat2, AT_FDCWD, output_file, AT_FDCWD, output_file, 0);
    TRY("prlimit", 0, SYS_prlimit64, foreign_process, RLIMIT_CORE, NULL, NULL);
    TRY("chown", 0, SYS_fchownat, AT_FDCWD, foreign_file, -1, -1, 0);
    TRY("mknod", 0, SYS_mknodat, AT_FDCWD, "/ebee-none/x", S_IFCHR, 0);

    /* fchmodat2(2), where the kernel has it: there is no file with an empty name. */
    TRY("newer", 0, 452, AT_FDCWD, "", 0600, 0);

    TRY("inet", 1, SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    TRY("netlink", 1, SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
    TRY("packet", 1, SYS_socket, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    TRY("unix", 1, SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    TRY("settimeofday", 0, SYS_settimeofday, NULL, NULL);
    TRY("sethostname", 0, SYS_sethostname, NULL, -1);
    TRY("reboot", 0, SYS_reboot, 0, 0, 0, NULL);
#ifdef __x86_64__
    /* The same kernel by other numbers: getpid(2) of x32 and of i386. */
    TRY("x32", 0, 0x40000000 | SYS_getpid);
    int answer;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    result(&line, "i386", answer, -answer, 0);
#endif
#undef TRY
    add(&line, "\n");
    if (write(output, line.text, line.length) < 0)
        abort();
}

static void on_signal(int number)
{
    int error = errno;

    (void)number;
    tries();
    errno = error;
}

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("EBEE_TRIES"), *process = getenv("EBEE_TRIES_PROCESS");

    foreign_file = getenv("EBEE_TRIES_FILE");
    if (!name || !process || !foreign_file)
        return;
    foreign_process = atoi(process);
    output_file = name;
    output = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
    /* A child of who may not open it. */
    if (output < 0)
        return;
    if (getenv("EBEE_TRIES_NOW")) {
        tries();
        _exit(0);
    }
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    if (sigaction(SIGTRAP, &action, NULL) < 0)
        abort();
}
