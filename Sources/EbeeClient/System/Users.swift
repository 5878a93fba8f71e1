import Glibc

/// User names and numbers, as the system's name service knows them.
struct Users {
    private var names: [UInt32: String?] = [:]
    private let lookUp: (UInt32) -> String?

    /// The bound of the cache: a machine has few users, but a hostile reply may name four billion.
    private static let cached = 4096

    /// Users by the system's name service, unless told otherwise.
    init(lookUp: @escaping (UInt32) -> String? = nameOfUser) {
        self.lookUp = lookUp
    }

    /// The name of a user; nil where there is none.
    mutating func name(of uid: UInt32) -> String? {
        if let known = names[uid] { return known }
        if names.count >= Self.cached { names.removeAll() }
        let name = lookUp(uid)
        names[uid] = .some(name)
        return name
    }

    /// The number of a user by name; also a number as it is, where no user has it for a name.
    static func number(of user: String) -> UInt32? {
        var number: UInt32?
        unsafe withEntry { entry, buffer, size, result in
            unsafe getpwnam_r(user, entry, buffer, size, result)
        } found: { entry in
            number = unsafe entry.pw_uid
        }
        // "+5" and the like are no numbers of users.
        let isNumber = !user.isEmpty && user.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
        return number ?? (isNumber ? UInt32(user) : nil)
    }
}

private func nameOfUser(_ uid: UInt32) -> String? {
    var name: String?
    unsafe withEntry { entry, buffer, size, result in
        unsafe getpwuid_r(uid, entry, buffer, size, result)
    } found: { entry in
        if let text = unsafe entry.pw_name { name = unsafe String(cString: text) }
    }
    return name
}

private typealias Search = (
    UnsafeMutablePointer<passwd>, UnsafeMutablePointer<CChar>, Int, UnsafeMutablePointer<UnsafeMutablePointer<passwd>?>
) -> Int32

/// Calls one of the `_r` functions, with a larger buffer as long as it asks for one.
private func withEntry(_ search: Search, found: (passwd) -> Void) {
    var size = 1024
    while size <= 1 << 20 {
        var entry = unsafe passwd()
        var result: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: size)
        let status = unsafe buffer.withUnsafeMutableBufferPointer { bytes -> Int32 in
            guard let base = bytes.baseAddress else { return EINVAL }
            let status = unsafe search(&entry, base, bytes.count, &result)
            // While the buffer, which the entry points into, is still there.
            if status == 0, unsafe result != nil { unsafe found(entry) }
            return status
        }
        guard status == ERANGE else { return }
        size *= 4
    }
}
