import CSystemd
import EbeeRecord
import Glibc

/// The service manager that started this process, where one did: readiness, watchdog, sockets (sd_notify(3), sd_listen_fds(3)).
public enum ServiceManager {
    /// Tells it a state, such as `READY=1`. Without a service manager this does nothing.
    public static func notify(_ state: String) { _ = unsafe sd_notify(0, state) }

    /// Tells it that the configuration is being read again; `READY=1` ends that.
    public static func notifyReloading() {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        notify("RELOADING=1\nMONOTONIC_USEC=\(time.tv_sec * 1_000_000 + time.tv_nsec / 1000)")
    }

    /// How often the watchdog must hear from us, in microseconds; nil where there is none.
    public static var watchdogInterval: UInt64? {
        var microseconds: UInt64 = 0
        return unsafe sd_watchdog_enabled(0, &microseconds) > 0 ? microseconds : nil
    }

    /// What it handed over: the listening Unix socket, and what an earlier process of this service left with it, by name. The caller
    /// owns all of these descriptors.
    public static func handedOver() throws(SystemError) -> (socket: Int32?, kept: [(name: String, descriptor: Int32)]) {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = unsafe sd_listen_fds_with_names(1, &names)
        if count < 0 { throw SystemError("take over what the service manager has kept", errno: count) }
        defer {
            if let names = unsafe names {
                for index in 0..<Int(count) { unsafe free(names[index]) }
                unsafe free(names)
            }
        }
        var (socket, kept): (Int32?, [(name: String, descriptor: Int32)]) = (nil, [])
        for index in 0..<Int(count) {
            let descriptor = SD_LISTEN_FDS_START + Int32(index)
            if sd_is_socket_unix(descriptor, Int32(SOCK_STREAM.rawValue), 1, nil, 0) > 0 {
                socket = descriptor
            } else if let name = unsafe names?[index] {
                unsafe kept.append((String(cString: name), descriptor))
            }
        }
        return (socket, kept)
    }

    /// Whether there is a service manager that listens.
    public static var isThere: Bool { unsafe getenv("NOTIFY_SOCKET") != nil }

    /// Leaves a descriptor with it, for the next process of this service (systemd.service(5), FileDescriptorStoreMax=).
    public static func keep(_ name: String, _ descriptor: Int32) throws(SystemError) {
        var descriptor = descriptor
        // Without FDPOLL=0 it would poll them, and give up what reports an error, as perf events may.
        let result = unsafe sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=\(name)\nFDPOLL=0", &descriptor, 1)
        if result < 0 { throw SystemError("leave \(name) with the service manager", errno: result) }
    }

    /// Makes it close what was left with it under a name.
    public static func forget(_ name: String) { notify("FDSTOREREMOVE=1\nFDNAME=\(name)") }

    /// Waits until it has dealt with all that it was told before (sd_notify_barrier(3)).
    public static func settle() throws(SystemError) {
        let result = sd_notify_barrier(0, 5_000_000)
        if result < 0 { throw SystemError("wait for the service manager", errno: result) }
    }
}
