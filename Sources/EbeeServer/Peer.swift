import CLinux
import EbeeProtocol
import EbeeRecord
import Glibc

/// Who connected: the credentials of that process at that moment, as the kernel took them.
struct Peer: Equatable, Sendable {
    /// The effective user.
    let uid: uid_t
    /// The effective group.
    let gid: gid_t
    /// The supplementary groups. Those of the process, not of the user's name: it may have given some up, or have been given
    /// its own before it was added to one.
    let groups: [gid_t]

    init(uid: uid_t, gid: gid_t, groups: [gid_t]) {
        self.uid = uid
        self.gid = gid
        self.groups = groups
    }

    /// Asks the kernel; nothing of what was sent is read for it.
    init(of socket: Int32) throws(SystemError) {
        var pid = pid_t()
        var uid = uid_t()
        var gid = gid_t()
        guard unsafe ebee_peer(socket, &pid, &uid, &gid) == 0 else { throw SystemError("SO_PEERCRED") }
        var groups = [gid_t](repeating: 0, count: 64)
        var count = UInt32(groups.count)
        while unsafe ebee_peer_groups(socket, &groups, &count) != 0 {
            guard errno == ERANGE, Int(count) > groups.count else { throw SystemError("SO_PEERGROUPS") }
            groups = [gid_t](repeating: 0, count: Int(count))
        }
        self.init(uid: uid, gid: gid, groups: Array(groups.prefix(Int(count))))
    }

    func isMember(of group: gid_t) -> Bool { gid == group || groups.contains(group) }
}

/// Who may ask, and what they see.
public struct Access: Sendable, Equatable {
    /// What those see who are neither root nor in the group.
    public enum Others: String, Sendable, CaseIterable {
        /// Their own events.
        case own
        /// Nothing: they are refused.
        case group
    }

    let others: Others
    let groupName: String
    /// Nil where the system has no such group.
    let group: gid_t?

    /// Looks the group up.
    public init(others: Others, group name: String) {
        self.init(others: others, groupName: name, group: unsafe getgrnam(name).map { unsafe $0.pointee.gr_gid })
    }

    /// The same group, and others.
    public func opened(to others: Others) -> Access { Access(others: others, groupName: groupName, group: group) }

    init(others: Others, groupName: String, group: gid_t?) {
        self.others = others
        self.groupName = groupName
        self.group = group
    }

    /// Of the socket: connecting takes write permission.
    var socketMode: mode_t { others == .own ? 0o666 : 0o660 }

    /// What a peer sees: everything where `owner` is nil, otherwise the events of that user.
    func view(of peer: Peer) throws(RequestError) -> View {
        if peer.uid == 0 { return View(owner: nil) }
        if let group, peer.isMember(of: group) { return View(owner: nil) }
        guard others == .own else {
            throw RequestError(
                .notPermitted, "only root and the members of the group \(groupName) may ask (server.access)")
        }
        return View(owner: peer.uid)
    }
}

/// What somebody sees.
struct View: Equatable, Sendable {
    /// Whose events alone are shown; nil for everybody's.
    let owner: uid_t?

    var scope: Scope { owner == nil ? .all : .own }
}
