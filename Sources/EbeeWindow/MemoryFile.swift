import CLinux
import EbeeRecord
import Glibc

/// A memory file, mapped: the bytes that a window keeps its records in. Being a file, it can outlive the process.
@safe struct MemoryFile: ~Copyable, @unchecked Sendable {
    let descriptor: Int32
    let size: Int
    /// The mapping, valid as long as this value.
    let base: UnsafeMutableRawPointer

    /// - Parameter name: shows in /proc/PID/maps.
    init(name: String, size: Int) throws(SystemError) {
        let descriptor = unsafe ebee_memory_file(name, size)
        guard descriptor >= 0 else { throw SystemError("memfd_create \(name)") }
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
