import Glibc
import Synchronization

/// Boot time is what the kernel stamps records with: it never steps and it counts a suspended machine's sleep. Wall-clock
/// time is made from it when somebody asks.
public enum Clock {
    /// Nanoseconds since the machine booted (CLOCK_BOOTTIME).
    public static func boot() -> UInt64 { UInt64(nanoseconds(CLOCK_BOOTTIME)) }

    /// Wall-clock nanoseconds since the epoch for a boot time.
    public static func wall(boot: UInt64) -> Int64 { Int64(bitPattern: boot) &+ offset() }

    /// The boot time of a wall-clock time, 0 for one before boot.
    public static func boot(wall: Int64) -> UInt64 { UInt64(max(0, wall &- offset())) }

    /// The newest reading of wall clock minus boot time. Both clocks are slewed alike, so it changes only when somebody
    /// sets the clock. Within a millisecond the first reading is kept, so that an event has one time however
    /// often it is asked for.
    private static let known = Atomic<Int64>(.min)

    private static func offset() -> Int64 {
        let before = nanoseconds(CLOCK_BOOTTIME)
        let wall = nanoseconds(CLOCK_REALTIME)
        let after = nanoseconds(CLOCK_BOOTTIME)
        let reading = wall - (before + (after - before) / 2)
        let kept = known.load(ordering: .relaxed)
        if kept != .min, abs(reading - kept) < 1_000_000 { return kept }
        known.store(reading, ordering: .relaxed)
        return reading
    }

    private static func nanoseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
