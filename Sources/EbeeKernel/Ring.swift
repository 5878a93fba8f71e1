import CLibbpf
import EbeeRecord
import Glibc
import Synchronization

/// How full a ring is, and was at most; any thread may ask. It looks at the two positions that the kernel keeps in the
/// ring's first pages, so that it asks the kernel nothing.
final class RingGauge: Sendable {
    /// Of the ring's records.
    let capacity: Int
    private let pages: MappedMap
    private let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    private let highest = Atomic<Int>(0)

    /// - Parameter map: its descriptor, needed only while this runs.
    init(_ map: Int32, name: String) throws(SystemError) {
        var info = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        let result = unsafe bpf_obj_get_info_by_fd(map, &info, &length)
        if result != 0 { throw SystemError("ask for the size of the ring of \(name)", errno: result) }
        capacity = Int(info.max_entries)
        pages = try MappedMap(map, bytes: 2 * page, name: "the positions in the ring of \(name)", isReadOnly: true)
    }

    /// Bytes between what was read and what was written: at most `capacity`.
    var used: Int {
        // In this order it is never less than there is.
        let consumed = self.consumed
        return min(capacity, Int(truncatingIfNeeded: produced &- consumed))
    }

    /// Bytes that were read, and that were written, since the ring was made.
    var consumed: UInt64 { position(at: 0) }
    /// Likewise.
    var produced: UInt64 { position(at: page) }

    /// Whether it was read up to a position that `produced` was; the difference may have gone round.
    func hasReached(_ position: UInt64) -> Bool { Int64(truncatingIfNeeded: consumed &- position) >= 0 }

    /// The most that `note` found.
    var mark: Int { highest.load(ordering: .relaxed) }

    /// Looks how full it is now. One thread.
    func note() {
        let used = self.used
        if used > highest.load(ordering: .relaxed) { highest.store(used, ordering: .relaxed) }
    }

    private func position(at offset: Int) -> UInt64 {
        unsafe (pages.base + offset).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .acquiring)
    }
}

/// The reading end of a ring. How far it was read is kept in the ring itself, so that the next reader goes on there.
@safe final class Ring {
    private let take: (UnsafeRawBufferPointer) -> Bool
    private let name: String
    private let gauge: RingGauge?
    private var ring: OpaquePointer?
    /// Records since the last wake-up.
    private var taken = 0
    /// The gauge is looked at when the first of so many records is taken: the first of all finds what has gathered, and the
    /// writers' position is theirs, on other cpus, to change.
    private static let stride = 16
    /// Records after which reading pauses, so that a ring that never runs empty keeps nobody from the rest of their work.
    private static let turn = 4096

    /// - Parameters:
    ///   - map: its descriptor, needed only while this runs.
    ///   - gauge: that of this ring, where anybody wants to know.
    ///   - take: called with each record, in place; false stops the reading behind it.
    init(
        _ map: Int32, name: String, gauge: RingGauge? = nil, take: @escaping (UnsafeRawBufferPointer) -> Bool
    ) throws(SystemError) {
        unsafe self.take = take
        self.name = name
        self.gauge = gauge
        // The callback gets this object unretained: the ring is freed before it.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        let ring = unsafe ring_buffer__new(
            map,
            { context, data, size in
                guard let context = unsafe context, let data = unsafe data else { return -EINVAL }
                let ring = unsafe Unmanaged<Ring>.fromOpaque(context).takeUnretainedValue()
                if ring.taken % Ring.stride == 0 { ring.gauge?.note() }
                ring.taken += 1
                guard unsafe ring.take(UnsafeRawBufferPointer(start: data, count: size)) else { return -ECANCELED }
                return ring.taken < Ring.turn ? 0 : -ERANGE
            }, context, nil)
        guard let ring = unsafe ring else { throw SystemError("map the ring of \(name)") }
        unsafe self.ring = ring
    }

    deinit { unsafe ring_buffer__free(ring) }

    /// Waits for records, at most so many milliseconds, and takes those there are, until there were `turn`. How many; -1 when it
    /// was interrupted or stopped.
    func poll(milliseconds: Int32) throws(SystemError) -> Int {
        taken = 0
        let count = unsafe ring_buffer__poll(ring, milliseconds)
        if count == -EINTR { return -1 }
        return try result(count, stopped: -1)
    }

    /// The same without waiting; 0 when it was stopped.
    func consume() throws(SystemError) -> Int {
        taken = 0
        return try result(unsafe ring_buffer__consume(ring), stopped: 0)
    }

    /// - Parameter count: what libbpf returned: what the callback did, where that was not 0.
    private func result(_ count: Int32, stopped: Int) throws(SystemError) -> Int {
        switch count {
        case 0...: return Int(count)
        case -ERANGE: return taken
        case -ECANCELED: return stopped
        default: throw SystemError("read the ring of \(name)", errno: count)
        }
    }
}
