import Dispatch
import EbeeProtocol
import Glibc
import Synchronization

@testable import EbeeClient

/// Random numbers that are the same in every run, so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}

/// Bytes of which many are special: half of them from a set of traps, the others anything but NUL, which no name has.
func hostileBytes(count: Int, using generator: inout SeededGenerator) -> [UInt8] {
    let traps: [String] = [
        "\n", "\r", "\t", "\u{1b}[2J", "\u{7f}", "\u{9b}31m", "\u{202e}", "\u{2066}", "\u{200f}", "\u{2028}", "'", "\"",
        "\\", "\\x41", "$(id)", "`", " ", "日本", "👩‍👩‍👧", "e\u{301}", "\u{feff}", "\u{e0041}", "-", "=", "*", "~", "!", ",",
    ]
    var bytes: [UInt8] = []
    while bytes.count < count {
        if Bool.random(using: &generator) {
            bytes += Array(traps.randomElement(using: &generator)?.utf8 ?? "".utf8)
        } else {
            bytes.append(UInt8.random(in: 1...255, using: &generator))
        }
    }
    return bytes
}

func bytes(_ text: String) -> ArraySlice<UInt8> { ArraySlice(text.utf8) }

func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

/// What a shell command writes to standard output, and its exit code.
func shell(_ command: String) -> (output: [UInt8], status: Int32) {
    guard let stream = unsafe popen(command, "r") else { return ([], -1) }
    var output: [UInt8] = []
    while true {
        let byte = unsafe fgetc(stream)
        if byte == EOF { break }
        output.append(UInt8(truncatingIfNeeded: byte))
    }
    let status = unsafe pclose(stream)
    return (output, status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f))
}

/// The directory that this test was built into, where ebeectl is too.
let buildDirectory: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
    let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
}()

/// A server on a Unix socket that reads a line from each client, and answers with fixed text.
final class FixedServer: Sendable {
    let path: String
    private let listener: Int32
    private let requests = Mutex<[[UInt8]]>([])

    /// The lines that came, without their newlines.
    var received: [[UInt8]] { requests.withLock { $0 } }

    /// `stays` keeps the connection open after the answer, as a tail does.
    init?(answer: String, stays: Bool = false) {
        let path = "/tmp/ebeectl-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let isBound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isBound, listen(listener, 8) == 0 else { return nil }
        self.path = path
        self.listener = listener
        // A thread of its own: Swift's are as few as the machine has cores, and the tests already block them.
        DispatchQueue(label: path).async { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                self?.serve(client, answer: answer, stays: stays)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        unsafe unlink(path)
    }

    private func serve(_ client: Int32, answer: String, stays: Bool) {
        var byte: UInt8 = 0
        var line: [UInt8] = []
        while unsafe read(client, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        requests.withLock { $0.append(line) }
        let bytes = Array(answer.utf8)
        var start = 0
        while start < bytes.count {
            let count = unsafe bytes[start...].withUnsafeBytes { rest in
                unsafe send(client, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { break }
            start += count
        }
        // Until the client goes.
        if stays { while unsafe read(client, &byte, 1) == 1 {} }
        close(client)
    }
}

/// Lines as the daemon sends them.
enum Fixture {
    static let rm = #"""
        {"event":"exec","time":"2026-11-23T06:45:01.123456789Z","cursor":"c","process":{"pid":4312,"name":"rm",\#
        "executable":"/usr/bin/rm","args":["rm","-rf","a b",""],"parent":{"pid":4000,"name":"make"},\#
        "user":{"id":0},"login_user":{"id":4294967290},"unit":"ci.service","exit_code":0,"duration_ns":1200000}}
        """#
    static let renamed = #"""
        {"event":"delete","time":"2026-11-23T06:45:02.5Z","cursor":"d","how":"rename","via":"syscall","result":"success",\#
        "file":{"path":"/srv/\ufffd\nb","path_raw":"L3Nydi//CmI=","type":"file","size":4096},"replaced_by":"/srv/new",\#
        "process":{"pid":7,"name":"mv","args":["mv","new","x"],"user":{"id":0}}}
        """#
    static let lost = #"""
        {"event":"lost","stream":"delete","count":17,"from":"2026-11-23T06:45:01.2Z","to":"2026-11-23T06:45:01.9Z",\#
        "why":"ring_full"}
        """#
    static let done = #"""
        {"id":1,"done":{"matched":2,"complete":true,"from":"2026-11-23T06:40:00Z","to":"2026-11-23T06:45:00Z","lost":0}}
        """# + "\n"

    /// The lines of a reply.
    static func reply(_ events: [String]) -> String {
        events.map { "{\"id\":1," + $0.dropFirst() + "\n" }.joined()
    }
}
