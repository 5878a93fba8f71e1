import ArgumentParser
import Glibc
import Synchronization

/// Makes deletions and executions at a given rate and says exactly how many it made, so that what was recorded can be
/// compared with what was done.
@main
struct Load: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ebee-load",
        abstract: "Deletes files and runs programs at a given rate.",
        discussion: """
            Prints one line of JSON: its pid, how many of each it made, in how long, and the rates that this gives. A \
            deletion is a file made and unlinked; an execution is a child that is waited for.

            EXAMPLES
              ebee-load --deletions 20000 --executions 1000 --seconds 30
              ebee-load --deletions 0 --executions 500 --program /bin/echo
              ebee-load --deletions 1000000 --executions 0 --seconds 1 --fast
              ebee-load --deletions 5000 --executions 0 --replace
            """)

    @Option(help: "Deletions per second.")
    var deletions = 20000

    @Option(help: "Executions per second.")
    var executions = 1000

    @Option(help: "For how long.")
    var seconds = 10.0

    @Flag(help: "As many as the rates make in that time, but as fast as this machine can.")
    var fast = false

    @Flag(help: "A deletion is a file that another one is renamed over, and of each thread the last is unlinked.")
    var replace = false

    @Option(help: "Threads that delete; as many again execute.")
    var threads = 1

    @Option(help: "Where the files are; a directory is made in it and removed.")
    var directory = "/dev/shm"

    @Option(help: "What is executed.")
    var program = "/bin/true"

    func validate() throws {
        guard deletions >= 0, executions >= 0, seconds > 0, seconds <= 3600, (1...64).contains(threads) else {
            throw ValidationError("Rates are never negative, seconds at most 3600, threads 1 to 64.")
        }
    }

    func run() throws {
        let files = "\(directory)/ebee-load-\(getpid())"
        guard unsafe mkdir(files, 0o755) == 0 else { throw ValidationError("can't make \(files): errno \(errno)") }
        let start = Pace.now()
        var workers: [Worker] = []
        let pace = { @Sendable [seconds, fast] in Pace(from: $0, rate: $1, seconds, isFast: fast) }
        for index in 0..<threads {
            if deletions > 0 {
                let path = "\(files)/\(index)"
                workers.append(
                    Worker { [replace] in
                        let pace = pace(start, share(deletions, index))
                        if !replace { return try pace.run { try Self.delete(path) } }
                        try Self.create(path)
                        let replaced = try pace.run { try Self.replace(path) }
                        guard unsafe unlink(path) == 0 else { throw LoadError("unlink \(path)") }
                        return replaced + 1
                    })
            }
            if executions > 0 {
                let program = program
                workers.append(
                    Worker(isExecution: true) {
                        try pace(start, share(executions, index)).run { try Self.execute(program) }
                    })
            }
        }
        var deleted = 0
        var executed = 0
        for worker in workers {
            let count = try worker.join()
            if worker.isExecution { executed += count } else { deleted += count }
        }
        let took = Double(Pace.now() - start) / 1e9
        _ = unsafe rmdir(files)
        print(
            """
            {"pid":\(getpid()),"deletions":\(deleted),"executions":\(executed),"seconds":\(took),\
            "deletions_per_second":\(Int(Double(deleted) / took)),"executions_per_second":\(Int(Double(executed) / took))}
            """)
    }

    /// A thread's part of a rate.
    private func share(_ rate: Int, _ index: Int) -> Int { rate / threads + (index < rate % threads ? 1 : 0) }

    private static func create(_ path: String) throws {
        let descriptor = unsafe creat(path, 0o600)
        guard descriptor >= 0 else { throw LoadError("create \(path)") }
        close(descriptor)
    }

    private static func replace(_ path: String) throws {
        let new = path + ".new"
        try create(new)
        guard unsafe rename(new, path) == 0 else { throw LoadError("rename \(new)") }
    }

    private static func delete(_ path: String) throws {
        try create(path)
        guard unsafe unlink(path) == 0 else { throw LoadError("unlink \(path)") }
    }

    private static func execute(_ program: String) throws {
        var pid = pid_t()
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe [strdup(program), nil]
        defer { unsafe free(arguments[0]) }
        let result = unsafe posix_spawn(&pid, program, nil, nil, &arguments, environ)
        guard result == 0 else { throw LoadError("spawn \(program)", result) }
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else { throw LoadError("\(program) ended with wait status \(status)", 0) }
    }
}

struct LoadError: Error, CustomStringConvertible {
    let description: String
    init(_ what: String, _ number: Int32 = errno) { description = "\(what): errno \(number)" }
}

/// Does something at a rate, in ticks of a millisecond on an absolute clock: being late once makes nothing late for ever,
/// and what a machine can't do is seen in the rate that comes out.
struct Pace {
    private static let tick: UInt64 = 1_000_000
    private let start: UInt64
    private let rate: Int
    private let seconds: Double
    /// Without pauses.
    private let isFast: Bool

    init(from start: UInt64, rate: Int, _ seconds: Double, isFast: Bool = false) {
        self.start = start
        self.rate = rate
        self.seconds = seconds
        self.isFast = isFast
    }

    static func now() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// How often it was done.
    func run(_ body: () throws -> Void) throws -> Int {
        let whole = Int(Double(rate) * seconds)
        let end = start + UInt64(seconds * 1e9)
        var done = 0
        while isFast, done < whole {
            try body()
            done += 1
        }
        var next = start
        while done < whole {
            next += Self.tick
            let due = min(whole, Int(Double(next - start) / 1e9 * Double(rate)))
            while done < due {
                try body()
                done += 1
            }
            if next >= end { next = end }
            var until = timespec(tv_sec: Int(next / 1_000_000_000), tv_nsec: Int(next % 1_000_000_000))
            while unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nil) == EINTR {}
            // Twice the time is enough for a machine that can't keep up.
            if Self.now() > end + UInt64(seconds * 1e9) { break }
        }
        return done
    }
}

/// A thread, and what it came to.
final class Worker: Sendable {
    let isExecution: Bool
    private let body: @Sendable () throws -> Int
    private let result = Mutex<Result<Int, any Error>>(.success(0))
    private let thread = Mutex(pthread_t())

    init(isExecution: Bool = false, _ body: @escaping @Sendable () throws -> Int) {
        self.isExecution = isExecution
        self.body = body
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        thread.withLock { thread in
            let error = unsafe pthread_create(
                &thread, nil,
                { context in
                    guard let context = unsafe context else { return nil }
                    let worker = unsafe Unmanaged<Worker>.fromOpaque(context).takeRetainedValue()
                    worker.result.withLock { [body = worker.body] in $0 = Result { try body() } }
                    return nil
                }, context)
            precondition(error == 0, "pthread_create: errno \(error)")
        }
    }

    func join() throws -> Int {
        _ = pthread_join(thread.withLock { $0 }, nil)
        return try result.withLock { try $0.get() }
    }
}
