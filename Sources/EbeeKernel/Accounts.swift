import CEvents
import EbeeRecord
import Glibc

/// The first bytes of a map of the kernel's, as memory: whoever has it needs no right to ask the kernel any more.
@safe final class MappedMap: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    private let size: Int

    /// - Parameter map: its descriptor, needed only while this runs.
    init(_ map: Int32, bytes: Int, name: String, isReadOnly: Bool = false) throws(SystemError) {
        let page = sysconf(Int32(_SC_PAGESIZE))
        size = (bytes + page - 1) / page * page
        let access = isReadOnly ? PROT_READ : PROT_READ | PROT_WRITE
        guard let base = unsafe mmap(nil, size, access, MAP_SHARED, map, 0), unsafe base != MAP_FAILED
        else { throw SystemError("map \(name)") }
        unsafe self.base = base
    }

    deinit { unsafe munmap(base, size) }
}

/// What programs are told while they are attached: the section .data.daemon.
struct Notice: Sendable {
    private let map: MappedMap

    /// - Parameter map: its descriptor, needed only while this runs.
    init(_ map: Int32, _ recording: Recording) throws(SystemError) {
        self.map = try MappedMap(
            map, bytes: MemoryLayout<ebee_daemon>.size, name: "the settings of \(recording.stream)")
    }

    /// The process that reads now: what it does is not recorded.
    func tell(reader pid: pid_t) { unsafe told.pointee.pid = UInt32(pid) }

    /// Whether what begins from now on must be seen to end: all programs are attached, and no others take their place.
    func tell(isInCharge: Bool) { unsafe told.pointee.is_in_charge = isInCharge ? 1 : 0 }

    private var told: UnsafeMutablePointer<ebee_daemon> {
        unsafe map.base.assumingMemoryBound(to: ebee_daemon.self)
    }
}

/// The kernel's own count of a program's events, one for each lane; any thread may read it.
final class Accounts: Sendable {
    let lanes = Program.lanes()
    private let map: MappedMap

    init(of program: borrowing Program) throws(SystemError) {
        map = try MappedMap(
            program.handles.accounts, bytes: lanes * MemoryLayout<ebee_account>.stride,
            name: "the accounts of \(program.recording.stream)")
    }

    subscript(lane: Int) -> ebee_account {
        unsafe map.base.load(fromByteOffset: lane * MemoryLayout<ebee_account>.stride, as: ebee_account.self)
    }

    /// Events that there were, on all lanes.
    var generated: UInt64 { (0..<lanes).reduce(0) { $0 + self[$1].sequence + self[$1].missed } }

    /// How many of them did not get into the ring.
    var lost: UInt64 { (0..<lanes).reduce(0) { $0 + self[$1].lost + self[$1].missed } }

    /// Calls that kprobes were not run for.
    var hidden: UInt64 { (0..<lanes).reduce(0) { $0 &+ self[$1].hidden } }

    /// Calls that began and were not seen to end, nor counted as missed: those under way, and those whose end nobody saw.
    var open: UInt64 { UInt64(max(0, Int64(bitPattern: (0..<lanes).reduce(0) { $0 &+ self[$1].open }))) }
}
