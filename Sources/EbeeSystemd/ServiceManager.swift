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

    /// The listening Unix socket that it handed over; nil where it handed over none.
    public static func activatedSocket() throws(SystemError) -> Int32? {
        let count = sd_listen_fds(1)
        if count < 0 { throw SystemError("take over the socket of the service manager", errno: count) }
        for descriptor in SD_LISTEN_FDS_START..<SD_LISTEN_FDS_START + count
        where sd_is_socket_unix(descriptor, Int32(SOCK_STREAM.rawValue), 1, nil, 0) > 0 {
            return descriptor
        }
        return nil
    }
}
