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

/// BPF programs that record: loaded, attached, with their ring. Detached when the value goes, unless somebody else holds
/// their links too.
public struct Program: ~Copyable {
    /// What they record.
    public let recording: Recording
    /// Name of the rung in use.
    public let rung: String
    /// What that rung can't see or costs, in words.
    public let limits: [String]
    /// The programs.
    public let programs: [LoadedProgram]
    /// What they were made from, in short: the same where this ebeed, with these settings, would load the same.
    public let fingerprint: String
    /// Boot time from which on all of them were attached; nil of those that an earlier process attached.
    public let attached: UInt64?
    let handles: Handles
    let notice: Notice
    private let owner: Owner

    /// What is told of them.
    public struct Summary: Sendable {
        /// As in the program.
        public let rung: String
        /// Likewise.
        public let limits: [String]
        /// Likewise.
        public let programs: [LoadedProgram]
    }

    /// What is told of these.
    public var summary: Summary { Summary(rung: rung, limits: limits, programs: programs) }

    /// What outlives the process where somebody keeps it: descriptors, valid as long as the program.
    struct Handles {
        var ring: Int32
        var accounts: Int32
        var daemon: Int32
        var programs: [(name: String, descriptor: Int32)]
        var links: [Int32]
    }

    /// What the kernel did not show to programs.
    struct Skips: Sendable {
        /// How often it did not run each of them, because one was running on that cpu already, by name; absent where it does not tell
        /// (before Linux 5.12).
        var byProgram: [String: UInt64] = [:]
        /// Events that were not shown to them; at most so many, since two of them may have missed the same one.
        var events: UInt64 = 0
    }

    /// The same, each with the role that `adopt` asks for: letters, digits, `_` and `-`.
    public var kept: [(role: String, descriptor: Int32)] {
        [("ring", handles.ring), ("accounts", handles.accounts), ("daemon", handles.daemon)]
            + handles.programs.map { (Self.programRole + $0.name, $0.descriptor) }
            + handles.links.enumerated().map { (Self.linkRole + "\($0)", $1) }
    }

    private static let programRole = "program-"
    /// What the roles of links begin with: those who hold them keep the programs attached.
    public static let linkRole = "link-"

    /// The names of the programs among what was kept.
    public static func programs(in kept: [(role: String, descriptor: Int32)]) -> Set<String> {
        Set(kept.map(\.role).filter { $0.hasPrefix(programRole) }.map { String($0.dropFirst(programRole.count)) })
    }

    /// What the handles belong to: libbpf's objects, or, of programs that were taken over, nobody else.
    private final class Owner {
        // In the order of release: detach, then unload.
        var links: Links?
        let object: LoadedObject?
        private var adopted: [Int32]

        init(_ links: consuming Links, _ object: consuming LoadedObject) {
            self.links = consume links
            self.object = consume object
            adopted = []
        }

        init(adopted: [Int32]) {
            links = nil
            object = nil
            self.adopted = adopted
        }

        deinit { closeAdopted() }

        func closeAdopted() {
            for descriptor in adopted { close(descriptor) }
            adopted = []
        }
    }

    /// Tells the programs that this process is the one that reads: what it does is not recorded.
    func serve() { notice.tell(reader: getpid()) }

    /// From now on, what begins and is not seen to end was missed: all of them are attached, and they take nobody's place.
    public func takeCharge() { notice.tell(isInCharge: true) }

    /// How often the kernel did not run them.
    /// - Parameter hidesCalls: there were calls that kprobes were not run for.
    func skips(hidesCalls: Bool) -> Skips {
        let counts = handles.programs.map { ($0.name, LoadedProgram.recursionMisses($0.descriptor)) }
        let byProgram = Dictionary(counts) { first, _ in first }.compactMapValues { $0 }
        let decisive = hidesCalls ? recording.decisive.union(Recording.decisiveWhereHidden) : recording.decisive
        return Skips(
            byProgram: byProgram, events: byProgram.reduce(0) { $0 + (decisive.contains($1.key) ? $1.value : 0) })
    }

    /// Ends without detaching: somebody else holds the links.
    func leave() { owner.links?.leave() }

    /// Detaches those that were taken over, of which nobody else holds the links.
    func detach() { owner.closeAdopted() }

    /// Takes over the programs of an earlier process.
    /// - Parameter kept: descriptors by role, which this owns from now on, whatever comes of it.
    /// - Throws: when something of it is missing.
    public static func adopt(
        _ recording: Recording, rung name: String, fingerprint: String, kept: [(role: String, descriptor: Int32)]
    ) throws(SystemError) -> Program {
        try Program(adopting: recording, name, fingerprint, kept)
    }

    private init(
        adopting recording: Recording, _ name: String, _ fingerprint: String,
        _ kept: [(role: String, descriptor: Int32)]
    ) throws(SystemError) {
        let owner = Owner(adopted: kept.map(\.descriptor))
        func only(_ role: String) throws(SystemError) -> Int32 {
            guard let found = kept.first(where: { $0.role == role }) else {
                throw SystemError("find the \(role) of \(recording.stream) that was kept", errno: ENOENT)
            }
            return found.descriptor
        }
        let handles = try Handles(
            ring: only("ring"), accounts: only("accounts"), daemon: only("daemon"),
            programs: kept.filter { $0.role.hasPrefix(Self.programRole) }.map {
                (String($0.role.dropFirst(Self.programRole.count)), $0.descriptor)
            },
            links: kept.filter { $0.role.hasPrefix(Self.linkRole) }.map(\.descriptor))
        guard let rung = recording.rungs.first(where: { $0.name == name }) else {
            throw SystemError("go on with the hooks \(name) of \(recording.stream)", errno: ENOENT)
        }
        let notice = try Notice(handles.daemon, recording)
        self.recording = recording
        self.rung = name
        var present = Set(handles.programs.map(\.name))
        var preemption = Preemption()
        if let types = try? KernelTypes() {
            present = rung.withTraits(present, types)
            preemption = Preemption(of: types)
        }
        if !handles.links.contains(where: Links.isOfManyReturns) { present.remove(Recording.unlimitedReturns) }
        limits = rung.limits(present, preemption)
        programs = handles.programs.map { LoadedProgram(name: $0.name, descriptor: $0.descriptor) }
        self.fingerprint = fingerprint
        attached = nil
        self.handles = handles
        self.notice = notice
        self.owner = owner
    }

    /// Loads and attaches the best rung that this kernel takes, or the one that `settings` name.
    /// - Throws: `Unmet.kernel` with the reason of each rung when none can be had.
    public static func attach(_ recording: Recording, settings: ProgramSettings) throws(Unmet) -> Program {
        let types = try KernelTypes()
        let preemption = Preemption(of: types)
        var reasons: [String] = []
        for rung in recording.rungs(preemption) where settings.rung == nil || settings.rung == rung.name {
            do {
                return try Program(recording, rung, settings, types, preemption)
            } catch {
                reasons.append("\(rung.name): \(error)")
            }
        }
        throw .kernel("no hook of this kernel can record \(recording.stream) (\(reasons.joined(separator: "; ")))")
    }

    /// Whether programs with this rung and fingerprint are what `attach` would make now, as far as that can be told without asking the kernel
    /// for a better rung.
    public static func wouldBe(
        _ recording: Recording, settings: ProgramSettings, rung name: String, programs: Set<String>, fingerprint: String
    ) -> Bool {
        guard settings.rung == nil || settings.rung == name, let types = try? KernelTypes(),
            let rung = recording.rungs.first(where: { $0.name == name })
        else { return false }
        let wanted = rung.withTraits(programs, types)
        // The kernel may have refused this one.
        return [wanted, wanted.subtracting([Recording.unlimitedReturns])].contains { programs in
            guard let fixed = try? Self.settings(programs, settings, types) else { return false }
            return Self.fingerprint(recording, programs, fixed, settings) == fingerprint
        }
    }

    /// Names what programs were made from.
    private static func fingerprint(
        _ recording: Recording, _ programs: Set<String>, _ fixed: ebee_settings, _ settings: ProgramSettings
    ) -> String {
        var fingerprint = Fingerprint()
        unsafe fingerprint.add(recording.image)
        for name in programs.sorted() { fingerprint.add(Array(name.utf8) + [0]) }
        unsafe withUnsafeBytes(of: fixed) { unsafe fingerprint.add($0) }
        fingerprint.add("\(settings.ringBytes) \(lanes())".utf8)
        return String(fingerprint.value, radix: 16)
    }

    private static func settings(
        _ programs: Set<String>, _ settings: ProgramSettings, _ types: borrowing KernelTypes
    ) throws(SystemError) -> ebee_settings {
        let unlink = types.parameters(of: "vfs_unlink")
        return ebee_settings(
            cgroup_root: Self.cgroupRoot(), pid_namespace: try Self.inode("/proc/self/ns/pid"),
            arguments_limit: UInt32(settings.argumentBytes), report_failed: settings.failed ? 1 : 0,
            dentry_argument: UInt32(unlink.firstIndex(of: "dentry") ?? 0), unlink_arguments: UInt32(unlink.count),
            rmdir_arguments: UInt32(types.parameters(of: "vfs_rmdir").count),
            rename_arguments: UInt32(types.parameters(of: "vfs_rename").count),
            calls_32_bit: programs.isDisjoint(with: Recording.calls32Bit) ? 0 : 1,
            look_up: programs.contains(Recording.lookUp) ? 1 : 0,
            few_returns: programs.isDisjoint(with: Recording.notesOfCalls) ? 0 : 1)
    }

    /// What each rung would do here, without attaching anything that lasts.
    public static func probe(
        _ recording: Recording, settings: ProgramSettings
    ) throws(Unmet) -> [(rung: String, limits: [String], failure: SystemError?)] {
        let types = try KernelTypes()
        let preemption = Preemption(of: types)
        return recording.rungs(preemption).map { rung in
            do throws(SystemError) {
                let program = try Program(recording, rung, settings, types, preemption)
                return (rung.name, program.limits, nil)
            } catch {
                return (rung.name, [], error)
            }
        }
    }

    /// The rung with all that adds to it; what only adds must not cost the events themselves, so without it where the
    /// kernel refuses.
    private init(
        _ recording: Recording, _ rung: Rung, _ settings: ProgramSettings, _ types: borrowing KernelTypes,
        _ preemption: Preemption
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
        // Where the kernel refuses to hook returns all at once, it is the trait that goes, and no fact. With it, nothing is to be
        // noted.
        alternatives = alternatives.flatMap { additions in
            let hooksReturns = rung.programs.union(additions).contains { rung.isOfReturns($0) }
            let isTogether = hooksReturns && additions.contains(Recording.unlimitedReturns)
            return isTogether
                ? [
                    additions.subtracting(Recording.notesOfCalls), additions.subtracting([Recording.unlimitedReturns]),
                ] : [additions]
        }
        // Likewise where it has no trampolines.
        alternatives = alternatives.flatMap { additions in
            let others = additions.subtracting(Recording.notesOfHiddenCalls)
            return others == additions ? [additions] : [additions, others]
        }
        var failure: SystemError?
        for additions in alternatives {
            do throws(SystemError) {
                try self.init(recording, rung, additions: additions, settings, types, preemption)
                return
            } catch {
                failure = error
            }
        }
        throw failure ?? SystemError("load \(recording.object)", errno: ENOENT)
    }

    private init(
        _ recording: Recording, _ rung: Rung, additions: Set<String>, _ settings: ProgramSettings,
        _ types: borrowing KernelTypes, _ preemption: Preemption
    ) throws(SystemError) {
        let opened = unsafe try OpenObject(name: recording.object, image: recording.image)
        let programs = rung.programs.union(additions)
        let fixed = try Self.settings(programs, settings, types)
        opened.choose(programs)
        if programs.contains(Recording.unlimitedReturns) {
            opened.attachTogether(programs.filter { rung.isOfReturns($0) })
        }
        try opened.resize(map: "ring", entries: UInt32(settings.ringBytes))
        try opened.resize(map: "scratches", entries: UInt32(Self.lanes()))
        try opened.resize(map: "accounts", entries: UInt32(Self.lanes()))
        if fixed.few_returns == 0 { try opened.resize(map: "calls", entries: 1) }
        try opened.set(".rodata.settings", to: fixed)
        try opened.set(".data.daemon", to: ebee_daemon(pid: UInt32(getpid()), is_in_charge: 0))
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
        let (ring, accounts, daemon) = try (loaded.map("ring"), loaded.map("accounts"), loaded.map(".data.daemon"))
        let links = try loaded.attach(places)
        let notice = try Notice(daemon, recording)
        _ = consume tracefs
        self.recording = recording
        self.rung = rung.name
        self.notice = notice
        limits = rung.limits(additions, preemption)
        attached = Clock.boot()
        let descriptors = loaded.programs()
        self.programs = descriptors.map { LoadedProgram(name: $0.name, descriptor: $0.descriptor) }
        fingerprint = Self.fingerprint(recording, programs, fixed, settings)
        handles = Handles(
            ring: ring, accounts: accounts, daemon: daemon, programs: descriptors, links: links.descriptors)
        owner = Owner(links, loaded)
    }

    /// How many lanes the cpus of this machine can have.
    public static func lanes() -> Int { max(1, Int(libbpf_num_possible_cpus())) * Int(EBEE_LANES) }

    private static func inode(_ path: String) throws(SystemError) -> UInt32 {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw SystemError("look at \(path)") }
        return UInt32(truncatingIfNeeded: status.st_ino)
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
