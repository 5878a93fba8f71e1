import EbeeKernel
import EbeeRecord
import EbeeWindow
import Glibc
import Logging
import Synchronization

/// A stream that is recorded by the kernel, and that nobody drains yet.
final class Begun {
    let window: Window
    private let recorder: Recorder
    private var program: Program?

    init(_ window: Window, _ recorder: Recorder, _ program: consuming Program) {
        self.window = window
        self.recorder = recorder
        self.program = consume program
        description = (self.program?.rung ?? "", self.program?.limits ?? [], self.program?.programs ?? [])
    }

    /// Rung, limits, programs.
    let description: (rung: String, limits: [String], programs: [LoadedProgram])

    /// Starts the thread that drains it; once.
    func drain(isKept: Bool, ended: @escaping @Sendable (SystemError?) -> Void) throws(SystemError) -> Drain {
        guard let program = program.take() else { throw SystemError("drain twice", errno: EALREADY) }
        return try Drain(program, into: recorder, isKept: isKept, ended: ended)
    }
}

/// Begins to record, or goes on where an earlier ebeed ended, was killed, or was another version. Each set of programs
/// has a generation, counted up when others take its place; the window knows of which generation the sequence numbers
/// are that it has seen.
///
/// What is kept of a set is complete when `complete-…` is among it, which is kept last.
struct HandOver {
    let keeper: Keeper
    let logger: Logger

    /// A set of programs that was left.
    private struct Left {
        var generation: UInt64
        /// Without what `Program` asks for itself.
        var kept: [(role: String, descriptor: Int32)] = []
        var names: [String] = []
        var rung: String?
        var fingerprint = ""
        /// Boot time at which it began to be attached.
        var since: UInt64 = 0

        var programs: Set<String> {
            Set(kept.compactMap { $0.role.hasPrefix("program.") ? String($0.role.dropFirst(8)) : nil })
        }

        mutating func add(_ part: String, _ descriptor: Int32, name: String) {
            names.append(name)
            let words = part.split(separator: "-").map(String.init)
            switch words.first {
            case "program" where words.count == 2: kept.append(("program.\(words[1])", descriptor))
            case "link": kept.append(("link", descriptor))
            case "complete" where words.count == 4:
                (rung, fingerprint, since) = (words[1], words[2], UInt64(words[3]) ?? 0)
                close(descriptor)
            default: kept.append((part, descriptor))
            }
        }

        func discard() { for (_, descriptor) in kept { close(descriptor) } }
    }

    /// Everything for one stream.
    func begin(_ recording: Recording, _ configuration: Configuration, _ doorbell: Doorbell) throws -> Begun {
        var sets = takeSets(recording)
        let (window, recorder, isNew) = try openWindow(recording, configuration[recording], doorbell)
        let settings = configuration.programSettings(recording)
        // Of a window that could not be kept, nobody knows which of their events it had.
        let known = isNew ? nil : sets.last { $0.rung != nil }
        if let known, let rung = known.rung,
            Program.wouldBe(
                recording, settings: settings, rung: rung, programs: known.programs, fingerprint: known.fingerprint)
        {
            sets.removeAll { $0.generation == known.generation }
            let program = try Program.adopt(recording, rung: rung, fingerprint: known.fingerprint, kept: known.kept)
            try finish(sets, recording, recorder, since: known.since, generation: known.generation)
            logger.info("recording \(recording.stream) through \(program.rung), without a gap since before this start")
            return Begun(window, recorder, program)
        }
        let since = Clock.boot()
        let program = try Program.attach(recording, settings: settings)
        let generation = max(recorder.generation, sets.last?.generation ?? 0) + 1
        try keep(program, generation: generation, since: since)
        if isNew || known == nil { window.recordingSince = program.attached ?? Clock.boot() }
        try finish(sets, recording, recorder, since: since, generation: generation)
        logger.info(
            "recording \(recording.stream) through \(program.rung)\(known == nil ? "" : ", which took over without a gap")"
        )
        return Begun(window, recorder, program)
    }

    /// What was kept of a stream's programs, the oldest first.
    private func takeSets(_ recording: Recording) -> [Left] {
        var sets: [UInt64: Left] = [:]
        let prefix = "\(recording.stream)-programs-"
        for (rest, descriptor) in keeper.take(prefix) {
            let words = rest.split(separator: "-", maxSplits: 1).map(String.init)
            guard words.count == 2, let generation = UInt64(words[0]) else {
                close(descriptor)
                continue
            }
            sets[generation, default: Left(generation: generation)].add(words[1], descriptor, name: prefix + rest)
        }
        return sets.values.sorted { $0.generation < $1.generation }
    }

    /// The window that was left, or a new one with what that remembers, where its size is another now, or an empty one.
    private func openWindow(
        _ recording: Recording, _ stream: Configuration.Stream, _ doorbell: Doorbell
    ) throws -> (Window, Recorder, isNew: Bool) {
        let cpus = Program.cpus()
        let age = UInt64(stream.windowSeconds) * 1_000_000_000
        var old: (window: Window, number: Int)?
        for (rest, descriptor) in keeper.take("\(recording.stream)-window-").sorted(by: { $0.name < $1.name }) {
            let number = Int(rest) ?? 0
            do {
                let window = try Window(adopting: descriptor, maximumAge: age, cpus: cpus, doorbell: doorbell)
                // Two are left when ebeed was killed while it copied one: the older is whole.
                if let kept = old, kept.window.identity <= window.identity {
                    keeper.forget(Keeper.window(of: recording, number: number))
                } else {
                    if let kept = old { keeper.forget(Keeper.window(of: recording, number: kept.number)) }
                    old = (window, number)
                }
            } catch {
                logger.warning("\(recording.stream): the window of the last ebeed could not be kept: \(error)")
                keeper.forget(Keeper.window(of: recording, number: number))
            }
        }
        if let old, old.window.hasGeometry(of: stream.windowBytes) { return (old.window, Recorder(old.window), false) }
        let number = old.map { 1 - $0.number } ?? 0
        let name = Keeper.window(of: recording, number: number)
        let window = try Window(
            name: "ebee-\(recording.stream)", bytes: stream.windowBytes, maximumAge: age, cpus: cpus,
            doorbell: doorbell, file: try keeper.file(name))
        let recorder = Recorder(window)
        if let old { recorder.carry(over: old.window) }
        try keeper.keep(window: name, window.descriptor)
        if let old { keeper.forget(Keeper.window(of: recording, number: old.number)) }
        return (window, recorder, old == nil)
    }

    private func keep(_ program: borrowing Program, generation: UInt64, since: UInt64) throws(SystemError) {
        guard keeper.isKeeping else { return }
        let prefix = Self.prefix(program.recording, generation)
        var links = 0
        for (role, descriptor) in program.kept {
            var part = role.replacing(".", with: "-")
            if role == "link" {
                part += "-\(links)"
                links += 1
            }
            try keeper.keep(prefix + part, descriptor)
        }
        let ring = program.kept[0].descriptor
        try keeper.mark("\(prefix)complete-\(program.rung)-\(program.fingerprint)-\(since)", with: ring)
        try keeper.settle()
    }

    private static func prefix(_ recording: Recording, _ generation: UInt64) -> String {
        "\(recording.stream)-programs-\(generation)-"
    }

    /// Lets sets of programs that others took the place of come to their end: what their rings hold goes to the window, if it is
    /// their sequence that the window knows.
    private func finish(
        _ sets: [Left], _ recording: Recording, _ recorder: Recorder, since: UInt64, generation: UInt64
    ) throws {
        let known = recorder.generation
        for set in sets where set.generation == known && known != generation {
            do {
                let old = try Program.adopt(
                    recording, rung: set.rung ?? recording.rungs[0].name, fingerprint: set.fingerprint, kept: set.kept)
                let links = set.names.filter { $0.contains("-link-") || $0.contains("-complete-") }
                try recorder.finish(old, since: since, generation: generation) {
                    for name in links { keeper.forget(name) }
                    // A service manager that doesn't answer within seconds has other sorrows; then both see the same events for longer.
                    try? keeper.settle()
                }
            } catch {
                logger.warning("\(recording.stream): what the last programs recorded in the end was not kept: \(error)")
            }
        }
        for set in sets {
            if set.generation != known || known == generation { set.discard() }
            for name in set.names { keeper.forget(name) }
        }
        if recorder.generation != generation { recorder.begin(generation: generation, after: nil) }
    }

    /// The programs of a stream turned out to be blind: the next ebeed is to choose among the hooks anew.
    func abandon(_ recording: Recording) { keeper.forgetKept("\(recording.stream)-programs-") }

    /// Nothing is to outlive this process, unless the service manager keeps it: that knows whether a start follows.
    func end() { keeper.release() }
}
