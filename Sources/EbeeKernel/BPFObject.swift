import CEvents
import CLibbpf
import EbeeRecord

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
    init(name: String, image: [UInt8]) throws(SystemError) {
        var options = unsafe bpf_object_open_opts()
        unsafe options.sz = MemoryLayout<bpf_object_open_opts>.size
        let opened = unsafe name.withCString { cName in
            unsafe options.object_name = unsafe cName
            return unsafe image.withUnsafeBytes { unsafe bpf_object__open_mem($0.baseAddress, $0.count, &options) }
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

    func resize(map: String, entries: UInt32) throws(SystemError) {
        guard let found = unsafe bpf_object__find_map_by_name(object, map) else { throw SystemError("find map \(map)") }
        let result = unsafe bpf_map__set_max_entries(found, entries)
        if result != 0 { throw SystemError("size map \(map) to \(entries)", errno: result) }
    }

    func set(_ settings: ebee_settings) throws(SystemError) {
        var settings = settings
        guard let map = unsafe bpf_object__find_map_by_name(object, ".rodata.settings") else {
            throw SystemError("find the settings of \(name)")
        }
        let result = unsafe bpf_map__set_initial_value(map, &settings, MemoryLayout<ebee_settings>.size)
        if result != 0 { throw SystemError("set the settings of \(name)", errno: result) }
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
    /// As bpftool shows it.
    public let name: String
    /// How many instructions the verifier went through, where the kernel tells (Linux 5.16).
    public let verifiedInstructions: Int?
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

    /// What the verifier made of each program that was loaded.
    func programs() -> [LoadedProgram] {
        var programs: [LoadedProgram] = []
        unsafe forEachLoaded { program in
            var info = bpf_prog_info()
            var length = UInt32(MemoryLayout<bpf_prog_info>.size)
            guard unsafe bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length) == 0 else { return }
            unsafe programs.append(
                LoadedProgram(
                    name: String(cString: bpf_program__name(program)),
                    // 0 before Linux 5.16, which doesn't tell.
                    verifiedInstructions: info.verified_insns > 0 ? Int(info.verified_insns) : nil))
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
            for hook in hooks { unsafe links.add(try attach(program, to: hook)) }
        }
        return links
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

    deinit {
        for index in unsafe links.indices.reversed() { unsafe bpf_link__destroy(links[index]) }
    }
}
