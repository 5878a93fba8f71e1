import EbeeTrial
import Glibc

/// One storm upon one ebeed, and the account of it.
struct Trial {
    let ebeed: String
    /// Where the programs are that make the load.
    let programs: String
    let threads: Int
    /// Nobody else makes events.
    let isAlone: Bool
    let progress: (String) -> Void

    /// How long the counts must stay as they are.
    private static let stillness = 0.5
    /// The kernel is asked once a second what it did not show to the programs.
    private static let asking = 1.3
    private static let patience = 60.0

    func run(_ storm: Storm) throws -> [Outcome] {
        progress("starting ebeed")
        let hider = storm.hides ? try Child(["\(programs)/ebee-act", "maps"]) : nil
        defer { hider?.signal(SIGKILL) }
        let daemon = try Daemon(ebeed, configuration: storm.configuration, outlives: storm.upgrades)
        let before = try settled(daemon, seconds: 5).account
        let made = try fall(storm, upon: daemon)
        if let ending = try hider?.ending() { throw Failure("nobody used maps: \(ending)", 0) }
        progress("waiting for what is on its way")
        try rest(Self.asking)
        return try judge(storm, made, daemon, before)
    }

    private func fall(_ storm: Storm, upon daemon: Daemon) throws -> Made {
        progress("the load")
        let place = daemon.place
        let load = try Child(
            storm.load(programs, threads: threads), output: place("load.out"), errors: place("load.err"))
        if let freeze = storm.freeze {
            // One that is as fast as it goes may be over by then.
            if !storm.isFast { try rest(0.3) }
            progress("the load; ebeed stands still")
            daemon.signal(SIGSTOP)
            defer { daemon.signal(SIGCONT) }
            let end = monotonic() + freeze
            while try monotonic() < end && load.ending() == nil { try rest(0.02) }
        }
        if storm.upgrades {
            try wait("threads in the middle of a call", seconds: 120) {
                if let ending = try load.ending() { throw Failure("the load ended with \(ending)", 0) }
                return place.line("load.err") == Array("ready".utf8) ? true : nil
            }
            progress("another ebeed, with other programs")
            // A ring of another size is all it takes.
            try daemon.replace(
                ebeed,
                configuration: storm.configuration.replacing("[deletes]\n", with: "[deletes]\nring_bytes = 2097152\n"))
            // The old ones stay for a tenth of a second.
            try rest(Self.asking)
            load.signal(SIGUSR1)
        }
        let code = try load.finish(seconds: 1800)
        guard code == 0, let made = Made(place.line("load.out")) else {
            throw Failure("the load ended with \(code): \(String(decoding: place.read("load.err"), as: UTF8.self))", 0)
        }
        return made
    }

    /// Events of others go on meanwhile: the counts of one moment agree only where nothing is on its way.
    private func settled(_ daemon: Daemon, seconds: Double) throws -> (account: [Stream: Account], isStill: Bool) {
        let deadline = monotonic() + seconds
        var account = try daemon.account()
        var since = monotonic()
        while monotonic() < since + Self.stillness {
            if monotonic() > deadline { return (account, false) }
            try rest(0.1)
            let now = try daemon.account()
            if now == account { continue }
            account = now
            since = monotonic()
        }
        return (account, true)
    }

    private func judge(_ storm: Storm, _ made: Made, _ daemon: Daemon, _ before: [Stream: Account]) throws -> [Outcome]
    {
        let deadline = monotonic() + Self.patience
        while true {
            let (account, isStill) = try settled(daemon, seconds: max(1, deadline - monotonic()))
            progress("counting what the windows hold")
            var outcomes: [Outcome] = []
            for stream in Stream.allCases {
                guard let counts = account[stream], let earlier = before[stream] else { continue }
                let all = try daemon.rows(stream, "")
                let filter = Self.filter(storm, stream, made)
                let own = try counts.evicted > 0 ? nil : daemon.rows(stream, filter).events
                outcomes.append(
                    Outcome(
                        storm: storm, stream: stream, made: made.count[stream] ?? 0, seconds: made.seconds,
                        account: counts, rows: all, own: own,
                        generated: isAlone ? counts.generated - earlier.generated : nil, isStill: isStill))
            }
            if try isStill && daemon.account() == account { return outcomes }
            if monotonic() > deadline {
                // What came meanwhile is in one count and not in the other.
                for index in outcomes.indices { outcomes[index].rows = nil }
                return outcomes
            }
        }
    }

    /// What the load did. A crowd's executions fail.
    private static func filter(_ storm: Storm, _ stream: Stream, _ made: Made) -> String {
        if storm.crowd != nil, stream == .exec {
            return ",\"pid\":[\(made.pid)],\"exe\":[\"/dev/shm/ebee-load-*\"]"
        }
        return made.filter(stream)
    }
}
