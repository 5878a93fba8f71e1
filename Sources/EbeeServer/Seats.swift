import EbeeProtocol
import Glibc
import Synchronization

/// How many are connected. Those who see everything find room whatever other users do, and no user takes another's.
final class Seats: Sendable {
    private struct Taken {
        var all = 0
        /// Of those who see only their own events, by user.
        var byOwner: [uid_t: Int] = [:]
        var restricted = 0
    }

    private let taken = Mutex(Taken())

    /// A part of `server.clients` that only root and the members of the group may take: a quarter, and at least one.
    static func reserved(of clients: Int) -> Int { max(1, clients / 4) }

    /// How many are taken.
    var count: Int { taken.withLock { $0.all } }

    func take(_ view: View, _ limits: ServerLimits) throws(RequestError) {
        let refusal = taken.withLock { taken -> String? in
            if taken.all >= limits.clients {
                return "\(limits.clients) clients are connected, which is the limit (server.clients)"
            }
            if let owner = view.owner {
                guard taken.byOwner[owner, default: 0] < limits.clientsPerUser else {
                    return "\(limits.clientsPerUser) clients of this user are connected, which is the limit "
                        + "(server.clients_per_user)"
                }
                guard taken.restricted < limits.clients - Self.reserved(of: limits.clients) else {
                    return "what is left of server.clients is for root and the daemon's group"
                }
                taken.byOwner[owner, default: 0] += 1
                taken.restricted += 1
            }
            taken.all += 1
            return nil
        }
        if let refusal { throw RequestError(.tooManyClients, refusal) }
    }

    func leave(_ view: View) {
        taken.withLock { taken in
            taken.all -= 1
            guard let owner = view.owner, let count = taken.byOwner[owner] else { return }
            taken.restricted -= 1
            taken.byOwner[owner] = count > 1 ? count - 1 : nil
        }
    }
}
