import CLinux
import EbeeRecord
import EbeeTestSupport
import Glibc

@testable import EbeeWindow

/// A window's memory file to write into: one that is kept, and put right again before each run.
enum Damaged {
    static let ledgerBytes = Ledger.byteCount(lanes: 2)
    static let segmentBytes = 2 * Window.recordLimit

    static let deletion = DeleteFields {
        $0.sequence = 90
        $0.time = 1 << 33
    }.bytes

    /// Its content as an ebeed that was killed left it: four segments, of which the first was given up once.
    private static let whole: [UInt8] = {
        guard let window = try? Window(name: "fuzz", bytes: 1, maximumAge: .max / 2, lanes: 2, doorbell: Doorbell())
        else {
            return []
        }
        let recorder = Recorder(window)
        for index in 1...80 as ClosedRange<UInt64> {
            let process = ProcessFields {
                $0.sequence = index * 2
                $0.time = index << 30
                $0.pid = UInt32(index)
                $0.arguments = [UInt8](repeating: 65, count: 8000)
            }.bytes
            let deletion = DeleteFields {
                $0.lane = 1
                $0.sequence = index
                $0.time = index << 30
                $0.pid = UInt32(index)
            }.bytes
            for bytes in [process, deletion] { unsafe bytes.withUnsafeBytes { unsafe recorder.record($0) } }
        }
        window.bookmark = Bookmark(ordinal: 100)
        var bytes = [UInt8](repeating: 0, count: ledgerBytes + 4 * segmentBytes)
        let count = unsafe pread(window.descriptor, &bytes, bytes.count, 0)
        return count == bytes.count ? bytes : []
    }()

    static let memory: Int32? = {
        let file = unsafe ebee_memory_file("fuzz", 0)
        return file >= 0 && !whole.isEmpty ? file : nil
    }()

    static func reset(_ file: Int32) {
        guard ftruncate(file, whole.count) == 0, unsafe pwrite(file, whole, whole.count, 0) == whole.count else {
            fatalError("write the memory file")
        }
    }
}
