import CLinux
import EbeeKernel
import EbeeRecord
import EbeeSystemd
import Glibc
import Synchronization

/// Who holds hooks and windows while no ebeed runs, so that the kernel goes on recording and the past is still there.
///
/// Names are `STREAM-PART`; only letters, digits, `_` and `-`, which the service manager and a BPF filesystem both take.
final class Keeper: Sendable {
    private enum Place {
        /// They go when this process goes.
        case nobody
        case serviceManager
        /// Objects of the kernel's in a BPF filesystem, windows as files in a directory that is memory.
        case pins(Pins, files: String)
    }

    private let place: Place
    /// What an earlier process left, until it is taken.
    private let left: Mutex<[(name: String, descriptor: Int32)]>
    /// What is kept now.
    private let names = Mutex<Set<String>>([])

    /// - Parameters:
    ///   - pin: the setting handover.pin.
    ///   - files: where windows go then.
    ///   - kept: what the service manager handed over.
    init(pin: String?, files: String, kept: [(name: String, descriptor: Int32)]) throws {
        if let pin {
            place = .pins(try Pins(pin), files: files)
            // TMPFS_MAGIC, RAMFS_MAGIC (linux/magic.h)
            guard [0x0102_1994, 0x8584_58f6].contains(unsafe ebee_filesystem(files)) else {
                throw Unmet.kernel(
                    "\(files) is not in memory: with handover.pin, windows are kept there; choose another server.socket"
                )
            }
        } else {
            place = ServiceManager.isThere ? .serviceManager : .nobody
        }
        left = Mutex(kept)
        guard case .pins(let pins, let files) = place else { return }
        // Of a configuration before this one, which left things with the service manager.
        for (name, descriptor) in kept {
            close(descriptor)
            ServiceManager.forget(name)
        }
        var found = try pins.kept()
        for name in Self.fileNames {
            let access = Self.windowNames.contains(name) ? O_RDWR : O_RDONLY
            let file = unsafe open("\(files)/\(name)", access | O_CLOEXEC | O_NOFOLLOW)
            if file >= 0 { found.append((name, file)) }
        }
        left.withLock { $0 = found }
    }

    private static let windowNames = Recording.allCases.flatMap { recording in
        (0..<2).map { window(of: recording, number: $0) }
    }
    /// What is a file where hooks are pinned.
    private static let fileNames = windowNames + Recording.allCases.map { blind($0) }

    /// Two, so that one can take the place of the other.
    static func window(of recording: Recording, number: Int) -> String { "\(recording.stream)-window-\(number)" }

    /// Says that the programs of a stream turned out to see nothing.
    private static func blind(_ recording: Recording) -> String { "\(recording.stream)-blind" }

    /// Whether what this process leaves outlives it.
    var isKeeping: Bool {
        if case .nobody = place { false } else { true }
    }

    /// What was left under names with this prefix; the caller owns the descriptors. The rest of the name comes with each.
    func take(_ prefix: String) -> [(name: String, descriptor: Int32)] {
        left.withLock { left in
            let taken = left.filter { $0.name.hasPrefix(prefix) }
            left.removeAll { $0.name.hasPrefix(prefix) }
            names.withLock { $0.formUnion(taken.map(\.name)) }
            return taken.map { (String($0.name.dropFirst(prefix.count)), $0.descriptor) }
        }
    }

    /// Gives up everything that nobody took.
    func forgetRest() {
        for (name, descriptor) in take("") {
            close(descriptor)
            forget(name)
        }
    }

    /// A file for a window that can be kept under this name; nil: an anonymous one will do.
    func file(_ name: String) throws(SystemError) -> Int32? {
        guard case .pins(_, let files) = place else { return nil }
        let path = "\(files)/\(name)"
        _ = unsafe unlink(path)
        let file = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if file < 0 { throw SystemError("create \(path)") }
        return file
    }

    /// Keeps a window's file.
    func keep(window name: String, _ descriptor: Int32) throws(SystemError) {
        if case .serviceManager = place { try ServiceManager.keep(name, descriptor) }
        names.withLock { _ = $0.insert(name) }
    }

    /// Keeps an object of the kernel's.
    func keep(_ name: String, _ descriptor: Int32) throws(SystemError) {
        switch place {
        case .nobody: break
        case .serviceManager: try ServiceManager.keep(name, descriptor)
        case .pins(let pins, _): try pins.keep(name, descriptor)
        }
        names.withLock { _ = $0.insert(name) }
    }

    /// Keeps a name that says something by itself.
    /// - Parameter object: any object of the kernel's: a BPF filesystem holds nothing else.
    func mark(_ name: String, with object: Int32) throws(SystemError) {
        guard case .serviceManager = place else { return try keep(name, object) }
        try keepMark(name)
    }

    private func keepMark(_ name: String) throws(SystemError) {
        // What it has already, it does not take under a second name (kcmp(2)): a file of its own.
        let file = unsafe ebee_memory_file("ebee-mark", 0)
        if file < 0 { throw SystemError("make a mark") }
        defer { close(file) }
        try keep(name, file)
    }

    /// Tells the next process whether the programs of a stream turned out to see nothing.
    func tell(isBlind: Bool, _ recording: Recording) throws(SystemError) {
        let name = Self.blind(recording)
        guard isBlind != names.withLock({ $0.contains(name) }) else { return }
        guard isBlind else { return forget(name) }
        switch place {
        case .nobody: return
        case .serviceManager: try keepMark(name)
        case .pins(_, let files):
            // Nothing may be opened to write any more (privileges.c).
            let path = "\(files)/\(name)"
            let file = unsafe open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            if file < 0 { throw SystemError("create \(path)") }
            close(file)
        }
        names.withLock { _ = $0.insert(name) }
    }

    /// Whether the last process told that. It is still told until that is taken back.
    func takeBlindness(_ recording: Recording) -> Bool {
        let taken = take(Self.blind(recording))
        for (_, descriptor) in taken { close(descriptor) }
        return !taken.isEmpty
    }

    /// Keeps no longer what begins with `prefix`.
    func forgetKept(_ prefix: String) {
        for name in names.withLock({ $0.filter { $0.hasPrefix(prefix) } }) { forget(name) }
    }

    /// Keeps nothing any more, where nobody else would give it up.
    func release() {
        if case .pins = place { forgetKept("") }
    }

    /// Keeps it no longer.
    func forget(_ name: String) {
        names.withLock { _ = $0.remove(name) }
        switch place {
        case .nobody: break
        case .serviceManager: ServiceManager.forget(name)
        case .pins(let pins, let files):
            if Self.fileNames.contains(name) { _ = unsafe unlink("\(files)/\(name)") } else { pins.forget(name) }
        }
    }

    /// Returns when all of that has been done.
    func settle() throws(SystemError) {
        if case .serviceManager = place { try ServiceManager.settle() }
    }
}
