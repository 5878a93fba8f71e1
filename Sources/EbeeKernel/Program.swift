import CEvents
import CLibbpf
import EbeeRecord
import CLinux
import EbeeWindow
import Glibc

/// Limits of a recording that the kernel has to know.
public struct ProgramSettings: Sendable {
    /// Bytes of the ring; a power of two, at least a page.
    public var ringBytes: Int
    /// Bytes of arguments that are kept of each execution.
    public var argumentBytes: Int
    /// Also record what fails.
    public var failed: Bool
    /// Also see what 32-bit system calls delete, where that has a price.
    public var calls32Bit: Bool
    /// The only rung to use; nil: the best that the kernel takes.
    public var rung: String?

    /// Settings within the ranges that the configuration allows.
    public init(ringBytes: Int, argumentBytes: Int, failed: Bool, calls32Bit: Bool = true, rung: String? = nil) {
        self.ringBytes = ringBytes
        self.argumentBytes = argumentBytes
        self.failed = failed
        self.calls32Bit = calls32Bit
        self.rung = rung
    }
}

/// A BPF program that records: loaded, attached, with its ring. Released in the reverse order when the value goes.
public struct Program: ~Copyable {
    /// What it records.
    public let recording: Recording
    /// Name of the rung in use.
    public let rung: String
    /// What that rung can't see or costs, in words.
    public let limits: [String]
    /// The programs that make it up.
    public let programs: [LoadedProgram]
    // In the order of release: detach, then unload.
    private let links: Links
    let object: LoadedObject

    /// Loads and attaches the best rung that this kernel takes, or the one that `settings` name.
    /// - Throws: `Unmet.kernel` with the reason of each rung when none can be had.
    public static func attach(_ recording: Recording, settings: ProgramSettings) throws(Unmet) -> Program {
        let types = try KernelTypes()
        var reasons: [String] = []
        for rung in recording.rungs where settings.rung == nil || settings.rung == rung.name {
            do {
                return try Program(recording, rung, settings, types)
            } catch {
                reasons.append("\(rung.name): \(error)")
            }
        }
        throw .kernel("no hook of this kernel can record \(recording.stream) (\(reasons.joined(separator: "; ")))")
    }

    /// What each rung would do here, without attaching anything that lasts.
    public static func probe(
        _ recording: Recording, settings: ProgramSettings
    ) throws(Unmet) -> [(rung: String, limits: [String], failure: SystemError?)] {
        let types = try KernelTypes()
        return recording.rungs.map { rung in
            do throws(SystemError) {
                let program = try Program(recording, rung, settings, types)
                return (rung.name, program.limits, nil)
            } catch {
                return (rung.name, [], error)
            }
        }
    }

    /// The rung with all that adds to it; what only adds must not cost the events themselves, so without it where the
    /// kernel refuses.
    private init(
        _ recording: Recording, _ rung: Rung, _ settings: ProgramSettings, _ types: borrowing KernelTypes
    ) throws(SystemError) {
        for need in rung.needs where !types.meets(need) { throw SystemError("look for \(need)", errno: ENOENT) }
        var facts = Set(rung.facts.filter { _, needs in needs.contains { types.meets($0) } }.keys)
        for (program, better) in rung.substitutes where facts.contains(better) { facts.remove(program) }
        if !settings.calls32Bit { facts.subtract(Recording.calls32Bit) }
        var alternatives: [Set<String>] = []
        for failures in settings.failed ? rung.failures : [] {
            // Those that hook functions would be attached, and never called.
            if !failures.values.contains(where: \.isEmpty), !types.meets(.functionTracing) { continue }
            let available = failures.filter { name, needs in
                (needs.isEmpty || needs.contains { types.meets($0) })
                    && (settings.calls32Bit || !Recording.calls32Bit.contains(name))
            }
            if !available.isEmpty { alternatives.append(facts.union(available.keys)) }
        }
        alternatives.append(facts)
        if !facts.isEmpty { alternatives.append([]) }
        var failure: SystemError?
        for additions in alternatives {
            do throws(SystemError) {
                try self.init(recording, rung, additions: additions, settings, types)
                return
            } catch {
                failure = error
            }
        }
        throw failure ?? SystemError("load \(recording.object)", errno: ENOENT)
    }

    private init(
        _ recording: Recording, _ rung: Rung, additions: Set<String>, _ settings: ProgramSettings,
        _ types: borrowing KernelTypes
    ) throws(SystemError) {
        let opened = try OpenObject(name: recording.object, image: recording.image)
        opened.choose(rung.programs.union(additions))
        try opened.resize(map: "ring", entries: UInt32(settings.ringBytes))
        try opened.resize(map: "scratches", entries: UInt32(Self.cpus()))
        let unlink = types.parameters(of: "vfs_unlink")
        try opened.set(
            ebee_settings(
                cgroup_root: Self.cgroupRoot(), pid: UInt32(getpid()), pid_namespace: Self.inode("/proc/self/ns/pid"),
                arguments_limit: UInt32(settings.argumentBytes), report_failed: settings.failed ? 1 : 0,
                dentry_argument: UInt32(unlink.firstIndex(of: "dentry") ?? 0), unlink_arguments: UInt32(unlink.count),
                rmdir_arguments: UInt32(types.parameters(of: "vfs_rmdir").count),
                rename_arguments: UInt32(types.parameters(of: "vfs_rename").count),
                calls_32_bit: additions.isDisjoint(with: Recording.calls32Bit) ? 0 : 1,
                look_up: additions.contains(Recording.lookUp) ? 1 : 0))
        let loaded = try opened.load()
        let tracefs = try Tracefs()
        // Of the places, those that this kernel has.
        let places = rung.places.mapValues { hooks in
            hooks.filter { hook in
                switch hook {
                case .tracepoint: true
                case .entry(let function), .exit(let function): types.meets(.function(function))
                }
            }
        }
        let links = try loaded.attach(places)
        _ = consume tracefs
        self.recording = recording
        self.rung = rung.name
        limits = rung.limits(additions)
        programs = loaded.programs()
        object = loaded
        self.links = links
    }

    /// How many cpus this machine can have.
    public static func cpus() -> Int { max(1, Int(libbpf_num_possible_cpus())) }

    private static func inode(_ path: String) -> UInt32 {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? UInt32(truncatingIfNeeded: status.st_ino) : 0
    }

    /// The root of the unified cgroup tree as this process sees it: its inode number is the node's own (kernfs). 1 is the
    /// root of all.
    private static func cgroupRoot() -> UInt64 {
        for path in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            var status = stat()
            // Only a directory of the unified tree has this file (cgroups(7)).
            if unsafe access(path + "/cgroup.controllers", F_OK) == 0, unsafe stat(path, &status) == 0 {
                return UInt64(status.st_ino)
            }
        }
        return 1
    }
}
