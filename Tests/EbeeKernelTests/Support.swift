import CEvents
import CTestSupport
import Dispatch
import EbeeRecord
import Glibc
import Testing

@testable import EbeeKernel
@testable import EbeeWindow

/// A program that records into a window, as in the daemon, until this ends.
final class RecordingRun {
    let window: Window
    let drain: Drain
    private let ended = DispatchSemaphore(value: 0)
    private let start: Window.Cursor

    init(_ recording: Recording, _ settings: ProgramSettings = .small) throws {
        window = try Window(
            name: "test", bytes: 16 << 20, maximumAge: .max / 2, lanes: Program.lanes(), doorbell: Doorbell())
        start = window.end
        let program = try Program.attach(recording, settings: settings)
        let ended = ended
        program.takeCharge()
        drain = try Drain(program, into: Recorder(window), isKept: false) { error in
            if let error { Issue.record("the drain ended: \(error)") }
            ended.signal()
        }
    }

    deinit {
        drain.stop()
        ended.wait()
    }

    /// Waits until `isEnough` of all records so far; returns them.
    func records(until isEnough: ([Stored]) -> Bool) -> [Stored] {
        var records: [Stored] = []
        for _ in 0..<100 {
            records = window.records(from: start)
            if isEnough(records) { break }
            usleep(20_000)
        }
        return records
    }
}

struct Stored {
    let header: RecordHeader
    let bytes: [UInt8]
    let position: UInt64

    var process: ProcessRecord? { try? unsafe ProcessRecord(bytes.span.bytes) }
    var deletion: DeleteRecord? { try? unsafe DeleteRecord(bytes.span.bytes) }

    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
    func path(_ range: Range<Int>) -> String {
        unsafe String(decoding: Path.absolute(bytes.span.bytes.extracting(range)), as: UTF8.self)
    }
    var arguments: [String] {
        guard let process else { return [] }
        return unsafe process.argumentRanges(in: bytes.span.bytes).map(text)
    }
    var deletedPath: String? {
        unsafe deletion?.path(in: bytes.span.bytes).map { String(decoding: $0, as: UTF8.self) }
    }
}

extension Window {
    func records(from start: Cursor) -> [Stored] {
        let batch = Batch()
        var cursor = start
        var records: [Stored] = []
        while case .records = read(batch, at: &cursor) {
            while let record = batch.take(
                moving: &cursor,
                { header, bytes, position in
                    Stored(header: header, bytes: bytes.copy(0..<bytes.byteCount), position: position)
                })
            {
                records.append(record)
            }
        }
        return records
    }
}

/// A child that waits on its standard input, so that its /proc can be read while it lives.
final class Child {
    let pid: pid_t
    private let input: Int32

    init(_ arguments: [String], directory: String = "/") throws {
        var input: Int32 = -1
        let texts = unsafe arguments.map { unsafe strdup($0) }
        defer { unsafe texts.forEach { unsafe free($0) } }
        let pointers = unsafe texts.map { unsafe UnsafePointer($0) } + [nil]
        pid = unsafe ebee_spawn(pointers, directory, &input)
        self.input = input
        if pid < 0 { throw SystemError("spawn \(arguments[0])", errno: pid) }
    }

    /// Ends its input and waits for it; what wait(2) says.
    @discardableResult
    func finish() -> Int32 {
        close(input)
        var status: Int32 = 0
        _ = unsafe waitpid(pid, &status, 0)
        return status
    }
}

func read(_ path: String) -> String { SmallFile.read(path) ?? "" }

func link(_ path: String) -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = unsafe buffer.withUnsafeMutableBytes {
        unsafe readlink(path, $0.baseAddress.unsafelyUnwrapped, $0.count)
    }
    return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
}

/// A directory of its own, removed with what is in it by the test.
func temporaryDirectory(_ parent: String = "/tmp") -> String {
    var template = Array("\(parent)/ebee-kernel-XXXXXX".utf8CString)
    return unsafe mkdtemp(&template).map { unsafe String(cString: $0) } ?? parent
}
