import EbeeProtocol

/// How a time zone reads and writes times. A value rather than a global, so that tests have their own.
struct Zone: Sendable {
    /// The date and time of day, of nanoseconds since the epoch.
    let civil: @Sendable (Int64) -> CivilTime
    /// Nanoseconds since the epoch. What the zone skipped (the hour lost to summer time) is moved to what it has.
    let nanoseconds: @Sendable (CivilTime) -> Int64?

    /// Universal time, shifted to the east by an offset.
    static func utc(offsetSeconds: Int64 = 0) -> Zone {
        let offset = offsetSeconds * 1_000_000_000
        return Zone(
            civil: { CivilTime(utc: $0.addingReportingOverflow(offset).partialValue) },
            nanoseconds: { time in
                guard let utc = time.utcNanoseconds else { return nil }
                let (nanoseconds, overflow) = utc.subtractingReportingOverflow(offset)
                return overflow ? nil : nanoseconds
            })
    }

    /// The zone of this machine, or of `TZ`.
    static let local = Zone(civil: localTime(of:), nanoseconds: nanoseconds(ofLocal:))
}
