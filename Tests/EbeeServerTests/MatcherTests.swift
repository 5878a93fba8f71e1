import CEvents
import EbeeProtocol
import EbeeRecord
import EbeeTestSupport
import Testing

@testable import EbeeServer

@Suite struct MatcherTests {
    private func exec(_ filter: Filter, _ change: (inout ProcessFields) -> Void = { _ in }) throws -> Bool {
        let bytes = ProcessFields { change(&$0) }.bytes
        return try unsafe Matcher(filter).matches(ProcessRecord(bytes.span.bytes), bytes.span.bytes)
    }

    private func delete(
        _ filter: Filter, by process: ProcessFields? = ProcessFields(),
        _ change: (inout DeleteFields) -> Void = { _ in }
    ) throws -> Bool {
        let bytes = DeleteFields { change(&$0) }.bytes
        let stored = try process.map { try StoredProcess($0.bytes) }
        return try unsafe Matcher(filter).matches(DeleteRecord(bytes.span.bytes), bytes.span.bytes) { stored }
    }

    @Test func everything() throws {
        #expect(try exec(Filter()))
        #expect(try delete(Filter()))
    }

    @Test(
        arguments: [
            (Filter(pid: [4312]), true), (Filter(pid: [1, 4312]), true), (Filter(pid: [1]), false),
            (Filter(pid: []), false),
            (Filter(ppid: [4000]), true), (Filter(ppid: [4312]), false), (Filter(comm: ["rm"]), true),
            (Filter(comm: ["rm*"]), false), (Filter(comm: ["r"]), false), (Filter(comm: []), false),
            (Filter(uid: [11]), true),
            (Filter(uid: [12]), false), (Filter(exe: ["/usr/bin/rm"]), true), (Filter(exe: ["/usr/*"]), true),
            (Filter(exe: ["*/rm"]), true), (Filter(exe: ["rm"]), false), (Filter(exe: ["/usr/bin/r?"]), true),
            (Filter(unit: ["ci.service"]), true), (Filter(unit: ["ci"]), true), (Filter(unit: ["c*"]), true),
            (Filter(unit: ["ci.scope"]), false), (Filter(unit: ["cj"]), false),
            (Filter(pid: [4312], comm: ["rm"], uid: [11], unit: ["ci"]), true), (Filter(pid: [4312], uid: [0]), false),
        ] as [(Filter, Bool)])
    func process(filter: Filter, matches: Bool) throws {
        #expect(try exec(filter) == matches)
        #expect(try delete(filter) == matches)
    }

    @Test func whatIsNotKnownMatchesNoFilter() throws {
        #expect(
            try !exec(Filter(ppid: [0])) {
                $0.flags |= EBEE_NO_PARENT.rawValue; $0.ppid = 0
            })
        #expect(try !exec(Filter(exe: ["*"])) { $0.flags &= ~EBEE_EXECUTABLE_KNOWN.rawValue })
        #expect(try !exec(Filter(unit: ["*"])) { $0.flags &= ~EBEE_CGROUP_KNOWN.rawValue })
        #expect(try !exec(Filter(unit: ["*"])) { $0.cgroup = [] })
        for filter in [Filter(ppid: [4000]), Filter(exe: ["*"]), Filter(unit: ["*"])] {
            #expect(try !delete(filter, by: nil))
        }
        #expect(try delete(Filter(comm: ["rm"], uid: [11]), by: nil), "the record itself has these")
        #expect(try !delete(Filter(path: ["*"])) { $0.flags = EBEE_NAME_UNREAD.rawValue })
        #expect(try !delete(Filter(olderThan: 0)) { $0.victimFlags = 0 })
    }

    /// The kernel keeps 15 bytes of a name.
    @Test func longNames() throws {
        #expect(try exec(Filter(comm: ["a-name-of-19-bytes!"])) { $0.comm = "a-name-of-19-by" })
        #expect(try !exec(Filter(comm: ["a-name-of-19-bytes!"])) { $0.comm = "a-name-of-19-b" })
    }

    @Test(arguments: [
        ("/srv/app/x", true), ("/srv/*", true), ("*.log", false), ("/srv/app", false), ("/srv/app/[xyz]", true),
        ("*x", true),
    ])
    func paths(glob: String, matches: Bool) throws {
        #expect(try delete(Filter(path: [glob])) == matches)
        #expect(try delete(Filter(path: ["/none", glob])) == matches)
        #expect(try !exec(Filter(path: [glob])), "an execution deletes nothing")
    }

    @Test func pathsThatAreNoText() throws {
        #expect(try delete(Filter(path: ["/srv/app/?"])) { $0.name = [0xff] })
        #expect(try delete(Filter(path: ["*"])) { $0.name = [0xff, 0x0a] })
    }

    @Test func failed() throws {
        #expect(try !delete(Filter()) { $0.result = -1 })
        #expect(try delete(Filter(failed: true)) { $0.result = -1 })
        #expect(try delete(Filter(failed: true)))
    }

    @Test func failedExecutions() throws {
        #expect(try !exec(Filter()) { $0.fail("/usr/bin/rm", from: "/") })
        #expect(try exec(Filter(failed: true)) { $0.fail("/usr/bin/rm", from: "/") })
        #expect(try exec(Filter(failed: true)), "those that succeed too")
        #expect(try !exec(Filter(pid: [4312])) { $0.fail("/usr/bin/rm", from: "/") })
        #expect(try exec(Filter(pid: [4312], failed: true)) { $0.fail("/usr/bin/rm", from: "/") })
        #expect(try !exec(Filter(pid: [1], failed: true)) { $0.fail("/usr/bin/rm", from: "/") })
    }

    /// The path that was asked for, not the directory that its name was seen from, nor the name.
    @Test(arguments: [
        ("tool", "/srv/app", "/srv/app/tool", true), ("tool", "/srv/app", "/srv/app", false),
        ("tool", "/srv/app", "tool", false), ("../bin/tool", "/srv/app", "/srv/bin/*", true),
        ("../bin/tool", "/srv/app", "/srv/app/*", false), ("/usr/bin/rm", "/", "/usr/bin/rm", true),
        ("/usr/bin/rm", "/", "/", false), ("tool", "/srv/app", "*", true),
    ])
    func pathsOfFailedExecutions(name: String, base: String, glob: String, matches: Bool) throws {
        #expect(try exec(Filter(exe: [glob], failed: true)) { $0.fail(name, from: base) } == matches)
        #expect(try !exec(Filter(exe: [glob])) { $0.fail(name, from: base) })
        #expect(
            try !exec(Filter(exe: [glob], failed: true)) {
                $0.fail(name, from: base)
                $0.flags &= ~EBEE_EXECUTABLE_KNOWN.rawValue
            })
    }

    @Test func olderThan() throws {
        let day: Int64 = 86_400_000_000_000
        let now = Clock.wall(boot: Clock.boot()) / 1_000_000_000
        func aged(_ filter: Filter, created: Int64?, modified: Int64) throws -> Bool {
            try delete(filter) {
                $0.time = Clock.boot()
                $0.mtime = (modified, 0)
                $0.created = (created ?? 0, 0)
                if created == nil { $0.victimFlags = EBEE_VICTIM_KNOWN.rawValue }
            }
        }
        let filter = Filter(olderThan: day)
        #expect(try aged(filter, created: now - 90_000, modified: now))
        #expect(
            try !aged(filter, created: now - 80_000, modified: now - 90_000), "the creation counts where it is known")
        #expect(try aged(filter, created: nil, modified: now - 90_000))
        #expect(try !aged(filter, created: nil, modified: now - 80_000))
        #expect(try !aged(filter, created: now + 1_000_000, modified: 0))
        #expect(try aged(filter, created: nil, modified: -9_223_372_036))
        #expect(try !aged(filter, created: nil, modified: 9_223_372_035))
        for seconds in [Int64.max, .min] { _ = try aged(filter, created: nil, modified: seconds) }
    }
}
