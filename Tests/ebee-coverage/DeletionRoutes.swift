import Glibc

/// Every way to delete a file, and what looks like one and is none.
let deletionRoutes = plainDeletions + renames + victims + names + filesystems + actors + deletionsThatFail

/// unlink(2), rmdir(2), and every way to say where.
private let plainDeletions: [Route] = [
    .deletion("unlink", [.file("x")], "unlink {}/x", [.unlink("{}/x")]),
    .deletion("unlinkat-cwd", [.file("x")], "cd {} unlinkat @cwd x 0", [.unlink("{}/x")]),
    .deletion("unlinkat-descriptor", [.directory("d"), .file("d/x")], "unlinkat {}/d x 0", [.unlink("{}/d/x")]),
    .deletion(
        "dots-and-slashes", [.directory("d"), .directory("d/e"), .file("d/x")],
        "cd {}/d/e unlinkat @cwd ..//.//../d//x 0",
        [.unlink("{}/d/x")]),
    .deletion(
        "through-symlink", [.directory("d"), .file("d/x"), .symlink("link", to: "d")], "unlinkat {} link/x 0",
        [.unlink("{}/d/x")], misplaced: ["symbolic link"]),
    .deletion(
        "up-from-symlink", [.directory("d"), .directory("d/e"), .file("d/x"), .symlink("link", to: "d/e")],
        "unlink {}/link/../x", [.unlink("{}/d/x")], misplaced: ["symbolic link"]),
    .deletion(
        "cwd-through-symlink", [.directory("d"), .file("d/x"), .symlink("link", to: "d")], "cd {}/link unlink x",
        [.unlink("{}/d/x")]),
    .deletion("rmdir", [.directory("d")], "rmdir {}/d", [.rmdir("{}/d")]),
    .deletion("unlinkat-removedir", [.directory("d")], "unlinkat {} d 512", [.rmdir("{}/d")]),
    .deletion(
        "deleted-cwd", [.directory("d"), .file("x")], "cd {}/d rmdir {}/d then unlink ../x",
        [.rmdir("{}/d"), .unlink("{}/x")]),
]

private let renames: [Route] = [
    .deletion(
        "rename-over-file", [.file("new"), .file("old")], "rename {}/new {}/old", [.rename("{}/old", by: "{}/new")]),
    .deletion(
        "rename-over-directory", [.directory("new"), .directory("old")], "rename {}/new {}/old",
        [.rename("{}/old", by: "{}/new", .directory)]),
    .deletion("rename-to-free-name", [.file("new")], "rename {}/new {}/free", []),
    .deletion(
        "rename-noreplace", [.file("new"), .file("old")], "renameat2 {}/new {}/old 1", fails: EEXIST, [],
        refusals: [EINVAL, ENOSYS]),
    .deletion(
        "rename-exchange", [.file("new"), .file("old")], "renameat2 {}/new {}/old 2", [], refusals: [EINVAL, ENOSYS]),
    .deletion("rename-over-own-link", [.file("new"), .link("old", to: "new")], "rename {}/new {}/old", []),
]

/// What can be deleted.
private let victims: [Route] = [
    .deletion("one-of-two-links", [.file("y"), .link("x", to: "y")], "unlink {}/x", [.unlink("{}/x")]),
    .deletion(
        "rename-over-one-of-two-links", [.file("new"), .file("y"), .link("x", to: "y")], "rename {}/new {}/x",
        [.rename("{}/x", by: "{}/new")]),
    .deletion(
        "symlink", [.file("target"), .symlink("x", to: "target")], "unlink {}/x", [.unlink("{}/x", .symlink)]),
    .deletion("fifo", [.fifo("x")], "unlink {}/x", [.unlink("{}/x", .fifo)]),
    .deletion("socket", [.socket("x")], "unlink {}/x", [.unlink("{}/x", .socket)]),
    .deletion("device", [.device("x")], "unlink {}/x", [.unlink("{}/x", .char_device)]),
    .deletion("open-file", [.file("x")], "open {}/x unlink {}/x", [.unlink("{}/x")]),
    .deletion(
        "set-user-id-file", [.file("x", mode: 0o6751, owner: 4711)], "unlink {}/x", [.unlink("{}/x")]),
]

private let names: [Route] = [
    .deletion(
        "path-of-4000-bytes", [.chain(bytes: 4000), .file("{chain}/x")], "unlink {chain}/x", [.unlink("{chain}/x")]),
    .deletion(
        "path-of-4000-bytes-from-there", [.chain(bytes: 4000), .file("{chain}/x")], "cd {chain} unlink x",
        [.unlink("{chain}/x")]),
    .deletion("60-deep", [.chain(depth: 60), .file("{chain}/x")], "unlinkat {chain} x 0", [.unlink("{chain}/x")]),
    .deletion("name-newline", [.file("new%0Aline")], "unlink {}/new%0Aline", [.unlink("{}/new%0Aline")]),
    .deletion("name-escape", [.file("%1B[2J%0D")], "unlink {}/%1B[2J%0D", [.unlink("{}/%1B[2J%0D")]),
    .deletion("name-quote", [.file("%22'%5C%20$(id)")], "unlink {}/%22'%5C%20$(id)", [.unlink("{}/%22'%5C%20$(id)")]),
    .deletion("name-not-utf8", [.file("a%FF%FE%C3%28")], "unlink {}/a%FF%FE%C3%28", [.unlink("{}/a%FF%FE%C3%28")]),
]

private let filesystems: [Route] = [
    .deletion("ext4-unlink", on: .ext4, [.file("x")], "unlink {}/x", [.unlink("{}/x")]),
    .deletion("ext4-rmdir", on: .ext4, [.directory("d")], "rmdir {}/d", [.rmdir("{}/d")]),
    .deletion(
        "ext4-rename-over-file", on: .ext4, [.file("new"), .file("old")], "rename {}/new {}/old",
        [.rename("{}/old", by: "{}/new")]),
    .deletion(
        "ext4-one-of-two-links", on: .ext4, [.file("y"), .link("x", to: "y")], "unlink {}/x", [.unlink("{}/x")]),
    .deletion(
        "overlayfs-upper", layers + [.file("upper/x"), .overlay], "unlink {}/merged/x", [.unlink("{}/merged/x")]),
    .deletion(
        "overlayfs-lower", layers + [.file("lower/x"), .overlay], "unlink {}/merged/x",
        [.unlink("{}/merged/x", factsUnknown: ["lower layer"])]),
    .deletion(
        "overlayfs-both", layers + [.file("lower/x"), .file("upper/x"), .overlay], "unlink {}/merged/x",
        [.unlink("{}/merged/x")]),
    .deletion(
        "overlayfs-rmdir-lower", layers + [.directory("lower/d"), .overlay], "rmdir {}/merged/d",
        [.rmdir("{}/merged/d", factsUnknown: ["lower layer"])]),
    .deletion(
        "overlayfs-rename-over-upper", layers + [.file("upper/new"), .file("upper/old"), .overlay],
        "rename {}/merged/new {}/merged/old", [.rename("{}/merged/old", by: "{}/merged/new")]),
    .deletion(
        "overlayfs-rename-over-lower", layers + [.file("upper/new"), .file("lower/old"), .overlay],
        "rename {}/merged/new {}/merged/old",
        [.rename("{}/merged/old", by: "{}/merged/new", factsUnknown: ["lower layer"])], unseen: ["lower layer"]),
    .deletion(
        "bind-mount", [.directory("source"), .file("source/x"), .directory("target"), .bind("source", at: "target")],
        "unlink {}/target/x", [.unlink("{}/target/x")]),
    .deletion(
        "mount-below-mount",
        [
            .directory("a"), .tmpfs("a"), .directory("a/b"), .directory("a/b/c"), .tmpfs("a/b/c"),
            .file("a/b/c/x"),
        ], "cd {}/a/b/c unlink x", [.unlink("{}/a/b/c/x")]),
    .deletion(
        "private-mounts", [.directory("m")], "mountns tmpfs {}/m make {}/m/x unlink {}/m/x", [.unlink("{}/m/x")]),
    .deletion(
        "chroot", [.directory("root"), .directory("root/d"), .file("root/d/x")], "chroot {}/root unlink /d/x",
        [.unlink("{}/root/d/x")]),
    .deletion(
        "chroot-relative", [.directory("root"), .file("root/x")], "chroot {}/root unlink x", [.unlink("{}/root/x")]),
]

private let layers: [Step] = [
    .directory("lower"), .directory("upper"), .directory("work"), .directory("merged"),
]

/// Who deletes, and which way into the kernel they take.
private let actors: [Route] = [
    .deletion("thread", [.file("x")], "thread unlink {}/x", [.unlink("{}/x")]),
    .deletion("older-process", [.file("x")], "wait unlink {}/x", [.unlink("{}/x")], isOlder: true),
    .deletion("pid-namespace", [.file("x")], "pidns unlink {}/x", [.unlink("{}/x")]),
    .deletion(
        "io_uring-unlink", [.file("x")], "uring unlink {}/x", [.unlink("{}/x", via: "io_uring")],
        unseen: ["through io_uring"],
        refusals: withoutRing),
    .deletion(
        "io_uring-unlink-relative", [.file("x")], "cd {} uring unlink x", [.unlink("{}/x", via: "io_uring")],
        unseen: ["through io_uring"], refusals: withoutRing),
    .deletion(
        "io_uring-rmdir", [.directory("d")], "uring rmdir {}/d", [.rmdir("{}/d", via: "io_uring")],
        unseen: ["through io_uring"], refusals: withoutRing),
    .deletion(
        "io_uring-rename", [.file("new"), .file("old")], "uring rename {}/new {}/old",
        [.rename("{}/old", by: "{}/new", via: "io_uring")], unseen: ["through io_uring"], refusals: withoutRing),
    .deletion(
        "i386-unlink", [.file("x")], "i386 unlink {}/x", [.unlink("{}/x")], unseen: ["through 32-bit"],
        refusals: [ENOSYS]),
    .deletion(
        "i386-unlinkat", [.file("x")], "cd {} i386 unlinkat x", [.unlink("{}/x")], unseen: ["through 32-bit"],
        refusals: [ENOSYS]),
    .deletion(
        "i386-rmdir", [.directory("d")], "i386 rmdir {}/d", [.rmdir("{}/d")], unseen: ["through 32-bit"],
        refusals: [ENOSYS]),
    .deletion(
        "i386-rename", [.file("new"), .file("old")], "i386 rename {}/new {}/old", [.rename("{}/old", by: "{}/new")],
        unseen: ["through 32-bit"], refusals: [ENOSYS]),
    .deletion(
        "i386-renameat2", [.file("new"), .file("old")], "i386 renameat2 {}/new {}/old",
        [.rename("{}/old", by: "{}/new")], unseen: ["through 32-bit"], refusals: [ENOSYS]),
    .deletion(
        "unit-of-short-life", [.file("x"), .cgroup("system.slice/ebee-coverage-delete.service", .v2)],
        "cgroup {cgroup} unlink {}/x",
        [
            .unlink(
                "{}/x", unit: "ebee-coverage-delete.service", cgroup: "/system.slice/ebee-coverage-delete.service")
        ]),
    .deletion(
        "container-of-short-life", [.file("x"), .cgroup("system.slice/docker-\(containerID).scope", .v2)],
        "cgroup {cgroup} unlink {}/x",
        [.unlink("{}/x", container: containerID, cgroup: "/system.slice/docker-\(containerID).scope")]),
    .deletion(
        "unit-of-short-life-cgroup-v1", [.file("x"), .cgroup("system.slice/ebee-coverage-delete-v1.service", .v1)],
        "cgroup {cgroup} unlink {}/x", [.unlink("{}/x", unit: "ebee-coverage-delete-v1.service")]),
]

/// io_uring is switched off (sysctl kernel.io_uring_disabled, seccomp), not built in, or older than what is asked of it.
private let withoutRing = [EPERM, ENOSYS, EINVAL]

let containerID = String(repeating: "0123456789abcdef", count: 4)

private let deletionsThatFail: [Route] = [
    .deletion("enoent", [], "unlink {}/none", fails: ENOENT, [.unlink("{}/none")]),
    .deletion(
        "eperm-sticky", [.directory("d", mode: 0o1777), .file("d/x")], "uid 4711 unlink {}/d/x", fails: EPERM,
        [.unlink("{}/d/x")]),
    .deletion(
        "erofs", [.directory("m"), .tmpfs("m"), .file("m/x"), .readOnly("m")], "unlink {}/m/x", fails: EROFS,
        [.unlink("{}/m/x")]),
    .deletion(
        "enotempty", [.directory("d"), .file("d/x")], "rmdir {}/d", fails: ENOTEMPTY, [.rmdir("{}/d")]),
    .deletion(
        "io_uring-enoent", [], "uring unlink {}/none", fails: ENOENT, [.unlink("{}/none", via: "io_uring")],
        unseen: ["through io_uring"], refusals: withoutRing),
    .deletion(
        "i386-enoent", [], "i386 unlink {}/none", fails: ENOENT, [.unlink("{}/none")], unseen: ["through 32-bit"],
        refusals: [ENOSYS]),
    .deletion("ebusy", [.directory("m"), .tmpfs("m")], "rmdir {}/m", fails: EBUSY, [.rmdir("{}/m")]),
]
