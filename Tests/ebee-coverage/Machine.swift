import Glibc

/// Where the routes are: a tmpfs and an ext4 of their own in this process's mount namespace, and cgroups. A process that
/// is killed takes all of it with it, but for a directory and cgroups that are empty.
final class Machine {
    /// A tmpfs.
    let base: [UInt8]
    /// An ext4, or why there is none.
    private let ext4: Result<[UInt8], Failure>
    private(set) var cgroups: Cgroups

    init() throws {
        // Where there is nothing but an initramfs, there need not be a /tmp.
        let parent = ["/tmp", "/run", ""].first { unsafe access($0 + "/", W_OK) == 0 } ?? ""
        var template = cString(Array("\(parent)/ebee-coverage-XXXXXX".utf8))
        guard unsafe mkdtemp(&template) != nil else { throw Failure("make a directory in \(parent)/") }
        let base = template.dropLast().map { UInt8(bitPattern: $0) }
        self.base = base
        do {
            try System.chmod(base, 0o755)
            try System.mount(type: "tmpfs", at: base, options: "mode=755")
        } catch {
            try? System.remove(directory: base)
            throw error
        }
        ext4 = Result { () throws(Failure) in try Self.makeExt4(in: base) }
        cgroups = Cgroups(in: base)
    }

    /// The directory below which routes on that filesystem have theirs.
    func root(_ filesystem: Route.Filesystem) throws -> [UInt8] {
        filesystem == .tmpfs ? base : try ext4.get()
    }

    /// Makes a cgroup for one route.
    func cgroup(_ path: String, _ version: Cgroups.Version) throws -> [UInt8] { try cgroups.make(path, version) }

    /// Undoes all of it.
    func leave() {
        cgroups.remove()
        do {
            try System.detach(base)
            try System.remove(directory: base)
        } catch {
            Report.progress("\(error)")
        }
    }

    /// Makes a filesystem in a file and mounts it through a loop device, which goes with the mount.
    private static func makeExt4(in base: [UInt8]) throws(Failure) -> [UInt8] {
        let image = base / "ext4.img"
        let target = base / "ext4"
        do {
            guard let program = Programs.find("mkfs.ext4") else { throw Failure("there is no mkfs.ext4 here", 0) }
            try System.directory(target)
            try System.file(image, [])
            try System.check("size", image, unsafe truncate(cString(image), 16 << 20))
            // Inodes of 256 bytes have times to the nanosecond, and that of their birth.
            let words = ["-q", "-F", "-I", "256"].map { Array($0.utf8) } + [image]
            let maker = try Child([program] + words)
            guard try maker.finish().code == 0 else {
                throw Failure("mkfs.ext4: \(String(decoding: maker.errors, as: UTF8.self))", 0)
            }
            try System.mount(attachLoop(image, in: base), at: target, type: "ext4")
            return target
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure("\(error)", 0)
        }
    }

    /// The numbers are those of <linux/loop.h>, whose macros Swift doesn't see; LOOP_CONFIGURE is there since Linux 5.8.
    private static func attachLoop(_ image: [UInt8], in base: [UInt8]) throws -> [UInt8] {
        let (getFree, configure, autoClear) = (UInt(0x4c82), UInt(0x4c0a), UInt8(4))
        // Nodes of our own: /dev need not have any.
        let control = base / "loop-control"
        try System.check("make device", control, unsafe mknod(cString(control), S_IFCHR | 0o600, 10 << 8 | 237))
        let controls = unsafe open(cString(control), O_RDWR | O_CLOEXEC)
        try System.check("open", control, controls)
        let file = unsafe open(cString(image), O_RDWR | O_CLOEXEC)
        try System.check("open", image, file)
        defer { for descriptor in [controls, file] { close(descriptor) } }
        // Another process may be faster to take the free one.
        for attempt in 0..<10 {
            let number = ioctl(controls, getFree, 0)
            try System.check("get a free loop device from", control, number)
            let device = base / "loop\(attempt)"
            try System.check(
                "make device", device, unsafe mknod(cString(device), S_IFBLK | 0o600, 7 << 8 | dev_t(number)))
            let loop = unsafe open(cString(device), O_RDWR | O_CLOEXEC)
            try System.check("open", device, loop)
            // struct loop_config: the descriptor first, the flags of its loop_info64 at 60.
            var configuration = [UInt8](repeating: 0, count: 304)
            unsafe configuration.withUnsafeMutableBytes { unsafe $0.storeBytes(of: file, as: Int32.self) }
            configuration[60] = autoClear
            // It clears itself when nobody has it open: until it is mounted, and then on, this process has.
            if unsafe ioctl(loop, configure, &configuration) == 0 { return device }
            let failure = Failure("configure \(shown(device))")
            close(loop)
            guard failure.errno == EBUSY else { throw failure }
        }
        throw Failure("no loop device is free", 0)
    }
}

/// The cgroups of this machine: those that are mounted, or mounted for this, and what was made in them.
struct Cgroups {
    enum Version { case v1, v2 }

    private var roots: [Version: Result<[UInt8], Failure>] = [:]
    private var made: [[UInt8]] = []

    init(in base: [UInt8]) {
        for version in [Version.v2, .v1] { roots[version] = Self.find(version, in: base) }
    }

    private static func find(_ version: Version, in base: [UInt8]) -> Result<[UInt8], Failure> {
        let (type, options) = version == .v2 ? ("cgroup2", "") : ("cgroup", "none,name=systemd")
        let mounts = (try? System.content(Array("/proc/self/mountinfo".utf8))) ?? []
        for line in String(decoding: mounts, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), words.count > dash + 3, words[dash + 1] == type else {
                continue
            }
            if version == .v1, !words[dash + 3].split(separator: ",").contains("name=systemd") { continue }
            return .success(Array(words[4].utf8))
        }
        let target = base / type
        do {
            // With systemd in cgroup v2, what units there are is said there, whatever else is mounted.
            if version == .v1 {
                let own = String(decoding: try System.content(Array("/proc/self/cgroup".utf8)), as: UTF8.self)
                let isUnified = own.split(separator: "\n").contains { $0.hasPrefix("0::") && $0 != "0::/" }
                if isUnified { throw Failure("the units of this machine are in cgroup v2", 0) }
            }
            try System.directory(target)
            try System.mount(type: type, at: target, options: options)
            return .success(target)
        } catch {
            return .failure(error as? Failure ?? Failure("\(error)", 0))
        }
    }

    /// The directory of a cgroup at this path, with those above it.
    mutating func make(_ path: String, _ version: Version) throws -> [UInt8] {
        guard var directory = try roots[version]?.get() else { throw Failure("no cgroups", 0) }
        let names = path.split(separator: "/")
        for (index, name) in names.enumerated() {
            directory = directory / String(name)
            let isThere = unsafe access(cString(directory), F_OK) == 0
            if !isThere { try System.directory(directory) }
            // The innermost is nobody else's: one that a killed run left behind goes as well.
            if !isThere || index == names.count - 1 { made.append(directory) }
        }
        return directory
    }

    /// A cgroup can be removed a moment after its last process has gone.
    mutating func remove() {
        for directory in made.reversed() {
            do {
                try wait("\(shown(directory)) to be removable", seconds: 2) {
                    unsafe rmdir(cString(directory)) == 0 ? true : nil
                }
            } catch {
                Report.progress("can't remove \(shown(directory)): \(errnoName(errno))")
            }
        }
        made = []
    }
}

/// Programs by their name.
enum Programs {
    static func find(_ name: String) -> [UInt8]? {
        let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/bin:/bin"
        return (path + ":/usr/sbin:/sbin").split(separator: ":").map { "\($0)/\(name)" }
            .map { Array($0.utf8) }.first { unsafe access(cString($0), X_OK) == 0 }
    }

    /// A path as the kernel shows it.
    static func real(_ path: String) throws -> [UInt8] {
        guard let real = unsafe realpath(path, nil) else { throw Failure("find \(path)") }
        defer { unsafe free(real) }
        return unsafe Array(String(cString: real).utf8)
    }
}
