import EbeeKernel
import EbeeRecord

/// `ebeed --check`: what each hook would do on this kernel.
enum Check {
    /// Prints the findings to standard output; returns whether everything that is configured can be recorded.
    static func run(_ configuration: Configuration, file: String) -> Bool {
        print("configuration: ok")
        var works = true
        for recording in Recording.allCases {
            guard configuration[recording].record else {
                print("\(recording.stream): not recorded (\(recording.stream).record = false)")
                continue
            }
            var isChosen = false
            for probe in Program.probe(recording, settings: configuration.programSettings(recording)) {
                if let failure = probe.failure {
                    print("\(recording.stream): \(probe.rung): no: \(failure)")
                    continue
                }
                print("\(recording.stream): \(probe.rung): yes\(isChosen ? "" : ", this one is used")")
                if !isChosen { for limit in probe.limits { print("    does not see or costs: \(limit)") } }
                isChosen = true
            }
            works = works && isChosen
        }
        return works
    }
}

extension Configuration {
    subscript(recording: Recording) -> Stream {
        switch recording {
        case .exec: exec
        case .deletes: deletes
        }
    }

    func programSettings(_ recording: Recording) -> ProgramSettings {
        ProgramSettings(
            ringBytes: self[recording].ringBytes, argumentBytes: argumentBytes, failedDeletions: failedDeletions)
    }
}
