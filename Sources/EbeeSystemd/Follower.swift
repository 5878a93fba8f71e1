import EbeeRecord
import EbeeWindow

/// A stream on its way to the journal.
struct Follower {
    /// Behind the last record that was looked at. What lies between `position.settled` and here is in `bursts`.
    var cursor: Window.Cursor
    /// What outlives this process, if anything does.
    var position: JournalPosition
    var bursts = Bursts()
    /// Boot time of the newest event that was looked at.
    var newest = Clock.boot()
    /// Events just before the cursor that the window gave up; until when, the next one tells.
    var gap: UInt64 = 0

    /// Goes on where the process before this one came to, if there was one: what that wrote is not written again.
    init(_ window: Window) {
        let bookmark = window.bookmark
        cursor = bookmark.map { window.cursor($0) } ?? window.start
        position = JournalPosition(settled: cursor)
        if let bookmark, bookmark.missed > 0 {
            position.missing.add(bookmark.missed, from: bookmark.missedSince, to: bookmark.missedUntil)
        }
        save(in: window)
    }

    /// Leaves the position with the window, for the next process.
    func save(in window: Window) {
        var (settled, missing) = (position.settled, position.missing)
        if bursts.isPartlyWritten {
            // What is written must not be written again: what is not, yet, is missing if this process ends now.
            settled = cursor
            missing.add(bursts.missing)
            if gap > 0 { missing.add(gap, from: newest, to: newest) }
            for loss in bursts.losses { missing.add(loss.missing) }
            for burst in bursts.all { missing.add(burst.count, from: burst.from, to: burst.to) }
        }
        let bookmark = Bookmark(
            ordinal: settled.ordinal, position: settled.position, missed: missing.count,
            missedSince: missing.count > 0 ? missing.from : 0, missedUntil: missing.to)
        if window.bookmark != bookmark { window.bookmark = bookmark }
    }

    /// Everything before the cursor is in the journal or counted, and that outlives the process.
    mutating func settle(in window: Window) {
        settle()
        save(in: window)
    }

    /// From the cursor on, events are folded.
    mutating func fold() {
        guard !bursts.isOpen else { return }
        settle()
        bursts.open(at: Clock.boot())
    }

    /// Everything before the cursor is in the journal or counted.
    mutating func settle() {
        position.settled = cursor
        position.missing.add(bursts.missing)
        bursts.missing = Missing()
    }

    /// Nothing before this is wanted.
    mutating func skip(to cursor: Window.Cursor) {
        self.cursor = cursor
        gap = 0
        if !bursts.isOpen { settle() }
    }

    mutating func miss(_ count: UInt64, from: UInt64, to: UInt64) {
        if bursts.isOpen {
            bursts.missing.add(count, from: from, to: to)
        } else {
            position.missing.add(count, from: from, to: to)
        }
    }

    /// Nothing waits, as far as this has looked.
    func isDone(with window: Window) -> Bool { bursts.all.isEmpty && cursor.position >= window.end.position }

    var progress: JournalState.Progress {
        JournalState.Progress(
            cursor: cursor, settled: position.settled.ordinal, gap: gap, missing: bursts.missing.count,
            oldest: bursts.from)
    }
}
