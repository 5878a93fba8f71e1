import Glibc

/// Compares what was done with what was reported.
struct Judge {
    enum Verdict {
        /// Reported exactly once and right; without facts that these hooks can't tell, if there are reasons.
        case passed(without: String)
        case limited(String)
        case failed(String)
    }

    /// One thing that is not as it must be, and the words of the sentences in `cannot_see` that would excuse it.
    private struct Mismatch {
        let text: String
        let excuses: [String]
        /// It is about something that failed, as it had to.
        var isOfFailure = false
        /// The event is there and right, but for a fact about the file or the program that is not told.
        var isMissingFact = false
    }

    /// The sentences about what can't be seen.
    let deletionLimits, executionLimits: [String]
    /// Bytes of arguments that the daemon keeps: its default.
    private let argumentBytes = 16384

    func verdict(_ made: Performance, _ events: [Event]) -> Verdict {
        let own = events.filter { event in
            if let pid = event.pid, made.pids.contains(pid) { return true }
            return [event.path, event.replacedBy].contains { path in
                path.map { $0 == made.place || $0.starts(with: made.place + [UInt8(ascii: "/")]) } ?? false
            }
        }
        // Each stream has sentences of its own.
        var mismatches = compareDeletions(made, own.filter { $0.kind == "delete" }).map { ($0, deletionLimits) }
        if made.route.group == .executions {
            mismatches += compareExecutions(made, own.filter { $0.kind == "exec" }).map { ($0, executionLimits) }
        }
        if mismatches.isEmpty { return .passed(without: "") }
        var reasons: [String] = []
        var wrong: [String] = []
        for (mismatch, limits) in mismatches {
            guard let reason = excuse(mismatch, in: limits) else {
                wrong.append(mismatch.text)
                continue
            }
            if !reasons.contains(reason) { reasons.append(reason) }
        }
        if !wrong.isEmpty { return .failed(wrong.joined(separator: "; ")) }
        let reason = reasons.joined(separator: "; ")
        return mismatches.allSatisfy(\.0.isMissingFact) ? .passed(without: reason) : .limited(reason)
    }

    private func excuse(_ mismatch: Mismatch, in limits: [String]) -> String? {
        limits.first { sentence in
            // What isn't seen when it fails is seen when it succeeds.
            if sentence.contains(" fail"), !mismatch.isOfFailure { return false }
            // A sentence about a special way says that the plain ones are seen.
            let special = ["through 32-bit", "in 32-bit", "through io_uring"].filter(sentence.contains)
            return mismatch.excuses.contains { words in
                sentence.contains(words) && (special.isEmpty || special.contains(words))
            }
        }
    }

    // MARK: Deletions

    private func compareDeletions(_ made: Performance, _ events: [Event]) -> [Mismatch] {
        var left = events
        var mismatches: [Mismatch] = []
        for (index, expected) in made.route.expected.filter({ $0.kind == .deletion }).enumerated() {
            let path = made.text.bytes(expected.path)
            // The one that is meant, or else the first that might be.
            guard let found = left.firstIndex(where: { $0.path == path }) ?? left.indices.first else {
                mismatches.append(
                    Mismatch(
                        text: "\(expected.how) \(shown(path)) is not reported",
                        excuses: unseen(made.route, made.route.errno, expected),
                        isOfFailure: made.route.errno != 0))
                continue
            }
            mismatches += compare(made, made.deeds[index], expected, left.remove(at: found))
        }
        return mismatches + left.map { Mismatch(text: "reported too much: \($0.summary)", excuses: []) }
    }

    /// What excuses that an event is not there, besides what the route says.
    private func unseen(_ route: Route, _ errno: Int32, _ expected: Expected) -> [String] {
        switch (expected.kind, errno) {
        case (.execution, 0): route.unseen
        case (.execution, _): route.unseen + ["executions that fail"]
        case (.deletion, 0): route.unseen + (expected.how == "rename" ? ["files that a rename replaces"] : [])
        case (.deletion, _): route.unseen + [expected.how == "rename" ? "renames that fail" : "deletions that fail"]
        }
    }

    private func compare(_ made: Performance, _ deed: Deed, _ expected: Expected, _ event: Event) -> [Mismatch] {
        var check = Comparison()
        check("how", event["how"]?.string, expected.how)
        check("via", event["via"]?.string, expected.via)
        check("result", event.result, errnoName(deed.errno))
        check("path", event.path, made.text.bytes(expected.path), excuses: made.route.misplaced)
        check("replaced_by", event.replacedBy, expected.replacedBy.map(made.text.bytes))
        check("path_truncated", event["file", "path_truncated"]?.bool, nil)
        check("pid", event.pid, deed.pid)
        // A worker of io_uring has an id that nobody is told.
        if expected.via == "syscall" { check("tid", event.tid, deed.tid) }
        check("executable", event.bytes(event["process"], "executable"), made.launch[0])
        check("args", event.arguments, made.launch)
        check("args_count", event["process", "args_count"]?.integer, Int64(made.launch.count))
        compareCgroup(&check, expected, event)
        // What a deletion that failed would have deleted need not be known.
        if deed.errno == 0 { compareFacts(&check, made, deed, expected, event) }
        return check.mismatches
    }

    private func compareFacts(
        _ check: inout Comparison, _ made: Performance, _ deed: Deed, _ expected: Expected, _ event: Event
    ) {
        guard let facts = deed.facts else { return check.add("ebee-act saw no file to delete") }
        let excuses =
            expected.factsUnknown + [expected.type == .directory ? "of deleted directories" : "of deleted files"]
        let file = event.json["file"]
        check("type", file?["type"]?.string, "\(expected.type)", absent: excuses)
        check("inode", file?["inode"]?.integer, facts.inode, absent: excuses)
        check("device", file?["device"]?.string, facts.device, absent: excuses)
        check("size", file?["size"]?.integer, facts.size, absent: excuses)
        check("mode", file?["mode"]?.string, facts.mode, absent: excuses)
        check("owner", file?["owner"]?.integer, facts.owner, absent: excuses)
        check("group", file?["group"]?.integer, facts.group, absent: excuses)
        check("mtime", file?["mtime"]?.string, facts.modified, absent: excuses)
        let links = expected.type == .directory ? 0 : facts.links - 1
        check("links", file?["links"]?.integer, links, absent: excuses)
        // Not every filesystem tells it to BPF, nor to stat.
        if let created = file?["created"]?.string, let known = facts.created { check("created", created, known) }
    }

    private func compareCgroup(_ check: inout Comparison, _ expected: Expected, _ event: Event) {
        let process = event.json["process"]
        if let unit = expected.unit { check("unit", process?["unit"]?.string, unit, excuses: ["cgroup"]) }
        if let cgroup = expected.cgroup { check("cgroup", process?["cgroup"]?.string, cgroup, excuses: ["cgroup"]) }
        if let id = expected.container {
            check("container.id", process?["container"]?["id"]?.string, id, excuses: ["cgroup"])
        }
    }

    // MARK: Executions

    private func compareExecutions(_ made: Performance, _ events: [Event]) -> [Mismatch] {
        // The first is that of ebee-act itself.
        let launch = Expected(kind: .execution, executable: made.route.program)
        let expected = [launch] + made.route.expected.filter { $0.kind == .execution }
        var left = events
        var mismatches: [Mismatch] = []
        for (index, expected) in expected.enumerated() {
            let errno = index == 0 ? 0 : expected.errno ?? made.route.errno
            // In their order; but where failures can't be seen, what succeeded isn't taken for one.
            guard let found = left.firstIndex(where: { $0.result == errnoName(errno) }) ?? left.indices.first,
                errno == 0 || left[found].result != "success"
            else {
                let text = "execution of \(shown(made.text.bytes(expected.executable))) is not reported"
                mismatches.append(
                    Mismatch(
                        text: text, excuses: index == 0 ? [] : unseen(made.route, errno, expected),
                        isOfFailure: errno != 0))
                continue
            }
            let event = left.remove(at: found)
            var check = Comparison()
            check("result", event.result, errnoName(errno))
            let pid = index == 0 ? made.pid : made.inner ?? made.pid
            check("pid", event.pid, pid)
            check("tid", event.tid, pid)
            compareProgram(&check, made, expected, event, isLaunch: index == 0, hasFailed: errno != 0)
            compareCgroup(&check, expected, event)
            let isLast = errno == 0 && !left.contains { $0.pid == pid && $0.result == "success" }
            compareEnding(&check, isLast ? made.ending(of: pid) : nil, made, expected, event)
            mismatches += check.mismatches
        }
        return mismatches + left.map { Mismatch(text: "reported too much: \($0.summary)", excuses: []) }
    }

    /// What was executed, or was to be.
    private func compareProgram(
        _ check: inout Comparison, _ made: Performance, _ expected: Expected, _ event: Event, isLaunch: Bool,
        hasFailed: Bool
    ) {
        let process = event.json["process"]
        check("executable", event.bytes(process, "executable"), made.text.bytes(expected.executable))
        var words = isLaunch ? made.launch : made.text.words(expected.arguments)
        if let (count, length) = expected.manyArguments {
            words = ["ebee-act", "exit", "0"].map { Array($0.utf8) }
            words += [[UInt8]](repeating: [UInt8](repeating: UInt8(ascii: "x"), count: length), count: count - 3)
        } else if !isLaunch, words.isEmpty, made.child?.ending?.code == 1 {
            words = [[]]  // as the program itself counted them
        }
        let kept = cut(words)
        check("args", event.arguments, kept)
        check("args_truncated", process?["args_truncated"]?.bool, kept == words ? nil : true)
        // How many arguments a program would have had, nobody need have counted.
        let count = process?["args_count"]?.integer
        if !hasFailed || count != nil { check("args_count", count, Int64(words.count), absent: ["how many arguments"]) }
        check("user.id", process?["user"]?["id"]?.integer, 0)
        check("group.id", process?["group"]?["id"]?.integer, 0)
        check("effective_user.id", process?["effective_user"]?["id"]?.integer, Int64(expected.effectiveUser))
        if !hasFailed {
            let interpreter = expected.interpreter.map(made.text.bytes)
            check("interpreter", event.bytes(process, "interpreter"), interpreter, absent: ["the interpreter"])
        }
        if let directory = expected.directory {
            check("working_directory", event.bytes(process, "working_directory"), made.text.bytes(directory))
        }
    }

    /// A process ends once, and that is said of what it executed last.
    private func compareEnding(
        _ check: inout Comparison, _ ending: Child.Ending?, _ made: Performance, _ expected: Expected, _ event: Event
    ) {
        let process = event.json["process"]
        check("exit_code", process?["exit_code"]?.integer, ending?.code)
        check("exit_signal", process?["exit_signal"]?.integer, ending?.signal)
        let duration = process?["duration_ns"]?.integer
        guard ending != nil, let child = made.child, let duration else {
            return check("duration_ns", duration.map { "\($0)" }, ending == nil ? nil : "there")
        }
        let longest = Int64((child.ended - child.started) * 1e9)
        if duration < expected.duration || duration > longest {
            check.add("duration_ns is \(duration), not from \(expected.duration) to \(longest)")
        }
    }

    /// What is left of arguments, each with its NUL, in as many bytes as the daemon keeps.
    private func cut(_ words: [[UInt8]]) -> [[UInt8]] {
        let whole = Array(words.joined(separator: [0])) + [0]
        guard whole.count > argumentBytes else { return words }
        var kept = whole.prefix(argumentBytes)
        if kept.last == 0 { kept.removeLast() }
        return kept.split(separator: 0, omittingEmptySubsequences: false).map(Array.init)
    }

    /// Collects what differs.
    private struct Comparison {
        var mismatches: [Mismatch] = []

        mutating func add(_ text: String) { mismatches.append(Mismatch(text: text, excuses: [])) }

        /// - Parameters:
        ///   - excuses: words that excuse that it is another.
        ///   - absent: words that excuse that it is not there.
        mutating func callAsFunction<Value: Equatable>(
            _ name: String, _ found: Value?, _ expected: Value?, excuses: [String] = [], absent: [String] = []
        ) {
            guard found != expected else { return }
            let text = "\(name) is \(Self.shown(found)), not \(Self.shown(expected))"
            let isMissing = found == nil && !absent.isEmpty
            mismatches.append(
                Mismatch(text: text, excuses: isMissing ? excuses + absent : excuses, isMissingFact: isMissing))
        }

        private static func shown(_ value: Any?) -> String {
            switch value {
            case let bytes as [UInt8]: ebee_coverage.shown(bytes)
            case let words as [[UInt8]]:
                words.count > 12 ? "\(words.count) words" : words.map { ebee_coverage.shown($0) }.joined(separator: " ")
            case .some(let value): "\(value)"
            case .none: "absent"
            }
        }
    }
}
