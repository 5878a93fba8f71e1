import Glibc

/// Every way to execute a program, and what looks like one and fails.
let executionRoutes = plainExecutions + arguments + circumstances + executionsThatFail + endings

private let plainExecutions: [Route] = [
    .execution(
        "execve-absolute", [.program("p")], "exec {}/p {}/p one two", [.run("{}/p", "{}/p one two")]),
    .execution(
        "execve-relative", [.program("p")], "cd {} exec ./p ./p", [.run("{}/p", "./p", directory: "{}")]),
    .execution("path-search", [.program("p")], "path {} execvp p p x", [.run("{}/p", "p x")]),
    .execution(
        "path-search-in-the-second", [.directory("d"), .program("p")], "path {}/d:{} execvp p p x",
        [.run("{}/d/p", "p x", fails: ENOENT), .run("{}/p", "p x")]),
    .execution("execveat", [.program("p")], "execveat {} p p y", [.run("{}/p", "p y")]),
    .execution("fexecve", [.program("p")], "fexecve {}/p p z", [.run("{}/p", "p z")]),
    .execution("memfd", [.program("p")], "memfd {}/p p", [.run("/memfd:act", "p")]),
    .execution(
        "script", [.program("p"), .text("script", "#!{}/p -e\n")], "exec {}/script script one",
        [.run("{}/p", "{}/p -e {}/script one", interpreter: "{}/p")]),
    .execution(
        "script-of-a-script", [.program("p"), .text("inner", "#!{}/p\n"), .text("outer", "#!{}/inner\n")],
        "exec {}/outer outer one", [.run("{}/p", "{}/p {}/inner {}/outer one", interpreter: "{}/p")]),
    .execution("thread-execs", [.program("p")], "thread exec {}/p p", [.run("{}/p", "p")]),
    .execution("vfork", [.program("p")], "vfork {}/p p one", [.run("{}/p", "p one")]),
    .execution("posix_spawn", [.program("p")], "spawn {}/p p one", [.run("{}/p", "p one")]),
    .execution(
        "same-pid-twice", [.program("p")], "exec {act} act exec {}/p p",
        [.run("{act}", "act exec {}/p p"), .run("{}/p", "p")]),
]

private let arguments: [Route] = [
    // Since Linux 5.18 there is an empty one then; the program itself says how many it got.
    .execution("no-arguments", [.program("p")], "exec {}/p", [.run("{}/p", "")]),
    .execution("empty-arguments", [.program("p")], "exec {}/p p % x %", [.run("{}/p", "p % x %")]),
    .execution("5000-arguments", [], "many-arguments 5000 2", [.runMany(5000, length: 2)]),
    .execution("5000-long-arguments", [], "many-arguments 5000 20", [.runMany(5000, length: 20)]),
    .execution("argument-of-128-KiB", [], "many-arguments 4 131071", [.runMany(4, length: 131071)]),
    .execution(
        "arguments-not-utf8", [.program("p")], "exec {}/p p %FF%0A %1B", [.run("{}/p", "p %FF%0A %1B")]),
]

private let circumstances: [Route] = [
    .execution(
        "set-user-id", [.program("p", mode: 0o4755, owner: 4711)], "exec {}/p p",
        [.run("{}/p", "p", effectiveUser: 4711)]),
    .execution(
        "set-group-id", [.program("p", mode: 0o2755, owner: 4711)], "exec {}/p p", [.run("{}/p", "p")]),
    .execution(
        "deletes-itself", [.actor("self")], "unlink {}/self", [.unlink("{}/self")], program: "{}/self"),
    .execution(
        "i386-program", [.program("p", machine: .i386)], "exec {}/p p one", [.run("{}/p", "p one")],
        refusals: [ENOEXEC]),
    .execution(
        "i386-execve", [.program("p")], "i386 execve {}/p", [.run("{}/p", "{}/p")], unseen: ["in 32-bit"],
        refusals: [ENOSYS]),
    .execution(
        "chroot-exec", [.directory("root"), .program("root/p")], "chroot {}/root exec /p p",
        [.run("{}/root/p", "p", directory: "{}/root")]),
    .execution("pid-namespace-exec", [.program("p")], "pidns tell exec {}/p p", [.run("{}/p", "p")]),
    .execution(
        "private-mounts-exec", [.directory("m"), .program("p"), .directory("n")],
        "mountns tmpfs {}/m cd {}/m exec {}/p p", [.run("{}/p", "p", directory: "{}/m")]),
    .execution(
        "unit-of-short-life-exec", [.program("p"), .cgroup("system.slice/ebee-coverage-exec.service", .v2)],
        "cgroup {cgroup} exec {}/p p",
        [
            .run(
                "{}/p", "p", unit: "ebee-coverage-exec.service", cgroup: "/system.slice/ebee-coverage-exec.service")
        ]),
    .execution(
        "container-of-short-life-exec",
        [.program("p"), .cgroup("kubepods.slice/cri-containerd-\(containerID).scope", .v2)],
        "cgroup {cgroup} exec {}/p p",
        [.run("{}/p", "p", container: containerID, cgroup: "/kubepods.slice/cri-containerd-\(containerID).scope")]),
    .execution(
        "unit-of-short-life-exec-cgroup-v1",
        [.program("p"), .cgroup("system.slice/ebee-coverage-exec-v1.service", .v1)],
        "cgroup {cgroup} exec {}/p p", [.run("{}/p", "p", unit: "ebee-coverage-exec-v1.service")]),
]

private let executionsThatFail: [Route] = [
    .execution("exec-enoent", [], "exec {}/none none", fails: ENOENT, [.run("{}/none", "none")]),
    .execution("exec-enoent-relative", [], "cd {} exec ./none none", fails: ENOENT, [.run("{}/none", "none")]),
    .execution("exec-eacces", [.file("closed")], "exec {}/closed x", fails: EACCES, [.run("{}/closed", "x")]),
    .execution("exec-enoexec", [.text("x", "no program\n")], "exec {}/x x", fails: ENOEXEC, [.run("{}/x", "x")]),
    .execution(
        "i386-execve-enoent", [], "i386 execve {}/none", fails: ENOENT, [.run("{}/none", "{}/none")],
        unseen: ["in 32-bit"], refusals: [ENOSYS]),
    .execution(
        "exec-e2big", [], "many-arguments 4 131072", fails: E2BIG, [.runMany(4, length: 131072, as: "/proc/self/exe")]),
]

private let endings: [Route] = [
    .execution("exit-0", [], "exit 0", []),
    .execution("exit-3", [], "exit 3", []),
    .execution("killed-by-9", [], "kill 9", []),
    .execution("lived-1-ms", [], "exec {act} act sleep 1", [.run("{act}", "act sleep 1", lived: 1_000_000)]),
    .execution(
        "lived-2-s", [], "exec {act} act sleep 2000", [.run("{act}", "act sleep 2000", lived: 2_000_000_000)],
        isLong: true),
]
