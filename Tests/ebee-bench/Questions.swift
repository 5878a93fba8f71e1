import EbeeTrial
import Glibc

/// What answers take, from a window that is full.
struct Questions {
    let programs: String
    let load: Load

    /// What was asked, and how it went.
    struct Answer {
        /// The command, as one would type it.
        let question: String
        /// Of each of some tries, from the start of ebeectl to its end.
        var seconds: [Double] = []
        /// Lines that it printed.
        var lines: Int64 = 0
        /// Bytes, likewise.
        var bytes: Int64 = 0
    }

    /// Fills the default window of 64 MiB at the usual scale: it holds some 350,000 deletions.
    private static let deletions = 500_000.0
    private static let tries = 5
    private static let all = [
        ["recent", "deletes", "-o", "json"], ["recent", "deletes", "-o", "table"],
        ["recent", "deletes", "--path", "/nowhere/*"], ["recent", "deletes", "-n", "10"],
        ["recent", "deletes", "--since", "1s", "-n", "10"], ["status"], ["--version"],
    ]

    func ask() throws -> [Answer] {
        let ebeed = try Ebeed(programs)
        _ = try load.make(.deletes, max(1, Int(Self.deletions * load.scale)))
        let place = try Place(in: "/dev/shm")
        return try Self.all.map { words in
            var answer = Answer(question: "ebeectl " + words.map(Self.quoted).joined(separator: " "))
            for _ in 0..<Self.tries {
                let start = monotonic()
                let child = try Child(
                    ["\(programs)/ebeectl"] + words
                        + (words == ["--version"] ? [] : ["--socket", ebeed.daemon.socket]), output: place("out"),
                    errors: place("err"))
                let code = try child.finish(seconds: 120, pause: 0.0002)
                answer.seconds.append(monotonic() - start)
                guard code == 0 else { throw Failure("\(answer.question) ended with \(code)", 0) }
            }
            answer.lines = try lines(of: place("out"), matching: "")
            var file = stat()
            answer.bytes = unsafe stat(place("out"), &file) == 0 ? Int64(file.st_size) : 0
            return answer
        }
    }

    private static func quoted(_ word: String) -> String { word.contains("*") ? "'\(word)'" : word }
}
