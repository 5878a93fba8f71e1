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
    /// Returns something to ask later: whether what had happened when this was called has come to the window.
    let arrival: @Sendable () -> @Sendable () -> Bool
    /// How much of it whoever asks sees.
    var view = View(owner: nil)

    /// A stream, its window and what is known of it beside that.
    public init(
        event: String, stream: String, window: Window,
        unmarked: @escaping @Sendable () -> UInt64 = { 0 },
        arrival: @escaping @Sendable () -> @Sendable () -> Bool = { { true } }
    ) {
        self.event = event
        self.stream = stream
        self.window = window
        self.unmarked = unmarked
        self.arrival = arrival
    }

    /// The boot time from which on every event is in the window, or is marked as lost.
    var coveredSince: UInt64 { window.coveredSince }

    /// How long what is on its way is waited for: longer than a full ring takes.
    static let patience = Duration.seconds(2)
    private static let pause = Duration.milliseconds(1)

    /// Of what had happened in several sources at some time.
    struct Arrival: Equatable {
        /// All of it was in the windows at once.
        var wasThere = true
        /// By source, whether it was still on its way when it was no longer waited for; empty where none was.
        var late: [Bool] = []
    }

    /// Waits until what happened before this call is in the windows, at most for `patience`.
    static func arrival(_ sources: [Source], patience: Duration = patience) async throws -> Arrival {
        let arrivals = sources.map { $0.arrival() }
        let deadline = ContinuousClock.now + patience
        var arrival = Arrival()
        while true {
            let late = arrivals.map { !$0() }
            if !late.contains(true) { return arrival }
            arrival.wasThere = false
            if ContinuousClock.now >= deadline {
                arrival.late = late
                return arrival
            }
            try await Task.sleep(for: pause)
        }
    }
}
