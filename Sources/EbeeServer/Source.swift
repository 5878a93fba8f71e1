import EbeeRecord
import EbeeWindow

/// A stream that can be asked about.
public struct Source: Sendable {
    /// As events name it: `exec` or `delete`.
    let event: String
    /// As requests name it: `exec` or `deletes`.
    let stream: String
    let window: Window
    /// Boot time since which events have been recorded.
    let recordingSince: UInt64
    /// How many events are known to be lost and have no mark in the window yet.
    let unmarked: @Sendable () -> UInt64
    /// How much of it whoever asks sees.
    var view = View(owner: nil)

    /// A stream whose recording began at boot time `recordingSince`.
    public init(
        event: String, stream: String, window: Window, recordingSince: UInt64,
        unmarked: @escaping @Sendable () -> UInt64 = { 0 }
    ) {
        self.event = event
        self.stream = stream
        self.window = window
        self.recordingSince = recordingSince
        self.unmarked = unmarked
    }

    /// The boot time from which on every event is in the window, or is marked as lost.
    var coveredSince: UInt64 {
        let state = window.state
        if state.evicted == 0 { return recordingSince }
        if let oldest = state.oldest { return oldest }
        // All that there was has been given up for its age.
        let now = Clock.boot()
        return max(recordingSince, now > window.maximumAge ? now - window.maximumAge : 0)
    }
}
