import Foundation
import Testing

extension KernelSuites {
    /// That `make bench` measures something; what comes of it is no test's affair.
    @Suite(.requiresKernel) struct Bench {
        @Test("each question is answered, and nothing of the load is lacking in silence") func small() throws {
            // A directory with the ebeed and ebeectl that are tested, and with the loads.
            let place = try Place()
            for program in [Binary.ebeed, Binary.ebeectl, Binary.load, Binary.act] {
                try FileManager.default.createSymbolicLink(
                    atPath: place((program as NSString).lastPathComponent), withDestinationPath: program)
            }
            let command = [Binary.bench, "--tools", "ebeed", "--rounds", "2", "--scale", "0.02", "-o", "json"]
            let finished = try run((command + ["--programs", place.path]).map { Array($0.utf8) }, seconds: 120)
            try #require(finished.status == 0, "\(finished.errorText)")
            let rows = try finished.output.split(separator: 10).map { try Value(parsing: $0) }
            let nobody = try #require(rows.first { $0["tool"] == .null })
            #expect(nobody["deletion_seconds"]?["middle"] != nil && nobody["getppid_seconds"]?["middle"] != nil)
            let ebeed = try #require(rows.first { $0["tool"]?.string == "ebeed" })
            let lost = try #require(ebeed["lost"]?.integer)
            for stream in ["deletes", "exec"] {
                let made = try #require(ebeed["\(stream)_made"]?.integer)
                let recorded = try #require(ebeed["\(stream)_recorded"]?.integer)
                #expect(recorded > 0 && recorded <= made && recorded + lost >= made, "\(ebeed)")
            }
            let questions = rows.filter { $0["question"] != nil }
            #expect(questions.count == 7)
            #expect(try #require(questions.first?["lines"]?.integer) >= 10_000)
        }
    }
}
