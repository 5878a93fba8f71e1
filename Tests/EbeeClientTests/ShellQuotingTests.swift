import Testing

@testable import EbeeClient

@Suite struct ShellQuotingTests {
    private func shown(_ words: [[UInt8]]) -> String {
        var cell = CellText()
        ShellQuoting.append(words.map { FileName(bytes: $0) }, to: &cell)
        return cell.text
    }

    @Test(arguments: [
        (["ls", "-la", "a b", ""], "ls -la 'a b' ''"), (["a=b", "c=d"], "'a=b' c=d"), (["it's"], #"$'it\'s'"#),
        (["echo", "a\nb\\"], #"echo $'a\nb\\'"#), (["echo", "a\\b"], #"echo 'a\b'"#), (["é"], "'é'"),
        (["x", "\u{202e}"], #"x $'\u202e'"#), (["x", "\u{e0041}"], #"x $'\U000e0041'"#),
        (["~", "*", "#"], "'~' '*' '#'"),
        ([], ""),
    ])
    func shows(_ words: [String], _ expected: String) {
        #expect(shown(words.map { Array($0.utf8) }) == expected)
    }

    @Test(arguments: [
        ("plain-1.2/x@y:z,%+=", "plain-1.2/x@y:z,%+="), ("", "''"), ("a b", "'a b'"), ("it's", #"'it'\''s'"#),
        ("'", #"''\'''"#),
        ("$(id)`id`\\", #"'$(id)`id`\'"#), ("a\nb", "'a\nb'"), ("~", "'~'"),
    ])
    func posix(_ word: String, _ expected: String) {
        #expect(ShellQuoting.posix(word) == expected)
    }

    /// Real shells read back the very bytes.
    @Test func shellsReadItBack() {
        var generator = SeededGenerator(state: 6)
        for _ in 0..<20 {
            let words = (0..<40).map { _ in
                hostileBytes(count: Int.random(in: 0...20, using: &generator), using: &generator)
            }
            let expected = words.reduce([]) { $0 + $1 + [0] }
            let command = #"printf '%s\0' "# + shown([Array("x".utf8)] + words)
            let bash = shell("LC_ALL=C.UTF-8 bash -c " + ShellQuoting.posix(command))
            #expect(bash.output == Array("x\0".utf8) + expected)
            let texts = words.map { text($0) }
            let sh = shell(#"printf '%s\0' "# + texts.map(ShellQuoting.posix).joined(separator: " "))
            #expect(sh.output == texts.reduce([]) { $0 + Array($1.utf8) + [0] })
        }
    }

    @Test func sshArguments() throws {
        let remote = try #require(Remote(argument: "ana@web1"))
        let words = ["recent", "--since=2h 30min", "--path=*'x"]
        #expect(
            remote.sshArguments(words, isInteractive: false)
                == ["--", "ana@web1", #"ebeectl recent '--since=2h 30min' '--path=*'\''x'"#])
        #expect(remote.sshArguments(words, isInteractive: true).first == "-t")
    }

    @Test(arguments: ["-oProxyCommand=id", "", "@", "ana@", "@web1", "ana@-oX", "a b", "a\nb", "-", "a\u{1b}"])
    func hostsThatAreNone(_ host: String) {
        #expect(Remote(argument: host) == nil)
    }

    @Test func verbFirst() {
        #expect(
            Ebeectl.verbFirst(["-H", "web1", "--socket=/x", "tail", "exec"]) == [
                "tail", "-H", "web1", "--socket=/x", "exec",
            ])
        #expect(Ebeectl.verbFirst(["--socket", "/x", "status"]) == ["status", "--socket", "/x"])
        #expect(Ebeectl.verbFirst(["-Hweb1", "status"]) == ["status", "-Hweb1"])
        for same in [[], ["--version"], ["-H", "web1"], ["-H"], ["tail", "-H", "x"]] {
            #expect(Ebeectl.verbFirst(same) == same)
        }
    }
}
