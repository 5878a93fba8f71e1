import EbeeProtocol
import Glibc

/// Nanoseconds since the epoch, by the wall clock.
func wallClock() -> Int64 {
    var time = timespec()
    // CLOCK_REALTIME with a valid address can't fail.
    _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// The date and time in the zone of this machine, or of `TZ`.
func localTime(of nanoseconds: Int64) -> CivilTime {
    let (seconds, fraction) = nanoseconds.flooredDivision(by: 1_000_000_000)
    var clock = time_t(seconds)
    var local = unsafe tm()
    guard unsafe localtime_r(&clock, &local) != nil else { return CivilTime(utc: nanoseconds) }
    // 60 is a leap second in the zones that count them ("right/"); nobody else is ready for it.
    return unsafe CivilTime(
        year: Int(local.tm_year) + 1900, month: Int(local.tm_mon) + 1, day: Int(local.tm_mday),
        hour: Int(local.tm_hour), minute: Int(local.tm_min), second: min(59, Int(local.tm_sec)),
        nanosecond: Int(fraction))
}

/// Nanoseconds since the epoch of a time in that zone; nil beyond what 64 bits hold.
func nanoseconds(ofLocal time: CivilTime) -> Int64? {
    var local = unsafe tm()
    unsafe local.tm_year = Int32(time.year - 1900)
    unsafe local.tm_mon = Int32(time.month - 1)
    unsafe local.tm_mday = Int32(time.day)
    unsafe local.tm_hour = Int32(time.hour)
    unsafe local.tm_min = Int32(time.minute)
    unsafe local.tm_sec = Int32(time.second)
    // mktime(3) finds out itself whether summer time is in force on that day.
    unsafe local.tm_isdst = -1
    return Int64(seconds: Int64(unsafe mktime(&local)), nanoseconds: Int64(time.nanosecond))
}
