import CLibbpf
import CLinux
import EbeeRecord
import Glibc

/// Objects of the kernel's that are kept by name in a BPF filesystem, where there is no service manager to keep them.
public struct Pins: Sendable {
    /// On a BPF filesystem.
    public let directory: String
    private static let magic = 0xcafe_4a11  // BPF_FS_MAGIC (linux/magic.h)

    /// - Parameter directory: its last component is made if it is missing.
    /// - Throws: `Unmet.kernel` where nothing can be kept there.
    public init(_ directory: String) throws(Unmet) {
        self.directory = directory
        let parent = directory.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        // Where nothing is mounted, sysfs has other words for it.
        if unsafe mkdir(directory, 0o700) != 0, case let error = errno, error != EEXIST,
            unsafe ebee_filesystem(parent) == Self.magic
        {
            throw .kernel("\(SystemError("make \(directory) (handover.pin)", errno: error))")
        }
        guard unsafe ebee_filesystem(directory) == Self.magic else {
            throw .kernel(
                "\(directory) (handover.pin) is not on a BPF filesystem: mount -t bpf bpf /sys/fs/bpf, and choose a directory there"
            )
        }
    }

    /// Everything that is kept there, opened.
    public func kept() throws(SystemError) -> [(name: String, descriptor: Int32)] {
        guard let listing = unsafe opendir(directory) else { throw SystemError("read \(directory)") }
        defer { unsafe closedir(listing) }
        var kept: [(name: String, descriptor: Int32)] = []
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafePointer(to: entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            let descriptor = unsafe bpf_obj_get("\(directory)/\(name)")
            if descriptor < 0 { throw SystemError("open \(directory)/\(name)", errno: descriptor) }
            kept.append((name, descriptor))
        }
        return kept.sorted { $0.name < $1.name }
    }

    /// Keeps a program, map or link, whatever becomes of this process.
    public func keep(_ name: String, _ descriptor: Int32) throws(SystemError) {
        let result = unsafe bpf_obj_pin(descriptor, "\(directory)/\(name)")
        if result != 0 { throw SystemError("pin \(directory)/\(name)", errno: result) }
    }

    /// Keeps it no longer.
    public func forget(_ name: String) { _ = unsafe unlink("\(directory)/\(name)") }
}
