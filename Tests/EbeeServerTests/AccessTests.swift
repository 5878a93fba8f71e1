import EbeeProtocol
import Glibc
import Testing

@testable import EbeeServer

@Suite struct AccessTests {
    private func scope(_ peer: Peer, _ others: Access.Others = .own, group: gid_t? = 100) -> String {
        do {
            let view = try Access(others: others, groupName: "ebee", group: group).view(of: peer)
            return view.owner.map { "own \($0)" } ?? "all"
        } catch {
            return error.code.rawValue
        }
    }

    @Test func rootAndTheGroupSeeAll() {
        for others in Access.Others.allCases {
            #expect(scope(Peer(uid: 0, gid: 7, groups: []), others) == "all")
            #expect(scope(Peer(uid: 1, gid: 100, groups: []), others) == "all")
            #expect(scope(Peer(uid: 1, gid: 7, groups: [3, 100]), others) == "all")
        }
    }

    @Test func othersSeeTheirOwnOrNothing() {
        #expect(scope(Peer(uid: 1, gid: 7, groups: [3])) == "own 1")
        #expect(scope(Peer(uid: 1, gid: 0, groups: [0])) == "own 1", "the group root is not root")
        #expect(scope(Peer(uid: 1, gid: 7, groups: []), group: nil) == "own 1")
        #expect(scope(Peer(uid: 1, gid: 7, groups: []), .group) == "not_permitted")
        #expect(scope(Peer(uid: 1, gid: 7, groups: []), .group, group: nil) == "not_permitted")
    }

    @Test func thePeerOfAPair() throws {
        var ends: [Int32] = [-1, -1]
        try #require(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { for end in ends { close(end) } }
        let peer = try Peer(of: ends[0])
        var groups = [gid_t](repeating: 0, count: 65536)
        groups = unsafe Array(groups.prefix(Int(getgroups(Int32(groups.count), &groups))))
        #expect(peer == Peer(uid: geteuid(), gid: getegid(), groups: groups))
        #expect(throws: (any Error).self) { try Peer(of: -1) }
    }

    @Test func seats() throws {
        let seats = Seats()
        let limits = ServerLimits(
            clients: 8, clientsPerUser: 4, requests: 1, requestBytes: 1, idle: .seconds(1), stalled: .seconds(1))
        func take(_ owner: uid_t?, _ count: Int) -> Int {
            (0..<count).count { _ in (try? seats.take(View(owner: owner), limits)) != nil }
        }
        #expect(take(1, 10) == 4)
        #expect(take(2, 10) == 2, "a quarter is kept")
        #expect(take(nil, 10) == 2 && seats.count == 8)
        seats.leave(View(owner: 1))
        #expect(take(nil, 10) == 1)
        #expect(take(3, 1) == 0 && seats.count == 8)
        for owner in [1, 1, 1, 2, 2, nil, nil, nil] as [uid_t?] { seats.leave(View(owner: owner)) }
        #expect(seats.count == 0 && take(1, 10) == 4)
    }

    @Test func activity() {
        let start = ContinuousClock.now
        let activity = Activity(now: start)
        func verdict(_ seconds: Int) -> Activity.Verdict {
            activity.verdict(
                now: start + .seconds(seconds), idle: .seconds(60), stalled: .seconds(600))
        }
        func at(_ seconds: Int) -> Activity.Verdict { .fine(until: start + .seconds(seconds)) }
        #expect(verdict(0) == at(60))
        #expect(verdict(60) == .idle)
        activity.received(at: start + .seconds(50))
        #expect(verdict(60) == at(110))
        activity.beginRequest()
        #expect(verdict(1000) == at(1060), "a tail may wait for events as long as it likes")
        activity.beginWrite(at: start + .seconds(1000))
        activity.beginWrite(at: start + .seconds(1500))
        #expect(verdict(1500) == at(1600))
        #expect(verdict(1600) == .stalled)
        activity.endWrite(at: start + .seconds(1600))
        #expect(verdict(1600) == at(2200), "it took something")
        activity.endWrite(at: start + .seconds(1700))
        activity.endRequest(at: start + .seconds(1700))
        #expect(verdict(1700) == at(1760))
        #expect(verdict(1760) == .idle)
    }
}
