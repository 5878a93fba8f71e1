import CLinux
import EbeeTestSupport
import Glibc

/// What could not be done, to what, and the kernel's word for why.
struct Failure: Error, CustomStringConvertible {
    let description: String
    /// 0 where it isn't the kernel that refused.
    let errno: Int32

    /// - Parameter number: the errno; 0 for none.
    init(_ what: String, _ number: Int32 = Glibc.errno) {
        errno = number
        description = number == 0 ? what : "\(what): \(errnoName(number))"
    }
}

/// `ENOENT`; `success` for 0.
func errnoName(_ number: Int32) -> String {
    if number == 0 { return "success" }
    guard let name = unsafe ebee_errno_name(number) else { return "errno \(number)" }
    return unsafe String(cString: name)
}

/// Bytes as people can read them in one line.
func shown(_ bytes: some Sequence<UInt8>) -> String {
    let text = Array(bytes)
    let whole = String(decoding: text.prefix(100), as: UTF8.self).debugDescription
    return text.count > 100 ? "\(whole)… (\(text.count) bytes)" : whole
}

/// System calls on paths, which are bytes. Each throws what it was about to do.
enum System {
    static func check(_ what: String, _ path: [UInt8], _ result: Int32) throws {
        if result < 0 { throw Failure("\(what) \(shown(path))") }
    }

    static func directory(_ path: [UInt8], mode: mode_t = 0o755) throws {
        try check("make directory", path, unsafe mkdir(cString(path), mode))
        try chmod(path, mode)  // whatever the umask is
    }

    static func file(_ path: [UInt8], _ content: [UInt8], mode: mode_t = 0o644, owner: uid_t = 0) throws {
        let descriptor = unsafe creat(cString(path), mode)
        try check("create", path, descriptor)
        defer { close(descriptor) }
        guard unsafe write(descriptor, content, content.count) == content.count else {
            throw Failure("write \(shown(path))")
        }
        // The set-user-id bit goes with a change of owner, so it comes after.
        try check("give away", path, fchown(descriptor, owner, 0))
        try check("change the mode of", path, fchmod(descriptor, mode))
    }

    static func chmod(_ path: [UInt8], _ mode: mode_t) throws {
        try check("change the mode of", path, unsafe Glibc.chmod(cString(path), mode))
    }

    static func content(_ path: [UInt8]) throws -> [UInt8] {
        let descriptor = unsafe open(cString(path), O_RDONLY | O_CLOEXEC)
        try check("open", path, descriptor)
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe read(descriptor, &buffer, buffer.count)
            if count < 0 { throw Failure("read \(shown(path))") }
            if count == 0 { return content }
            content += buffer[..<count]
        }
    }

    /// Binds a socket; its own directory becomes the working one for a moment, because such a path has 107 bytes at most.
    static func socket(_ name: String, in directory: [UInt8]) throws {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try check("make socket", Array(name.utf8), descriptor)
        defer { close(descriptor) }
        try check("enter", directory, unsafe chdir(cString(directory)))
        defer { _ = unsafe chdir("/") }
        let result = unsafe withUnixAddress(name) { unsafe bind(descriptor, $0, $1) }
        try check("bind", Array(name.utf8), result)
    }

    /// mount(2). Its flags are macros that Swift doesn't see.
    struct MountFlags: OptionSet {
        let rawValue: UInt
        static let readOnly = MountFlags(rawValue: 1)
        static let remount = MountFlags(rawValue: 32)
        static let bind = MountFlags(rawValue: 4096)
    }

    static func mount(
        _ source: [UInt8], at target: [UInt8], type: String = "", _ flags: MountFlags = [], options: String = ""
    ) throws {
        // Some filesystems refuse an empty text where they take none.
        let result =
            unsafe options.isEmpty
            ? Glibc.mount(cString(source), cString(target), type, flags.rawValue, nil)
            : options.withCString { unsafe Glibc.mount(cString(source), cString(target), type, flags.rawValue, $0) }
        try check("mount \(type) \(options) at", target, result)
    }

    static func mount(type: String, at target: [UInt8], options: String = "") throws {
        try mount(Array(type.utf8), at: target, type: type, options: options)
    }

    /// Takes a mount and all below it away, at once for everybody and for good when nobody uses them any more.
    static func detach(_ target: [UInt8]) throws {
        try check("unmount", target, unsafe umount2(cString(target), 2))
    }

    static func remove(directory path: [UInt8]) throws {
        try check("remove", path, unsafe rmdir(cString(path)))
    }
}

func cString(_ bytes: [UInt8]) -> [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }

/// Seconds of a clock that only goes forward.
func monotonic() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
