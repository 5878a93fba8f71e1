import Glibc

/// Names of users, looked up once. A name may change, so they are forgotten when too many have come together.
final class UserNames {
    private static let limit = 1024
    private var names: [UInt32: String?] = [:]

    func name(of user: UInt32) -> String? {
        if let known = names[user] { return known }
        if names.count >= Self.limit { names.removeAll() }
        let entry = unsafe getpwuid(user)
        let name = unsafe entry.map { unsafe String(cString: $0.pointee.pw_name) }
        names[user] = .some(name)
        return name
    }
}
