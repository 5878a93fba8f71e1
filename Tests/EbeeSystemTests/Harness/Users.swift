import Glibc

/// A user of a system whose files of users and groups are this test's own.
struct User {
    let name: String
    let uid: uid_t
    let gid: gid_t
    var groups: [gid_t] = []
}

/// Real users and a real group `ebee`, in a namespace of mounts: the machine has none of them.
final class Users {
    static let group: gid_t = 61100
    static let ana = User(name: "ebee-ana", uid: 61001, gid: 61001)
    static let bob = User(name: "ebee-bob", uid: 61002, gid: 61002)
    /// A member by a supplementary group.
    static let eve = User(name: "ebee-eve", uid: 61003, gid: 61003, groups: [61999, group])
    /// A member by the primary group.
    static let gil = User(name: "ebee-gil", uid: 61004, gid: group)

    let namespace: MountNamespace
    private let place: Place

    init() throws {
        place = try Place()
        let users = [Self.ana, Self.bob, Self.eve, Self.gil]
        var script = "cp /etc/passwd '\(place("passwd"))'; grep -v ^ebee: /etc/group > '\(place("group"))'\n"
        for user in users {
            script += "echo '\(user.name):x:\(user.uid):\(user.gid)::/:/bin/sh' >> '\(place("passwd"))'\n"
            if user.gid != Self.group { script += "echo '\(user.name):x:\(user.gid):' >> '\(place("group"))'\n" }
        }
        script += "echo 'ebee:x:\(Self.group):\(Self.eve.name)' >> '\(place("group"))'\n"
        for file in ["passwd", "group"] { script += "mount --bind '\(place(file))' /etc/\(file)\n" }
        namespace = try MountNamespace(script)
    }

    /// What comes before a command so that a user runs it, as after a login.
    func run(as user: User) -> [String] {
        namespace.enter + ["setpriv", "--reuid", user.name, "--regid", "\(user.gid)", "--init-groups", "--"]
    }

    /// Runs a command as a user, to its end.
    @discardableResult
    func must(as user: User, _ arguments: String...) throws -> Finished {
        let finished = try EbeeSystemTests.run((run(as: user) + arguments).map { Array($0.utf8) })
        guard finished.status == 0 else { throw HarnessError("\(user.name): \(arguments): \(finished.errorText)") }
        return finished
    }
}

extension Socket {
    convenience init(_ path: String, as user: User) throws {
        try self.init(path, as: user.uid, user.gid, groups: user.groups)
    }
}
