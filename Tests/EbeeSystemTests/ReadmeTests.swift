import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Runs what the README tells people to run.
    @Suite struct ReadmeTests {
        /// Every command of the README: in a block of code, or in the text between backquotes.
        private static let commands: [String] = {
            let text = (try? String(contentsOfFile: "\(Binary.package)/README.md", encoding: .utf8)) ?? ""
            var found: [String] = []
            for line in text.split(separator: "\n") {
                var candidates = line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                    .filter { $0.offset % 2 == 1 }.map { String($0.element) }
                if line.hasPrefix("    ") { candidates = [String(line.dropFirst(4))] }
                for candidate in candidates {
                    let command = candidate.hasPrefix("$ ") ? String(candidate.dropFirst(2)) : candidate
                    let isCommand = ["sudo ", "ebeectl ", "journalctl ", "systemctl ", "make ", "ebeed "].contains {
                        command.hasPrefix($0)
                    }
                    let bare = command.split(separator: " #").first.map { $0.trimmingCharacters(in: .whitespaces) }
                    if isCommand, let bare, !found.contains(bare) { found.append(bare) }
                }
            }
            return found
        }()

        /// What needs a machine that is to be changed: installed for good, with systemd. The unit is checked instead.
        private static let changesTheMachine = [
            "sudo systemctl enable --now ebeed", "systemctl reload ebeed", "sudo usermod -aG ebee ana",
        ]

        @Test func theReadmeHasItsTwoCommands() {
            #expect(Self.commands.contains("sudo make run"))
            #expect(Self.commands.contains("sudo make install"))
            #expect(Self.commands.count > 8)
        }

        @Test(.requiresKernel) func questionsAreAnswered() throws {
            let recorder = try Recorder()
            try recorder.settle()
            let environment = [
                "EBEE_SOCKET": recorder.socket,
                "PATH": "\((Binary.ebeectl as NSString).deletingLastPathComponent):"
                    + "\((Binary.ebeed as NSString).deletingLastPathComponent):/usr/sbin:/usr/bin:/sbin:/bin",
            ]
            for command in Self.commands where command.hasPrefix("ebeectl ") || command.hasPrefix("ebeed ") {
                // A tail goes on until it is told to stop.
                let limited = command.hasPrefix("ebeectl tail") ? "timeout -s INT 2 \(command)" : command
                let finished = try run("sh", "-c", limited, environment: environment)
                let expected: Set<Int32> = command.hasPrefix("ebeectl tail") ? [124] : [0]
                #expect(
                    finished.status.map(expected.contains) == true,
                    "\(command): \(finished.ending) \(finished.errorText)")
            }
        }

        @Test(.requiresJournald) func theJournalIsAsked() throws {
            for command in Self.commands where command.hasPrefix("journalctl ") {
                // What is in the journal is another test's matter; this one is that journalctl takes the question.
                let finished = try run("sh", "-c", "\(command) --no-pager")
                #expect(finished.status == 0, "\(command): \(finished.ending) \(finished.errorText)")
            }
        }

        @Test(.requiresKernel, .timeLimit(.minutes(10))) func makeRunShowsEventsAndLeavesNothing() throws {
            try #require(Self.commands.contains("sudo make run"))
            // Built by whoever runs the tests through make; here it is only brought up to date.
            // timeout hands a signal on to its whole group, as a terminal does with Ctrl-C.
            let child = try Child(["timeout", "600", "make", "-C", Binary.package, "run"].map { Array($0.utf8) })
            #expect(
                child.read(seconds: 500) { String(decoding: $0.outputBytes, as: UTF8.self).contains("COMMAND OR PATH") }
            )
            let place = try Place()
            // The header is no sign that the question has arrived: events are made until one shows.
            let isSeen = try wait(seconds: 20) { () -> Bool? in
                let name = try place.file("seen-by-make-run")
                try must("rm", name)
                return child.read(seconds: 1) { String(decoding: $0.outputBytes, as: UTF8.self).contains(name) }
                    ? true : nil
            }
            #expect(isSeen == true)
            child.signal(SIGINT)
            let finished = try child.finish(seconds: 20)
            let output = String(decoding: child.outputBytes + child.errorBytes, as: UTF8.self)
            #expect(!output.contains("did not stop"), "\(output) \(finished.ending)")
            let left = try run(
                "sh", "-c", "ls -d /tmp/ebeed.?????? 2>/dev/null; pgrep -f 'ebeed --config [c]onfig/ebeed.toml'")
            #expect(left.text == "", "left behind: \(left.text)")
        }

        @Test(.timeLimit(.minutes(10))) func installPlacesAndUninstallRemoves() throws {
            let place = try Place()
            let root = try place.directory("root")
            for command in ["sudo make install", "sudo make uninstall"] {
                try #require(Self.commands.contains(command))
            }
            try must("make", "-C", Binary.package, "install", "DESTDIR=\(root)", "PREFIX=/usr", seconds: 500)
            for path in [
                "/usr/sbin/ebeed", "/usr/bin/ebeectl", "/usr/lib/systemd/system/ebeed.service",
                "/usr/lib/systemd/system/ebeed.socket", "/etc/ebee/ebeed.toml", "/usr/share/man/man8/ebeed.8",
                "/usr/share/man/man1/ebeectl.1",
            ] {
                #expect(Call.access(root + path, F_OK) == 0, "\(path) was not installed")
            }
            #expect(try run("\(root)/usr/bin/ebeectl", "--version").status == 0)
            let unit = try String(contentsOfFile: "\(root)/usr/lib/systemd/system/ebeed.service", encoding: .utf8)
            #expect(unit.contains("\nExecStart=/usr/sbin/ebeed\n"))
            try must("make", "-C", Binary.package, "uninstall", "DESTDIR=\(root)", "PREFIX=/usr", seconds: 100)
            #expect(try run("find", root, "!", "-type", "d").text == "")
        }

        @Test func nothingElseIsTold() {
            let known = ["ebeectl ", "ebeed ", "journalctl "]
            let tested = ["sudo make run", "sudo make install", "sudo make uninstall"] + Self.changesTheMachine
            for command in Self.commands {
                #expect(
                    known.contains { command.hasPrefix($0) } || tested.contains(command) || command == "make deps",
                    "no test runs: \(command)")
            }
        }
    }
}
