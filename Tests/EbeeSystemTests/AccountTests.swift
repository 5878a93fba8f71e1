import Foundation
import Testing

extension KernelSuites {
    /// What `make account` does, made smaller: whatever is generated is delivered, or counted as lost.
    @Suite(.requiresKernel) struct Accounts {
        /// Behind rings of 64 KiB ebeed stands still until the load is over: that some are lost does not depend on the machine.
        @Test("two streams that overrun their rings: no event is unaccounted for") func storm() throws {
            let programs = URL(fileURLWithPath: Binary.load).deletingLastPathComponent().path
            let command =
                [Binary.account, "--storms", "ring", "--freeze", "60", "--scale", "0.1", "-o", "json"]
                + ["--programs", programs, "--ebeed", Binary.ebeed]
            let finished = try run(command.map { Array($0.utf8) }, seconds: 120)
            #expect(finished.status == 0, "\(finished.errorText)")
            let rows = try finished.output.split(separator: 10).map { try Value(parsing: $0) }
            #expect(rows.compactMap { $0["stream"]?.string } == ["exec", "deletes"])
            for row in rows {
                print("ebee-account: \(row)")
                #expect(row["problems"] == .array([]))
                func number(_ name: String) throws -> Int64 { try #require(row[name]?.integer, "\(name)") }
                let (made, lost) = try (number("made"), number("lost"))
                #expect(try number("generated") == number("delivered") + lost)
                // Nobody else is seen, but ebee-load itself, or its directory that is removed.
                #expect(try number("generated_by_storm") == made + 1)
                #expect(try number("in_window") == number("delivered"))
                #expect(try number("marked") == lost && number("ring_full") == lost)
                // What was lost may have been that one.
                #expect(try (made...made + 1).contains(number("own_in_window") + lost))
                #expect(made > 0 && lost > 0)
            }
        }
    }
}
