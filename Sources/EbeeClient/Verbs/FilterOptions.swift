import ArgumentParser
import EbeeProtocol

/// Which events to show. Each option may be given several times, and then matches any of its values.
struct FilterOptions: ParsableArguments {
    @Option(help: "Only what this process did.")
    var pid: [Int32] = []

    @Option(help: "Only what the children of this process did.")
    var ppid: [Int32] = []

    @Option(help: ArgumentHelp("Only processes with this short name.", valueName: "name"))
    var comm: [String] = []

    @Option(help: ArgumentHelp("Only executables whose path matches.", valueName: "glob"))
    var exe: [String] = []

    @Option(help: ArgumentHelp("Only deleted files whose path matches; * also matches /.", valueName: "glob"))
    var path: [String] = []

    @Option(help: ArgumentHelp("Only this user, by name or number.", valueName: "user"))
    var user: [String] = []

    @Option(help: ArgumentHelp("Only this systemd unit; nginx is nginx.service, and globs match.", valueName: "unit"))
    var unit: [String] = []

    @Flag(help: "Also what was tried and failed.")
    var failed = false

    @Option(help: ArgumentHelp("Only deleted files that were at least so old, such as 30d.", valueName: "age"))
    var olderThan: Age?

    func validate() throws {
        guard (pid + ppid).allSatisfy({ $0 >= 0 }) else { throw ValidationError("A pid is never negative.") }
    }

    /// The filter to send. Users are looked up here, so that the daemon never waits for a name service.
    func filter() throws(ClientFailure) -> Filter {
        let uids = try user.map { (name) throws(ClientFailure) in
            guard let uid = Users.number(of: name) else {
                throw ClientFailure(message: "there is no user '\(name)'", exitCode: 64)
            }
            return uid
        }
        return Filter(
            pid: given(pid), ppid: given(ppid), comm: given(comm), exe: given(exe), path: given(path),
            uid: given(uids), unit: given(unit), failed: failed, olderThan: olderThan?.nanoseconds)
    }

    // An option that was not given leaves the list out: an empty list would match nothing.
    private func given<Value>(_ values: [Value]) -> [Value]? { values.isEmpty ? nil : values }

    /// The same options for another ebeectl, which knows its own users.
    var arguments: [String] {
        var arguments = pid.map { "--pid=\($0)" } + ppid.map { "--ppid=\($0)" } + comm.map { "--comm=\($0)" }
        arguments += exe.map { "--exe=\($0)" } + path.map { "--path=\($0)" } + user.map { "--user=\($0)" }
        arguments += unit.map { "--unit=\($0)" } + (failed ? ["--failed"] : [])
        return arguments + (olderThan.map { ["--older-than=\($0.text)"] } ?? [])
    }
}

/// A span of time, as an option.
struct Age: ExpressibleByArgument {
    let text: String
    let nanoseconds: Int64

    init?(argument: String) {
        guard let nanoseconds = TimeSpan.parse(argument) else { return nil }
        self.text = argument
        self.nanoseconds = nanoseconds
    }
}

extension EventStream: ExpressibleByArgument {}
