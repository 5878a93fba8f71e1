import EbeeKernel
import EbeeRecord
import EbeeWindow
import Glibc
import Logging
import Synchronization

/// A stream that is recorded.
struct Begun {
    let recording: Recording
    let window: Window
    let hooks: Program.Summary
    let drain: DrainService
}

/// A stream of which an earlier ebeed may have left something.
final class Inherited {
    fileprivate let recording: Recording
    fileprivate let window: Window
    fileprivate let recorder: Recorder
    /// What is drained already.
    fileprivate var current: Current?
    /// The generation for programs that are attached now.
    fileprivate let next: UInt64
    /// Boot time of the last that an earlier ebeed recorded; nil where there was none.
    fileprivate var stopped: UInt64?

    fileprivate struct Current {
        let left: HandOver.Left
        let hooks: Program.Summary
        let drain: DrainService
    }

    fileprivate init(_ recording: Recording, _ window: Window, _ recorder: Recorder, next: UInt64) {
        self.recording = recording
        self.window = window
        self.recorder = recorder
        self.next = next
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
    fileprivate struct Left {
        var generation: UInt64
        /// Without what `Program` asks for itself.
        var kept: [(role: String, descriptor: Int32)] = []
        var names: [String] = []
        /// Of a complete set.
        var rung: String?
        var isComplete: Bool { rung != nil }
        var fingerprint = ""
        /// Boot time from which on it was attached.
        var attached: UInt64 = 0

        mutating func add(_ part: String, _ descriptor: Int32, name: String) {
            names.append(name)
            let words = part.split(separator: "-").map(String.init)
            if words.first == "complete", words.count == 4 {
                (rung, fingerprint, attached) = (words[1], words[2], UInt64(words[3]) ?? 0)
                close(descriptor)
            } else {
                kept.append((part, descriptor))
            }
        }

        func discard() { for (_, descriptor) in kept { close(descriptor) } }

        /// Whether what is kept under this name makes programs run, or says that it does.
        static func isAttaching(_ name: String) -> Bool {
            name.contains("-\(Program.linkRole)") || name.contains("-complete-")
        }

        func forget(_ keeper: Keeper, where isMeant: (String) -> Bool = { _ in true }) {
            for name in names where isMeant(name) { keeper.forget(name) }
        }
    }

    /// Takes over what was left of one stream: from here on its programs are drained, since their ring would fill while others
    /// are loaded, which takes a second or more.
    func inherit(_ recording: Recording, _ configuration: Configuration, _ doorbell: Doorbell) throws -> Inherited {
        let sets = takeSets(recording)
        let wereBlind = keeper.takeBlindness(recording)
        let (window, recorder, isNew) = try openWindow(recording, configuration, doorbell)
        let known = recorder.generation
        let next = max(known, sets.last?.generation ?? 0) + 1
        let inherited = Inherited(recording, window, recorder, next: next)
        // From here on, unless what follows is without a gap.
        inherited.stopped = isNew ? nil : window.newestTime ?? window.recordingSince
        for left in sets {
            // Of a window that could not be kept, nobody knows which of their events it had. A set that never was
            // complete saw nothing that the one before it did not see. Those that were blind are not gone on with.
            guard !isNew, !wereBlind, left.generation == known || left.generation > known && left.isComplete else {
                left.discard()
                left.forget(keeper)
                continue
            }
            do {
                let program = try Program.adopt(
                    recording, rung: left.rung ?? recording.rungs[0].name, fingerprint: left.fingerprint,
                    kept: left.kept)
                let isSeamless = inherited.current != nil || left.generation == known
                try drain(program, left, isSeamless: isSeamless, inherited)
            } catch {
                logger.warning("\(recording.stream): what the last programs recorded in the end was not kept: \(error)")
                left.forget(keeper)
            }
        }
        if let current = inherited.current, current.left.isComplete { current.drain.drain.takeCharge() }
        // Behind the blind ones.
        if wereBlind { tell(isBlind: false, recording) }
        return inherited
    }

    /// Records the stream from now on: through the programs that were left, where they are what this ebeed with this configuration
    /// would attach, or through others in their place.
    func begin(_ inherited: Inherited, _ configuration: Configuration) throws -> Begun {
        let recording = inherited.recording
        let settings = configuration.programSettings(recording)
        if let current = inherited.current, let rung = current.left.rung,
            Program.wouldBe(
                recording, settings: settings, rung: rung, programs: Program.programs(in: current.left.kept),
                fingerprint: current.left.fingerprint)
        {
            logger.info("recording \(recording.stream) through \(rung), without a gap since before this start")
            return Begun(recording: recording, window: inherited.window, hooks: current.hooks, drain: current.drain)
        }
        let isSeamless = inherited.current?.left.isComplete ?? false
        let program = try Program.attach(recording, settings: settings)
        if inherited.current == nil { program.takeCharge() }
        let hooks = program.summary
        let left = Left(generation: inherited.next, attached: program.attached ?? Clock.boot())
        try keep(program, as: left)
        let drain = try drain(program, left, isSeamless: isSeamless, inherited)
        let how = isSeamless ? ", which took over without a gap" : ""
        logger.info("recording \(recording.stream) through \(hooks.rung)\(how)")
        return Begun(recording: recording, window: inherited.window, hooks: hooks, drain: drain)
    }

    /// Drains these programs, after what others in whose place they are have left.
    /// - Parameter isSeamless: what they see follows on what the window has.
    @discardableResult
    private func drain(
        _ program: consuming Program, _ left: Left, isSeamless: Bool, _ inherited: Inherited
    ) throws(SystemError) -> DrainService {
        let hooks = program.summary
        let now = program.attached ?? Clock.boot()
        if !isSeamless { inherited.window.recordingSince = now }
        let gone = inherited.stopped.map { Recorder.Predecessors.gone(from: $0, to: now) } ?? .nobody
        let drain: DrainService
        if let old = inherited.current {
            drain = old.drain
            let predecessors = isSeamless ? .attachedUntil(left.attached) : gone
            try drain.drain.replace(with: program, after: predecessors, generation: left.generation) {
                old.left.forget(keeper) { Left.isAttaching($0) }
                settle()
            } done: { [keeper] in
                old.left.forget(keeper) { !Left.isAttaching($0) }
            }
        } else {
            let recorder = inherited.recorder
            if recorder.generation != left.generation { recorder.begin(generation: left.generation, after: gone) }
            drain = try DrainService(program, into: recorder, isKept: keeper.isKeeping)
        }
        inherited.current = Inherited.Current(left: left, hooks: hooks, drain: drain)
        return drain
    }

    /// A service manager that doesn't answer within seconds has other sorrows: nothing waits for it longer.
    private func settle() {
        do {
            try keeper.settle()
        } catch {
            logger.warning("the service manager may not keep what outlives ebeed: \(error)")
        }
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
        _ recording: Recording, _ configuration: Configuration, _ doorbell: Doorbell
    ) throws -> (Window, Recorder, isNew: Bool) {
        let stream = configuration[recording]
        let lanes = Program.lanes()
        let age = UInt64(stream.windowSeconds) * 1_000_000_000
        var old: (window: Window, number: Int)?
        for (rest, descriptor) in keeper.take("\(recording.stream)-window-").sorted(by: { $0.name < $1.name }) {
            let number = Int(rest) ?? 0
            do {
                let window = try Window(adopting: descriptor, maximumAge: age, lanes: lanes, doorbell: doorbell)
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
        if let old, old.window.hasGeometry(of: stream.windowBytes) {
            return (
                old.window, Recorder(old.window, redaction: configuration.redaction), false
            )
        }
        let number = old.map { 1 - $0.number } ?? 0
        let name = Keeper.window(of: recording, number: number)
        let window = try Window(
            name: "ebee-\(recording.stream)", bytes: stream.windowBytes, maximumAge: age, lanes: lanes,
            doorbell: doorbell, file: try keeper.file(name))
        let recorder = Recorder(window, redaction: configuration.redaction)
        if let old { recorder.carry(over: old.window) }
        try keeper.keep(window: name, window.descriptor)
        if let old { keeper.forget(Keeper.window(of: recording, number: old.number)) }
        return (window, recorder, old == nil)
    }

    private func keep(_ program: borrowing Program, as left: Left) throws(SystemError) {
        guard keeper.isKeeping else { return }
        let prefix = "\(program.recording.stream)-programs-\(left.generation)-"
        let kept = program.kept
        for (role, descriptor) in kept { try keeper.keep(prefix + role, descriptor) }
        try keeper.mark(
            "\(prefix)complete-\(program.rung)-\(program.fingerprint)-\(left.attached)",
            with: kept[0].descriptor)
        settle()
    }

    /// Where the programs of a stream turned out to be blind, the next ebeed is to choose among the hooks anew.
    func tell(isBlind: Bool, _ recording: Recording) {
        do {
            try keeper.tell(isBlind: isBlind, recording)
        } catch {
            logger.warning("\(recording.stream): a restart may go on with hooks that see nothing: \(error)")
        }
    }

    /// Nothing is to outlive this process, unless the service manager keeps it: that knows whether a start follows.
    func end() { keeper.release() }
}
