import CLinux
import EbeeRecord
import Glibc

/// A memory file, mapped: the bytes that a window keeps its records in. Being a file, it can outlive the process.
@safe struct MemoryFile: ~Copyable, @unchecked Sendable {
    let descriptor: Int32
    let size: Int
    /// The mapping, valid as long as this value.
    let base: UnsafeMutableRawPointer

    /// - Parameters:
    ///   - name: shows in /proc/PID/maps.
    ///   - file: an empty file to take in place of an anonymous one; this owns it.
    init(name: String, size: Int, file: Int32?) throws(SystemError) {
        let descriptor = unsafe file ?? ebee_memory_file(name, size)
        guard descriptor >= 0 else { throw SystemError("memfd_create \(name)") }
        if file != nil, ftruncate(descriptor, size) != 0 {
            let error = SystemError("give \(name) \(size) bytes")
            close(descriptor)
            throw error
        }
        try self.init(mapping: descriptor, size: size)
    }

    /// Takes over the file behind `descriptor`, which an earlier process made, and the descriptor too.
    init(adopting descriptor: Int32) throws(SystemError) {
        var status = stat()
        if unsafe fstat(descriptor, &status) != 0 {
            let error = SystemError("stat the memory file \(descriptor)")
            close(descriptor)
            throw error
        }
        try self.init(mapping: descriptor, size: Int(status.st_size))
    }

    private init(mapping descriptor: Int32, size: Int) throws(SystemError) {
        guard let base = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            unsafe base != MAP_FAILED
        else {
            let error = SystemError("mmap \(size) bytes")
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.size = size
        unsafe self.base = base
    }

    deinit {
        unsafe munmap(base, size)
        close(descriptor)
    }
}
