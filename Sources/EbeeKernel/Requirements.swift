import CLibbpf
import CLinux
import EbeeRecord
import Glibc

/// What has to hold before a program can be loaded, each checked with one clear sentence.
public enum Requirements {
    /// - Throws: the first requirement that is not met.
    public static func check() throws(Unmet) {
        // libbpf speaks to standard error by itself; what it has to say is in the errors that we throw.
        unsafe libbpf_set_print(nil)
        guard holdsCapability(CAP_SYS_ADMIN) || (holdsCapability(CAP_BPF) && holdsCapability(CAP_PERFMON)) else {
            throw .permission(
                "ebeed must run as root: loading BPF programs needs CAP_BPF and CAP_PERFMON (try: sudo ebeed)")
        }
        if let lockdown = SmallFile.read("/sys/kernel/security/lockdown"), lockdown.contains("[confidentiality]") {
            throw .kernel(
                "this kernel is locked down (lockdown=confidentiality), so that no BPF program may read its memory: boot with lockdown=integrity or none"
            )
        }
        _ = try KernelTypes()
    }

    private static let CAP_SYS_ADMIN: UInt64 = 21
    private static let CAP_PERFMON: UInt64 = 38
    private static let CAP_BPF: UInt64 = 39

    private static func holdsCapability(_ capability: UInt64) -> Bool {
        guard let status = SmallFile.read("/proc/self/status"),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:") }),
            let effective = UInt64(line.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16)
        else { return getuid() == 0 }
        return effective & (1 << capability) != 0
    }
}

/// tracefs, which the numbers of tracepoints are read from while programs are attached. systemd mounts it on a host; where
/// nobody has, it is mounted for as long as this value lives.
struct Tracefs: ~Copyable {
    private static let mountPoint = "/sys/kernel/tracing"
    private let mounted: Bool

    init() throws(SystemError) {
        let places = ["/sys/kernel/debug/tracing/events", Self.mountPoint + "/events"]
        let isThere = places.contains { path in unsafe access(path, F_OK) == 0 }
        if !isThere, unsafe ebee_mount_tracefs(Self.mountPoint) != 0 {
            throw SystemError("mount tracefs on \(Self.mountPoint)")
        }
        mounted = !isThere
    }

    deinit {
        if mounted { _ = unsafe ebee_unmount(Self.mountPoint) }
    }
}
