import EbeeTrial
import Glibc

/// What was measured of one tool in one round.
struct Sample {
    /// Of one event, in seconds; a deletion is a file made and unlinked, an execution a child that is waited for.
    var seconds: [EbeeTrial.Stream: Double] = [:]
    /// Of one getppid(2), which is no event, in seconds.
    var other = 0.0
    /// How many were made, and how many of these the tool has.
    var made: [EbeeTrial.Stream: Int64] = [:]
    var recorded: [EbeeTrial.Stream: Int64] = [:]
    /// How many it says that it lost, of whatever.
    var lost: Int64 = 0
    /// Processor time of the tool for each event, in seconds.
    var processor: [EbeeTrial.Stream: Double] = [:]
    /// Resident at the end, in bytes.
    var memory: Int64 = 0
}

/// The load that every tool sees.
struct Load {
    let programs: String
    let scale: Double

    private static let usual: [EbeeTrial.Stream: Double] = [.deletes: 100_000, .exec: 3_000]
    private static let calls = 2_000_000

    func fall(upon tool: Tool?) throws -> Sample {
        var sample = Sample()
        for (stream, usual) in Self.usual.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            let before = try tool?.settle() ?? 0
            let made = try make(stream, Int(usual * scale))
            let count = made.count[stream] ?? 0
            sample.seconds[stream] = made.seconds / Double(count)
            sample.made[stream] = count
            guard let tool else { continue }
            // To count takes time, too.
            let took = try tool.settle() - before
            sample.recorded[stream] = try tool.count(stream, made)
            sample.processor[stream] = took / Double(count)
        }
        sample.other = try getppid()
        if let tool {
            sample.memory = memory(of: tool.pid)
            sample.lost = try tool.lost()
        }
        return sample
    }

    /// As fast as it goes, by one thread.
    func make(_ stream: EbeeTrial.Stream, _ count: Int) throws -> Made {
        let place = try Place()
        let (deletions, executions) = stream == .deletes ? (count, 0) : (0, count)
        let load = try Child(
            [
                "\(programs)/ebee-load", "--deletions", "\(deletions)", "--executions", "\(executions)",
                "--seconds", "1", "--fast",
            ], output: place("out"))
        defer {
            // Where we are being stopped, it is too, and its files stay behind.
            if (try? load.ending()) != .some(0) {
                load.signal(SIGKILL)
                load.end(within: 5)
                _ = try? Child(["/bin/rm", "-rf", "/dev/shm/ebee-load-\(load.pid)"]).end(within: 10)
            }
        }
        guard try load.finish(seconds: 600) == 0, let made = Made(place.line("out")) else {
            throw Failure("ebee-load failed", 0)
        }
        return made
    }

    private func getppid() throws -> Double {
        let place = try Place()
        let act = try Child(["\(programs)/ebee-act", "getppid", "\(Self.calls)"], output: place("out"))
        let line = try act.finish(seconds: 600) == 0 ? place.line("out") : []
        guard let nanoseconds = Double(String(decoding: line, as: UTF8.self)) else {
            throw Failure("ebee-act failed", 0)
        }
        return nanoseconds / 1e9
    }
}

/// User and system time of a process that runs, in seconds: fields 14 and 15 (proc_pid_stat(5)).
func processorTime(of pid: pid_t) throws -> Double {
    let fields = text(of: "/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ") ?? []
    guard fields.count > 12, fields[0] != "Z", let user = Double(fields[11]), let system = Double(fields[12]) else {
        throw Failure("process \(pid) has ended", 0)
    }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
}

/// Resident bytes of a process.
func memory(of pid: pid_t) -> Int64 {
    let pages = text(of: "/proc/\(pid)/statm").split(separator: " ").dropFirst().first.flatMap { Int64($0) } ?? 0
    return pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
}

private func text(of path: String) -> String { String(decoding: firstBytes(of: path), as: UTF8.self) }
