import ArgumentParser
import EbeeTrial
import Glibc

/// Proves that every event is delivered or counted as lost, with load that is made and counted by somebody else.
@main
struct Accounting: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ebee-account",
        abstract: "Lets storms of executions and deletions fall upon ebeed, and prints what became of every event.",
        discussion: """
            Starts an ebeed of its own for each storm, in a pid namespace, so that the other processes of this machine are \
            not in its account. Ends with 1 where events are unaccounted for, or where any was lost \
            of the million deletions or the 100,000 executions, which are made as fast as this machine can, with the default \
            configuration: on a machine with a journal, they go there too. `make account` builds and runs it; STORMS, \
            SCALE and EVERYBODY=1 are its options.

            STORMS
            \(Storm.all.map { "  \($0.name)" }.joined(separator: "\n"))

            EXAMPLES
              sudo make account
              sudo make account STORMS=deletions SCALE=0.1
              sudo .build/release/ebee-account --storms frozen,ring --threads 1
              sudo .build/release/ebee-account -o json
            """)

    enum Format: String, ExpressibleByArgument { case table, json }

    @Option(help: "Only these, with commas between them.")
    var storms: String?

    @Option(help: "So many times the usual number of events.")
    var scale = 1.0

    @Option(help: "Threads of ebee-load that delete; as many again execute. Without, one for each processor.")
    var threads = min(64, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))

    @Option(help: "ebeed stands still for so many seconds in each storm, or until the load is over.")
    var freeze: Double?

    @Option(help: "The only hooks for deletions that ebeed may use, such as syscalls.")
    var hooksDeletes: String?

    @Flag(help: "Also see the other processes of this machine, which must do little: MADE is a lower bound then.")
    var everybody = false

    @Option(name: .shortAndLong, help: "table, or json: one object for each stream of a storm.")
    var output = Format.table

    @Option(help: "Where ebeed, ebee-load and ebee-act were built.")
    var programs = ".build/release"

    @Option(help: "The daemon, where it is another.")
    var ebeed: String?

    private var names: [String] { storms?.split(separator: ",").map(String.init) ?? Storm.all.map(\.name) }

    func validate() throws {
        let known = Storm.all.map(\.name)
        if let name = names.first(where: { !known.contains($0) }) {
            throw ValidationError("There is no storm \(name); there are \(known.joined(separator: ", ")).")
        }
        guard scale >= 0.001, scale <= 100 else { throw ValidationError("The scale is 0.001 to 100.") }
        guard (0...60).contains(freeze ?? 0) else { throw ValidationError("It stands still for 60 s at most.") }
        guard (1...64).contains(threads) else { throw ValidationError("Threads are 1 to 64.") }
    }

    private static let mark = "EBEE_ACCOUNT_ALONE"

    func run() throws {
        guard geteuid() == 0 else { throw Failure("must run as root", 0) }
        if !everybody, unsafe getenv(Self.mark) == nil { return try startOver() }
        Interruption.arm()
        let chosen = Storm.all.filter { names.contains($0.name) }
        let table = output == .table ? Table() : nil
        table?.begin()
        var isFine = true
        for (index, usual) in chosen.enumerated() {
            var storm = usual.scaled(scale)
            if let freeze { storm.freeze = freeze }
            if let hooksDeletes { storm = storm.hooked(hooksDeletes) }
            defer { showProgress("") }
            let trial = Trial(
                ebeed: ebeed ?? "\(programs)/ebeed", programs: programs, threads: threads,
                isAlone: !everybody
            ) { showProgress("\(index + 1) of \(chosen.count), \(storm.title): \($0)") }
            let outcomes = try trial.run(storm)
            showProgress("")
            if let table { table.add(outcomes) } else { for outcome in outcomes { print(outcome.json) } }
            fflush(nil)
            isFine = isFine && outcomes.allSatisfy(\.problems.isEmpty)
        }
        table?.end(isAlone: !everybody)
        if !isFine { throw ExitCode(1) }
    }

    /// In a pid namespace, which ends with this process. unshare(2) isn't in Swift's Glibc, unshare(1) is everywhere.
    private func startOver() throws {
        guard let own = unsafe realpath("/proc/self/exe", nil) else { throw Failure("find this program") }
        defer { unsafe free(own) }
        unsafe setenv(Self.mark, "1", 1)
        let command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", unsafe String(cString: own)]
        var arguments = unsafe (command + CommandLine.arguments.dropFirst()).map { unsafe strdup($0) } + [nil]
        unsafe execvp(command[0], &arguments)
        throw Failure("execute \(command[0])")
    }
}
