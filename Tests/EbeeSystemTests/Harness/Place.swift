import Foundation
import Glibc

/// A directory of a test's own, removed with the value.
final class Place {
    let path: String

    /// - Parameter parent: on the filesystem that the test is about.
    init(in parent: String = "/tmp") throws {
        var template = Array("\(parent)/ebee-test-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw HarnessError("mkdtemp in \(parent): errno \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // Other users act in it.
        _ = Call.chmod(path, 0o755)
    }

    deinit { _ = try? run("rm", "-rf", "--one-file-system", path) }

    /// A path below it.
    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    /// Makes a file; returns its path.
    @discardableResult
    func file(_ name: String, bytes: Int = 0, mode: mode_t = 0o644) throws -> String {
        let path = self(name)
        try makeFile(Array(path.utf8), bytes: bytes)
        _ = Call.chmod(path, mode)
        return path
    }

    /// Makes a directory; returns its path.
    @discardableResult
    func directory(_ name: String, mode: mode_t = 0o755) throws -> String {
        let path = self(name)
        let error = Call.mkdir(path, mode)
        guard error == 0 else { throw HarnessError("mkdir \(path): errno \(error)") }
        _ = Call.chmod(path, mode)  // whatever the umask is
        return path
    }
}

func makeFile(_ path: [UInt8], bytes: Int = 0) throws {
    let descriptor = unsafe creat(cString(path), 0o644)
    guard descriptor >= 0 else {
        throw HarnessError("create \(String(decoding: path, as: UTF8.self)): errno \(errno)")
    }
    let content = [UInt8](repeating: 0x78, count: bytes)
    let count = unsafe write(descriptor, content, content.count)
    close(descriptor)
    guard count == bytes else { throw HarnessError("write \(String(decoding: path, as: UTF8.self)): errno \(errno)") }
}

func cString(_ bytes: [UInt8]) -> [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }

/// lstat(2).
func status(of path: String) throws -> stat {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { throw HarnessError("lstat \(path): errno \(errno)") }
    return status
}

/// A namespace of mounts that lives as long as this value: what a test mounts there is nobody else's, and goes with it.
final class MountNamespace {
    private let holder: Child

    /// - Parameter script: run by sh in it, before this returns.
    init(_ script: String) throws {
        holder = try Child(
            ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script + "\necho ready; exec sleep 600"],
            input: .pipe)
        holder.read(seconds: 20) { $0.outputBytes.contains(UInt8(ascii: "\n")) }
        guard holder.outputBytes == Array("ready\n".utf8) else {
            throw HarnessError("can't mount: \(String(decoding: holder.errorBytes, as: UTF8.self))")
        }
    }

    /// What comes before a command to run it in there.
    var enter: [String] { ["nsenter", "--mount=/proc/\(holder.pid)/ns/mnt", "--wd=/", "--"] }

    /// Where this test sees a path of that namespace.
    func outside(_ path: String) -> String { "/proc/\(holder.pid)/root\(path)" }

    @discardableResult
    func run(_ arguments: String..., seconds: Double = 30) throws -> Finished {
        let finished = try EbeeSystemTests.run((enter + arguments).map { Array($0.utf8) }, seconds: seconds)
        guard finished.status == 0 else {
            throw HarnessError("\(arguments.joined(separator: " ")): \(finished.ending) \(finished.errorText)")
        }
        return finished
    }
}

/// System calls on paths, for tests to make themselves: 0, or the errno.
enum Call {
    static func unlink(_ path: String) -> Int32 { unlink(Array(path.utf8)) }
    static func unlink(_ path: [UInt8]) -> Int32 { unsafe result(Glibc.unlink(cString(path))) }
    static func rename(_ path: [UInt8], _ other: [UInt8]) -> Int32 {
        unsafe result(Glibc.rename(cString(path), cString(other)))
    }
    static func rmdir(_ path: String) -> Int32 { unsafe result(Glibc.rmdir(path)) }
    static func mkdir(_ path: String, _ mode: mode_t = 0o755) -> Int32 { unsafe result(Glibc.mkdir(path, mode)) }
    static func chmod(_ path: String, _ mode: mode_t) -> Int32 { unsafe result(Glibc.chmod(path, mode)) }
    static func chown(_ path: String, _ user: uid_t, _ group: gid_t) -> Int32 {
        unsafe result(Glibc.chown(path, user, group))
    }
    static func link(_ path: String, _ other: String) -> Int32 { unsafe result(Glibc.link(path, other)) }
    static func symlink(_ target: String, _ path: String) -> Int32 { unsafe result(Glibc.symlink(target, path)) }
    static func mkfifo(_ path: String) -> Int32 { unsafe result(Glibc.mkfifo(path, 0o600)) }
    static func access(_ path: String, _ mode: Int32) -> Int32 { unsafe result(Glibc.access(path, mode)) }
    static func open(_ path: String) -> Int32 { unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC) }

    private static func result(_ returned: Int32) -> Int32 { returned < 0 ? errno : 0 }
}
