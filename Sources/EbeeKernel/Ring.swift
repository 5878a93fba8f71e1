import CLibbpf
import EbeeRecord
import Glibc

/// The reading end of a ring. How far it was read is kept in the ring itself, so that the next reader goes on there.
@safe final class Ring {
    private let take: (UnsafeRawBufferPointer) -> Bool
    private let name: String
    private var ring: OpaquePointer?

    /// - Parameters:
    ///   - map: its descriptor, needed only while this runs.
    ///   - take: called with each record, in place; false stops the reading behind it.
    init(_ map: Int32, name: String, take: @escaping (UnsafeRawBufferPointer) -> Bool) throws(SystemError) {
        unsafe self.take = take
        self.name = name
        // The callback gets this object unretained: the ring is freed before it.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        let ring = unsafe ring_buffer__new(
            map,
            { context, data, size in
                guard let context = unsafe context, let data = unsafe data else { return -EINVAL }
                let ring = unsafe Unmanaged<Ring>.fromOpaque(context).takeUnretainedValue()
                return unsafe ring.take(UnsafeRawBufferPointer(start: data, count: size)) ? 0 : -ECANCELED
            }, context, nil)
        guard let ring = unsafe ring else { throw SystemError("map the ring of \(name)") }
        unsafe self.ring = ring
    }

    deinit { unsafe ring_buffer__free(ring) }

    /// Waits for records, at most so many milliseconds, and takes all there are. How many; -1 when it was interrupted or stopped.
    func poll(milliseconds: Int32) throws(SystemError) -> Int {
        let count = unsafe ring_buffer__poll(ring, milliseconds)
        if count >= 0 { return Int(count) }
        if count == -EINTR || count == -ECANCELED { return -1 }
        throw SystemError("poll the ring of \(name)", errno: count)
    }

    /// Takes all there are; how many, 0 when it was stopped.
    func consume() throws(SystemError) -> Int {
        let count = unsafe ring_buffer__consume(ring)
        if count == -ECANCELED { return 0 }
        if count < 0 { throw SystemError("read the ring of \(name)", errno: count) }
        return Int(count)
    }
}
