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
    }
}
