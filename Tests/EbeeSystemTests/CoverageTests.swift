import Foundation
import Testing

extension KernelSuites {
    /// Every route by which files are deleted and programs executed (Tests/ebee-coverage), on this kernel.
    @Suite(.requiresKernel) struct Coverage {
        @Test("every route is reported exactly once and exactly, or ebeed says that it can't see it")
        func everyRoute() throws {
            let coverage = try run(
                Binary.coverage, "--json", "--ebeed", Binary.ebeed, "--ebeectl", Binary.ebeectl, "--act", Binary.act,
                seconds: 300)
            let lines = try coverage.output.split(separator: 10).map { try Value(parsing: $0) }
            let routes = lines.filter { $0["route"] != nil }
            for route in routes where route["result"] == .string("failed") {
                Issue.record("\(route["route"]?.string ?? "?"): \(route["detail"]?.string ?? "?")")
            }
            // What a route needs, a kernel may have been built without; where tests must run, only that excuses it.
            for route in routes where route["result"] == .string("skipped") {
                let text = "\(route["route"]?.string ?? "?"): \(route["detail"]?.string ?? "?")"
                print("Not taken here: \(text)")
                let reasons = ["ENOSYS", "ENODEV", "EINVAL", "SIGSEGV", "in cgroup v2"]
                if Requirement.isStrict, !reasons.contains(where: text.contains) {
                    Issue.record("EBEE_REQUIRE_KERNEL=1, but skipped \(text)")
                }
            }
            let all = try #require(lines.last, "\(coverage.ending): \(coverage.errorText)")
            #expect(all["routes"]?.integer == Int64(routes.count), "\(coverage.errorText)")
            #expect(routes.count > 60)
            #expect(routes.contains { $0["result"] == .string("passed") })
            #expect(coverage.status == (all["failed"] == .integer(0) ? 0 : 1), "\(coverage.errorText)")
        }

        /// What stands between it and ebeectl, as a script of sed, and the route that must fail then.
        static let lies = [
            ("/unlink.x/p", "unlink"),  // twice
            ("/open-file/d", "open-file"),  // not at all
            (#"/rmdir.d/s/"pid":\([0-9]*\)/"pid":1\1/"#, "rmdir"), (#"s/"size":4/"size":5/"#, "unlink"),
            (#"s/"links":1/"links":0/"#, "one-of-two-links"), (#"s/"type":"fifo"/"type":"file"/"#, "fifo"),
            (#"s/"args_count":2/"args_count":3/"#, "vfork"), (#"s/"exit_code":3/"exit_code":0/"#, "exit-3"),
        ]

        @Test("a report that is wrong in one thing fails the route", arguments: lies)
        func lie(_ script: String, _ route: String) throws {
            let place = try Place()
            let liar = try place.file("ebeectl", mode: 0o755)
            try "#!/bin/sh\n'\(Binary.ebeectl)' \"$@\" | sed '\(script)'\n"
                .write(toFile: liar, atomically: false, encoding: .utf8)
            let coverage = try run(
                Binary.coverage, "--json", "--ebeed", Binary.ebeed, "--ebeectl", liar, "--act", Binary.act, route)
            #expect(coverage.text.contains(#""result":"failed""#), "\(coverage.text)\(coverage.errorText)")
            #expect(coverage.status == 1)
        }
    }
}
