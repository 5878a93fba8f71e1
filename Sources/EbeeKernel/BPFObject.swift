import CEvents
import CLibbpf
import EbeeRecord
import Glibc

/// libbpf's object, closed with this value.
@safe private struct ObjectHandle: ~Copyable {
    let object: OpaquePointer

    init(_ object: OpaquePointer) { unsafe self.object = object }

    deinit { unsafe bpf_object__close(object) }
}

/// An object file that was opened: its programs can be chosen, its maps sized, its settings made.
struct OpenObject: ~Copyable {
    private let handle: ObjectHandle
    private let name: String

    private var object: OpaquePointer { unsafe handle.object }

    /// - Parameter image: the ELF file, kept by libbpf only while this runs.
    init(name: String, image: UnsafeRawBufferPointer) throws(SystemError) {
        var options = unsafe bpf_object_open_opts()
        unsafe options.sz = MemoryLayout<bpf_object_open_opts>.size
        let opened = unsafe name.withCString { cName in
            unsafe options.object_name = unsafe cName
            return unsafe bpf_object__open_mem(image.baseAddress, image.count, &options)
        }
        guard let object = unsafe opened else { throw SystemError("open \(name)") }
        handle = unsafe ObjectHandle(object)
        self.name = name
    }

    /// Loads only the programs that `wanted` names.
    func choose(_ wanted: Set<String>) {
        var program = unsafe bpf_object__next_program(object, nil)
        while let current = unsafe program {
            let name = unsafe String(cString: bpf_program__name(current))
            unsafe bpf_program__set_autoload(current, wanted.contains(name))
            unsafe program = bpf_object__next_program(object, current)
        }
    }

    /// Makes of programs for the returns of functions such as are attached to all of their functions at once.
    func attachTogether(_ names: Set<String>) {
        for name in names {
            guard let program = unsafe bpf_object__find_program_by_name(object, name) else { continue }
            unsafe bpf_program__set_expected_attach_type(program, BPF_TRACE_KPROBE_MULTI)
        }
    }

    func resize(map: String, entries: UInt32) throws(SystemError) {
        guard let found = unsafe bpf_object__find_map_by_name(object, map) else { throw SystemError("find map \(map)") }
        let result = unsafe bpf_map__set_max_entries(found, entries)
        if result != 0 { throw SystemError("size map \(map) to \(entries)", errno: result) }
    }

    /// Sets the variable that is all of a section.
    func set<Value: BitwiseCopyable>(_ section: String, to value: Value) throws(SystemError) {
        guard let map = unsafe bpf_object__find_map_by_name(object, section) else {
            throw SystemError("find \(section) of \(name)")
        }
        let result = unsafe withUnsafeBytes(of: value) {
            unsafe bpf_map__set_initial_value(map, $0.baseAddress, $0.count)
        }
        if result != 0 { throw SystemError("set \(section) of \(name)", errno: result) }
    }

    /// Hands the object to the kernel, whose verifier has the last word.
    consuming func load() throws(SystemError) -> LoadedObject {
        let result = unsafe bpf_object__load(object)
        if result != 0 { throw SystemError("load \(name)", errno: result) }
        return LoadedObject(handle: handle, name: name)
    }
}

/// A program in the kernel.
public struct LoadedProgram: Sendable {
    /// As bpftool shows it, where that has room for it.
    public let name: String
    /// How many instructions the verifier went through, where the kernel tells (Linux 5.16).
    public let verifiedInstructions: Int?

    init(name: String, descriptor: Int32) {
        self.name = name
        var info = bpf_prog_info()
        var length = UInt32(MemoryLayout<bpf_prog_info>.size)
        let isKnown = unsafe bpf_obj_get_info_by_fd(descriptor, &info, &length) == 0
        verifiedInstructions = isKnown && info.verified_insns > 0 ? Int(info.verified_insns) : nil
    }

    /// How often the kernel did not run a program, because one was running on that cpu already; nil where it doesn't say (before
    /// Linux 5.12). Read from /proc: before Linux 6.5, bpf(2) tells nothing to who has no capability, not even of what they hold open.
    static func recursionMisses(_ descriptor: Int32) -> UInt64? {
        let key = "recursion_misses:"
        let lines = SmallFile.read("/proc/self/fdinfo/\(descriptor)")?.split(separator: "\n") ?? []
        return lines.first { $0.hasPrefix(key) }.flatMap { line in
            UInt64(line.dropFirst(key.count).drop { $0 == "\t" || $0 == " " })
        }
    }
}

/// An object whose programs and maps are in the kernel.
struct LoadedObject: ~Copyable {
    private let handle: ObjectHandle
    private let name: String

    private var object: OpaquePointer { unsafe handle.object }

    fileprivate init(handle: consuming ObjectHandle, name: String) {
        self.handle = handle
        self.name = name
    }

    /// The descriptor of a map, valid as long as this value.
    func map(_ map: String) throws(SystemError) -> Int32 {
        let descriptor = unsafe bpf_object__find_map_fd_by_name(object, map)
        if descriptor < 0 { throw SystemError("find map \(map) of \(name)", errno: descriptor) }
        return descriptor
    }

    /// The programs that were loaded, with their descriptors, which are valid as long as this value.
    func programs() -> [(name: String, descriptor: Int32)] {
        var programs: [(name: String, descriptor: Int32)] = []
        unsafe forEachLoaded { program in
            unsafe programs.append((String(cString: bpf_program__name(program)), bpf_program__fd(program)))
        }
        return programs
    }

    private func forEachLoaded<Failure>(
        _ body: (OpaquePointer) throws(Failure) -> Void
    ) throws(Failure) {
        var program = unsafe bpf_object__next_program(object, nil)
        while let current = unsafe program {
            if unsafe bpf_program__autoload(current) { unsafe try body(current) }
            unsafe program = bpf_object__next_program(object, current)
        }
    }

    /// Attaches every program that was loaded: to the hooks that `places` has for it, otherwise to that of its section.
    func attach(_ places: [String: [Hook]]) throws(SystemError) -> Links {
        var links = Links()
        unsafe try forEachLoaded { (program) throws(SystemError) in
            guard let hooks = unsafe places[String(cString: bpf_program__name(program))] else {
                guard let link = unsafe bpf_program__attach(program) else {
                    throw SystemError("attach \(name): \(unsafe String(cString: bpf_program__section_name(program)))")
                }
                return unsafe links.add(link)
            }
            if unsafe bpf_program__get_expected_attach_type(program) == BPF_TRACE_KPROBE_MULTI {
                return unsafe links.add(try attach(program, toReturnsOf: hooks))
            }
            for hook in hooks { unsafe links.add(try attach(program, to: hook)) }
        }
        return links
    }

    private func attach(_ program: OpaquePointer, toReturnsOf hooks: [Hook]) throws(SystemError) -> OpaquePointer {
        let functions: [UnsafeMutablePointer<CChar>?] = unsafe hooks.compactMap { hook in
            guard case .exit(let function) = hook else { return nil }
            return unsafe strdup(function)
        }
        defer { unsafe functions.forEach { unsafe free($0) } }
        var symbols = unsafe functions.map { unsafe UnsafePointer($0) }
        let link = unsafe symbols.withUnsafeMutableBufferPointer { symbols in
            var options = unsafe bpf_kprobe_multi_opts()
            unsafe options.sz = MemoryLayout<bpf_kprobe_multi_opts>.size
            unsafe options.syms = symbols.baseAddress
            unsafe options.cnt = symbols.count
            unsafe options.retprobe = true
            return unsafe bpf_program__attach_kprobe_multi_opts(program, nil, &options)
        }
        guard let link = unsafe link else {
            throw SystemError("attach \(name): \(hooks.map(\.description).joined(separator: ", "))")
        }
        return unsafe link
    }

    private func attach(_ program: OpaquePointer, to hook: Hook) throws(SystemError) -> OpaquePointer {
        let link: OpaquePointer?
        switch hook {
        case .tracepoint(let category, let name): unsafe link = bpf_program__attach_tracepoint(program, category, name)
        case .entry(let function): unsafe link = bpf_program__attach_kprobe(program, false, function)
        case .exit(let function): unsafe link = bpf_program__attach_kprobe(program, true, function)
        }
        guard let link = unsafe link else { throw SystemError("attach \(name): \(hook)") }
        return unsafe link
    }
}

/// Programs that are attached: the kernel runs them until this value ends.
@safe struct Links: ~Copyable {
    private var links: [OpaquePointer]

    fileprivate init() { unsafe links = [] }

    fileprivate mutating func add(_ link: OpaquePointer) { unsafe links.append(link) }

    /// Of each link, valid as long as this value. Before Linux 5.15 that of a tracepoint or kprobe is its perf event.
    var descriptors: [Int32] { unsafe links.map { unsafe bpf_link__fd($0) } }

    /// Whether a link is to the returns of functions, all at once: since Linux 6.17 that says so, before it looks like one to where they
    /// begin (kernel/bpf/syscall.c, bpf_link_show_fdinfo()), of which there are none.
    static func isOfManyReturns(_ descriptor: Int32) -> Bool {
        let lines = SmallFile.read("/proc/self/fdinfo/\(descriptor)")?.split(separator: "\n") ?? []
        return lines.contains { ["link_type:\tkretprobe_multi", "link_type:\tkprobe_multi"].contains($0) }
    }

    /// Gives them up without detaching: libbpf would disable the perf event behind a link, also for whoever else holds it.
    mutating func leave() {
        for index in unsafe links.indices { unsafe bpf_link__disconnect(links[index]) }
    }

    deinit {
        for index in unsafe links.indices.reversed() { unsafe bpf_link__destroy(links[index]) }
    }
}
