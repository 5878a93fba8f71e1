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

    /// Attaches every program that was loaded to the hook that its section names, and to those of `further`.
    func attach(further: [String: [Tracepoint]]) throws(SystemError) -> Links {
        var links = Links()
        var program = unsafe bpf_object__next_program(object, nil)
        while let current = unsafe program {
            if unsafe bpf_program__autoload(current) {
                guard let link = unsafe bpf_program__attach(current) else {
                    throw SystemError("attach \(name): \(unsafe String(cString: bpf_program__section_name(current)))")
                }
                unsafe links.add(link)
                for tracepoint in unsafe further[String(cString: bpf_program__name(current))] ?? [] {
                    guard
                        let link = unsafe bpf_program__attach_tracepoint(current, tracepoint.category, tracepoint.name)
                    else { throw SystemError("attach \(name): tp/\(tracepoint.category)/\(tracepoint.name)") }
                    unsafe links.add(link)
                }
            }
            unsafe program = bpf_object__next_program(object, current)
        }
        return links
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
