import EbeeRecord
import EbeeWindow

/// A stream that can be asked about.
public struct Source: Sendable {
    /// As events name it: `exec` or `delete`.
    let event: String
    /// As requests name it: `exec` or `deletes`.
    let stream: String
    let window: Window
    /// How many events are known to be lost and have no mark in the window yet.
    let unmarked: @Sendable () -> UInt64
    /// How much of it whoever asks sees.
    var view = View(owner: nil)

    /// A stream, its window and what is known of it beside that.
    public init(
        event: String, stream: String, window: Window,
        unmarked: @escaping @Sendable () -> UInt64 = { 0 }
    ) {
        self.event = event
        self.stream = stream
        self.window = window
        self.unmarked = unmarked
    }

    /// The boot time from which on every event is in the window, or is marked as lost.
    var coveredSince: UInt64 { window.coveredSince }
}
