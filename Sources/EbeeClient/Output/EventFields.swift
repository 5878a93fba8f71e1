import EbeeProtocol

/// What a table and CSV need to know about the `process` of an event.
extension JSON {
    /// The arguments, from `args_raw` where they were not all UTF-8.
    var arguments: [FileName] {
        let texts = self["args"]?.array ?? []
        let raw = self["args_raw"]?.array ?? []
        return texts.indices.map { index in
            if index < raw.count, let bytes = raw[index].string.flatMap(decodeBase64) { return FileName(bytes: bytes) }
            return FileName(texts[index].string ?? "")
        }
    }

    /// How the process ended: the exit code, or the name of the signal; nil while it runs.
    var ending: String? {
        if let signal = self["exit_signal"]?.integer, signal != 0 { return signalName(signal) }
        return self["exit_code"]?.integer.map { String($0) }
    }
}

private func signalName(_ number: Int64) -> String {
    // The numbers of x86 and ARM; the others are named by number.
    let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ]
    return 1...Int64(names.count) ~= number ? names[Int(number) - 1] : "SIG\(number)"
}
