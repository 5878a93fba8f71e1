import EbeeKernel
import EbeeRecord

/// `ebeed --check`: what each hook would do on this kernel.
enum Check {
    /// Prints the findings to standard output; returns whether everything that is configured can be recorded.
    static func run(_ configuration: Configuration, file: String) throws -> Bool {
        print("configuration: ok")
        var works = true
        for recording in Recording.allCases {
            guard configuration[recording].record else {
                print("\(recording.stream): not recorded (\(recording.stream).record = false)")
                continue
            }
            var isChosen = false
            let only = configuration[recording].hooks
            for probe in try Program.probe(recording, settings: configuration.programSettings(recording)) {
                if let failure = probe.failure {
                    print("\(recording.stream): \(probe.rung): no: \(failure)")
                    continue
                }
                let isUsed = !isChosen && (only == nil || only == probe.rung)
                print("\(recording.stream): \(probe.rung): yes\(isUsed ? ", this one is used" : "")")
                if isUsed { for limit in probe.limits { print("    does not see or costs: \(limit)") } }
                isChosen = isChosen || isUsed
            }
            if let only, !isChosen {
                print("\(recording.stream): \(recording.stream).hooks = \"\(only)\" can't be had here")
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
            ringBytes: self[recording].ringBytes, argumentBytes: argumentBytes, failed: self[recording].failed,
            calls32Bit: self[recording].calls32Bit, rung: self[recording].hooks)
    }
}
