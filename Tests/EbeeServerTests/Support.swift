import CEvents
import EbeeProtocol
import EbeeRecord
import EbeeTestSupport
import EbeeWindow

@testable import EbeeServer

let second: UInt64 = 1_000_000_000

/// A stream that the test fills. Times are seconds since recording began, five minutes ago.
final class Stream {
    let window: Window
    let recorder: Recorder
    let source: Source
    let began = Clock.boot() - 300 * second
    private var sequence: UInt64 = 0

    init(_ event: String, bytes: Int = 4 << 20, maximumAge: UInt64 = .max / 2) throws {
        window = try Window(name: "test", bytes: bytes, maximumAge: maximumAge, lanes: 1, doorbell: Doorbell())
        recorder = Recorder(window)
        source = Source(
            event: event, stream: event == "exec" ? "exec" : "deletes", window: window)
        window.recordingSince = began
    }

    func time(_ seconds: Double) -> UInt64 { UInt64(Int64(began) + Int64(seconds * 1e9)) }
    func wall(_ seconds: Double) -> Moment { .wall(nanoseconds: Clock.wall(boot: time(seconds))) }

    /// An execution that is told apart by its pid.
    func execution(_ pid: UInt32, at seconds: Double, padding: Int = 0) {
        sequence += 1
        send(
            ProcessFields {
                $0.sequence = sequence
                $0.pid = pid
                $0.time = time(seconds)
                $0.arguments = Array(repeating: 65, count: padding)
            }.bytes)
    }

    /// An execution; or, if it describes, who performs the deletions that follow, with the start that those have.
    func process(
        _ pid: UInt32, at seconds: Double, describes: Bool = false, _ change: (inout ProcessFields) -> Void
    ) {
        if !describes { sequence += 1 }
        send(
            ProcessFields {
                $0.sequence = describes ? 0 : sequence
                $0.kind = describes ? EBEE_PROCESS.rawValue : EBEE_EXEC.rawValue
                $0.pid = pid
                $0.time = time(seconds)
                change(&$0)
            }.bytes)
    }

    func deletion(_ pid: UInt32, at seconds: Double, _ change: (inout DeleteFields) -> Void = { _ in }) {
        sequence += 1
        send(
            DeleteFields {
                $0.sequence = sequence
                $0.pid = pid
                $0.time = time(seconds)
                change(&$0)
            }.bytes)
    }

    /// So many events that never came: the next one shows it.
    func lose(_ count: UInt64) { sequence += count }

    private func send(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe recorder.record($0) }
        recorder.publish()
    }
}

/// Lines of an answer, read with the client's parser.
struct Lines {
    var events: [JSON] = []
    var done: Completeness?

    mutating func add(_ bytes: [UInt8]) throws {
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let json = try JSON(parsing: Array(line))
            if let done = json["done"] { self.done = Completeness(done) } else { events.append(json) }
        }
    }

    /// Pids, and -count for a mark.
    var shape: [Int64] {
        events.map {
            $0["event"]?.string == "lost" ? -($0["count"]?.integer ?? 0) : $0["process"]?["pid"]?.integer ?? 0
        }
    }
}

/// Takes steps until the answer is done or waits.
func run(_ answer: inout some Answer, between: () -> Void = {}) throws -> Lines {
    var lines = Lines()
    var writer = JSONWriter()
    for _ in 0..<100_000 {
        let step = answer.step(&writer)
        try lines.add(writer.bytes)
        writer.removeAll()
        if step != .more { return lines }
        between()
    }
    throw Endless()
}

struct Endless: Error {}
