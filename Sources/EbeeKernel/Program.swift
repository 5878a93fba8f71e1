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
    /// Also record deletions that fail.
    public var failedDeletions: Bool

    /// Settings within the ranges that the configuration allows.
    public init(ringBytes: Int, argumentBytes: Int, failedDeletions: Bool) {
        self.ringBytes = ringBytes
        self.argumentBytes = argumentBytes
        self.failedDeletions = failedDeletions
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
    // In the order of release: detach, then unload.
    private let links: Links
    let object: LoadedObject

    /// Loads and attaches the best rung that this kernel takes.
    /// - Throws: `Unmet.kernel` with the reason of each rung when none can be had.
    public static func attach(_ recording: Recording, settings: ProgramSettings) throws(Unmet) -> Program {
        var reasons: [String] = []
        for rung in recording.rungs {
            do {
                return try Program(recording, rung, settings)
            } catch {
                reasons.append("\(rung.name): \(error)")
            }
        }
        throw .kernel("no hook of this kernel can record \(recording.stream) (\(reasons.joined(separator: "; ")))")
    }

    /// What each rung would do here, without attaching anything that lasts.
    public static func probe(
        _ recording: Recording, settings: ProgramSettings
    ) -> [(rung: String, limits: [String], failure: SystemError?)] {
        recording.rungs.map { rung in
            do throws(SystemError) {
                let program = try Program(recording, rung, settings)
                return (rung.name, program.limits, nil)
            } catch {
                return (rung.name, [], error)
            }
        }
    }

    private init(_ recording: Recording, _ rung: Rung, _ settings: ProgramSettings) throws(SystemError) {
        let extras = Self.available(rung)
        do throws(SystemError) {
            try self.init(recording, rung, extras: extras, settings)
        } catch {
            // A tracepoint that only adds facts must not cost the events themselves.
            if extras.isEmpty { throw error }
            try self.init(recording, rung, extras: [], settings)
        }
    }

    private init(
        _ recording: Recording, _ rung: Rung, extras: Set<String>, _ settings: ProgramSettings
    ) throws(SystemError) {
        let opened = try OpenObject(name: recording.object, image: recording.image)
        opened.choose(rung.programs.union(extras))
        try opened.resize(map: "ring", entries: UInt32(settings.ringBytes))
        try opened.resize(map: "scratches", entries: UInt32(Self.cpus()))
        try opened.set(
            ebee_settings(
                cgroup_root: Self.cgroupRoot(), pid: UInt32(getpid()), pid_namespace: Self.inode("/proc/self/ns/pid"),
                arguments_limit: UInt32(settings.argumentBytes), report_failed: settings.failedDeletions ? 1 : 0))
        let loaded = try opened.load()
        let tracefs = try Tracefs()
        let links = try loaded.attach(further: rung.alsoAt)
        _ = consume tracefs
        self.recording = recording
        self.rung = rung.name
        limits = rung.limits(extras)
        object = loaded
        self.links = links
    }

    private static func available(_ rung: Rung) -> Set<String> {
        guard let types = try? KernelTypes() else { return [] }
        return Set(rung.extras.filter { types.has(tracepoint: $0.value) }.keys)
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
