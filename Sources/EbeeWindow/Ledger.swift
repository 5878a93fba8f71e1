import CEvents
import EbeeRecord
import Synchronization

/// A number in memory that threads and, one after the other, processes share.
@safe struct SharedWord {
    private let word: UnsafeMutablePointer<Atomic<UInt64>>

    init(_ address: UnsafeMutableRawPointer) {
        unsafe word = address.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    func load() -> UInt64 { unsafe word.pointee.load(ordering: .sequentiallyConsistent) }
    /// What was written before is seen before this.
    func store(_ value: UInt64) { unsafe word.pointee.store(value, ordering: .releasing) }
    /// This is seen before what is written after it.
    func storeFirst(_ value: UInt64) { unsafe word.pointee.store(value, ordering: .sequentiallyConsistent) }
}

/// What is known of the events of one lane; of those that no lane is known of, only what was missed.
struct LaneState: BitwiseCopyable {
    /// Of the newest event that was recorded, or marked as lost.
    var sequence: UInt64 = 0
    /// Boot time of that.
    var time: UInt64 = 0
    /// Events that were marked as lost because the ring was full, and because they were missed.
    var full: UInt64 = 0
    var missed: UInt64 = 0
    /// All that were marked as lost, also of programs before these.
    var lost: UInt64 = 0
    /// Of these, those that were missed.
    var lostMissed: UInt64 = 0
}

/// Programs that took the place of others while these were still attached, so that both saw some events.
struct TakeOver {
    /// Of those that took it.
    var generation: UInt64
    /// Boot time from which on they were attached.
    var attached: UInt64
    /// Boot time at which the others were detached.
    var time: UInt64
    /// Where the records of those that took it begin.
    var segment: UInt64
}

/// How far a reader that outlives the process has come.
public struct Bookmark: Sendable, Equatable {
    /// How many events it has dealt with since the stream began.
    public var ordinal: UInt64
    /// Where it stands, which is behind the marks that follow the last of these events too; 0 where that isn't known.
    public var position: UInt64
    /// Events before that which it has to report as missed yet, and the boot times between which they happened.
    public var missed: UInt64
    /// 0 where there are none.
    public var missedSince: UInt64
    /// Likewise.
    public var missedUntil: UInt64

    /// A bookmark behind so many events.
    public init(
        ordinal: UInt64, position: UInt64 = 0, missed: UInt64 = 0, missedSince: UInt64 = 0, missedUntil: UInt64 = 0
    ) {
        self.ordinal = ordinal
        self.position = position
        self.missed = missed
        self.missedSince = missedSince
        self.missedUntil = missedUntil
    }
}

/// Why a memory file of an earlier process can't be used.
public struct UnusableWindow: Error, CustomStringConvertible {
    /// One clause for people.
    public let description: String
    init(_ description: String) { self.description = description }
}

/// What a window says of itself at the beginning of its memory file: all that the next process needs to go on with it,
/// whenever this one is killed.
///
/// The one store that makes a record part of the window is that of `head`. What else the writer knows (how many events
/// there were, the newest of each lane) is found again by reading the newest segment, from what was known when that began:
/// the checkpoint. There are two, for segments of even and odd number, so that the one in force is never written to.
@safe struct Ledger: @unchecked Sendable {
    /// Fixed when the file is made.
    struct Heading: BitwiseCopyable, Equatable {
        var magic: UInt64 = 0x7765_6265_6477_0a00
        /// Of this struct and what follows it.
        var version: UInt32 = 3
        var layout = UInt32(EBEE_LAYOUT)
        var lanes: UInt64
        var segmentBytes: UInt64
        var segmentCount: UInt64
        var identity: UInt64
    }

    private static let wordsOffset = 128
    private static let bookmarksOffset = 256
    private static let bookmarkWords = 5
    private static let checkpointsOffset = 512
    private static let page = 4096

    private let base: UnsafeMutableRawPointer
    let lanes: Int
    /// One for each lane, and one for what no lane is known of.
    private var states: Int { lanes + 1 }

    init(_ base: UnsafeMutableRawPointer, lanes: Int) {
        unsafe self.base = base
        self.lanes = lanes
    }

    /// Bytes ahead of the first segment: whole pages.
    static func byteCount(lanes: Int) -> Int {
        let bytes = checkpointsOffset + 2 * checkpointBytes(lanes)
        return (bytes + page - 1) / page * page
    }

    private static func checkpointBytes(_ lanes: Int) -> Int { 8 + (lanes + 1) * MemoryLayout<LaneState>.stride }

    var heading: Heading {
        get { unsafe base.load(as: Heading.self) }
        nonmutating set { unsafe base.storeBytes(of: newValue, as: Heading.self) }
    }

    private func word(_ index: Int) -> SharedWord { unsafe SharedWord(base + Self.wordsOffset + index * 8) }

    /// Position behind the newest record.
    var head: SharedWord { word(0) }
    /// Number of the oldest segment that may be read.
    var oldestSegment: SharedWord { word(1) }
    /// How many events were ever published: stored before `head` is, and again after it, so that a reader who finds both
    /// alike knows how many are before the head that it read between them.
    var publishing: SharedWord { word(2) }
    var published: SharedWord { word(3) }
    /// Boot time since which every event is in the window, or was, or is marked as lost.
    var recordingSince: SharedWord { word(4) }
    /// Which of the two bookmarks holds; 0 while there is none.
    private var bookmarkInForce: SharedWord { word(5) }

    /// Boot time of the newest record that was given up, 0 while none was.
    var evictedUntil: SharedWord { word(6) }

    /// The last that there was. It holds once the checkpoint in force is of its generation, which comes after it.
    var takeOver: TakeOver? {
        get {
            let generation = word(7).load()
            if generation == 0 { return nil }
            return TakeOver(
                generation: generation, attached: word(8).load(), time: word(9).load(), segment: word(10).load())
        }
        nonmutating set {
            word(7).store(newValue?.generation ?? 0)
            word(8).store(newValue?.attached ?? 0)
            word(9).store(newValue?.time ?? 0)
            word(10).store(newValue?.segment ?? 0)
        }
    }

    /// Written by one thread.
    var bookmark: Bookmark? {
        get {
            let inForce = bookmarkInForce.load()
            guard inForce != 0 else { return nil }
            let words = bookmarkWords(Int(inForce & 1))
            return Bookmark(
                ordinal: words[0].load(), position: words[4].load(), missed: words[1].load(),
                missedSince: words[2].load(), missedUntil: words[3].load())
        }
        nonmutating set {
            guard let newValue else { return bookmarkInForce.store(0) }
            // The other one, which then is in force: 2 and 3, since 0 is none.
            let next = bookmarkInForce.load() == 2 ? 3 : 2
            let words = bookmarkWords(next & 1)
            words[0].store(newValue.ordinal)
            words[1].store(newValue.missed)
            words[2].store(newValue.missedSince)
            words[3].store(newValue.missedUntil)
            words[4].store(newValue.position)
            bookmarkInForce.store(UInt64(next))
        }
    }

    private func bookmarkWords(_ index: Int) -> [SharedWord] {
        (0..<Self.bookmarkWords).map { word in
            unsafe SharedWord(base + Self.bookmarksOffset + (index * Self.bookmarkWords + word) * 8)
        }
    }

    // MARK: Checkpoints

    private func checkpoint(_ segment: UInt64) -> UnsafeMutableRawPointer {
        unsafe base + Self.checkpointsOffset + Int(segment & 1) * Self.checkpointBytes(lanes)
    }

    /// What is known when `segment` begins: of each lane, and which generation of programs gave the sequence numbers.
    func save(_ states: [LaneState], generation: UInt64, segment: UInt64) {
        let checkpoint = unsafe self.checkpoint(segment)
        unsafe checkpoint.storeBytes(of: generation, as: UInt64.self)
        for lane in 0..<self.states {
            unsafe checkpoint.storeBytes(
                of: states[lane], toByteOffset: 8 + lane * MemoryLayout<LaneState>.stride, as: LaneState.self)
        }
    }

    func load(segment: UInt64) -> (states: [LaneState], generation: UInt64) {
        let checkpoint = unsafe self.checkpoint(segment)
        let states = (0..<self.states).map { lane in
            unsafe checkpoint.load(fromByteOffset: 8 + lane * MemoryLayout<LaneState>.stride, as: LaneState.self)
        }
        return (states, unsafe checkpoint.load(as: UInt64.self))
    }
}
