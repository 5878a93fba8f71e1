import EbeeProtocol
import Testing

@testable import EbeeClient

/// The built ebeectl against a socket. What a real daemon answers is tested elsewhere.
@Suite struct EndToEndTests {
    private func ebeectl(_ arguments: String, _ server: FixedServer?, after: String = "") throws -> (
        output: String, status: Int32
    ) {
        let socket = server?.path ?? "/nonexistent/ebeed.sock"
        let result = shell("NO_COLOR= EBEE_SOCKET=\(socket) timeout 20 \(buildDirectory)/ebeectl \(arguments) \(after)")
        return (text(result.output), result.status)
    }

    @Test func recentAsJSON() throws {
        let server = try #require(FixedServer(answer: Fixture.reply([Fixture.rm, Fixture.lost]) + Fixture.done))
        let result = try ebeectl("recent exec --since 5m --comm rm --user 0 --pid 1 --pid 2 -n 3 -r -o json", server)
        let named = Fixture.rm.split(separator: #""user":{"id":0}"#).joined(
            separator: #""user":{"id":0,"name":"root"}"#)
        #expect(result.output == named + "\n" + Fixture.lost + "\n")
        #expect(result.status == 0)
        let request = try Request(line: try #require(server.received.first))
        #expect(
            request.query
                == .recent(
                    Recent(
                        stream: .exec, since: .ago(nanoseconds: 300_000_000_000), limit: 3, reverse: true,
                        filter: Filter(pid: [1, 2], comm: ["rm"], uid: [0]))))
    }

    @Test func completeness() throws {
        let incomplete = Fixture.done.split(separator: "true").joined(separator: "false")
        let server = try #require(FixedServer(answer: incomplete))
        #expect(try ebeectl("recent --require-complete 2>&1", server).status == 3)
        let result = try ebeectl("recent deletes 2>&1 >/dev/null", server)
        #expect(result.status == 0)
        #expect(result.output.contains("NOT complete: recording began at"))
    }

    @Test func noDaemon() throws {
        let result = try ebeectl("recent 2>&1", nil)
        #expect(result.status == 1)
        #expect(
            result.output
                == "ebeectl: no ebeed answers on /nonexistent/ebeed.sock (No such file or directory); start it with: sudo systemctl start ebeed\n"
        )
    }

    @Test(arguments: [
        "recent --since foo", "recent --since 5", "recent --user no-such-user", "recent -n -1", "recent --older-than x",
        "frobnicate", "recent --since now --until 1h", "status -o csv",
        "recent -o openmetrics", "tail -o openmetrics", "recent --host=-oProxyCommand=id",
        "recent -o xml",
        "who-deleted /x",
    ])
    func usage(_ arguments: String) throws {
        let server = try #require(FixedServer(answer: Fixture.done))
        #expect(try ebeectl(arguments + " 2>/dev/null", server).status == 64)
        #expect(server.received.isEmpty)
    }

    @Test func refusal() throws {
        let server = try #require(FixedServer(answer: text(RequestError(.tooManyClients, "no room").line)))
        let result = try ebeectl("tail 2>&1 >/dev/null", server)
        #expect(result.output == "ebeectl: ebeed refused: no room (too_many_clients)\n")
        #expect(result.status == 1)
    }

    @Test(arguments: ["", "{\"id\":1,\"ev", "{\"id\":1,\"done\":{}}\n"])
    func daemonGoesAway(_ end: String) throws {
        let server = try #require(FixedServer(answer: Fixture.reply([Fixture.rm]) + end))
        let result = try ebeectl("tail exec 2>&1 >/dev/null", server)
        #expect(result.status == 1)
        #expect(result.output.hasPrefix("ebeectl: ebeed ") && result.output.split(separator: "\n").count == 1)
    }

    @Test func linesAreBounded() throws {
        let server = try #require(FixedServer(answer: String(repeating: "x", count: 3 << 20)))
        #expect(try ebeectl("recent 2>/dev/null", server).status == 1)
        let name = String(repeating: "y", count: 1_000_000)
        let long = Fixture.rm.split(separator: "a b").joined(separator: name)
        let longServer = try #require(FixedServer(answer: Fixture.reply([long]) + Fixture.done))
        let result = try ebeectl("recent -o csv 2>/dev/null", longServer)
        #expect(result.status == 0)
        #expect(result.output.contains(name))
    }

    /// A tail that has nothing more to write ends soon after its reader does, quietly.
    @Test func brokenPipe() throws {
        let server = try #require(FixedServer(answer: Fixture.reply([Fixture.rm]), stays: true))
        let result = shell(
            "bash -c '(timeout 20 \(buildDirectory)/ebeectl tail exec --socket \(server.path) 2>&1; echo $? >&2) | head -1' 2>&1"
        )
        #expect(text(result.output).hasPrefix("TIME"))
        #expect(text(result.output).hasSuffix("\n0\n"))
    }

    /// Ctrl-C kills by the signal itself, so that a shell sees 130.
    @Test func interrupt() throws {
        let server = try #require(FixedServer(answer: Fixture.reply([Fixture.rm]), stays: true))
        let result = shell(
            "timeout -s INT --preserve-status 2 \(buildDirectory)/ebeectl tail exec --color always --socket \(server.path) 2>&1"
        )
        #expect(result.status == 130)
        #expect(text(result.output).hasSuffix("''\n\u{1b}[0m"))
    }

    @Test func statusIsText() throws {
        let status =
            #"{"version":"0.1.0","pid":812,"streams":[{"stream":"exec","rung":"tp_btf","events":1200,"lost":3}]}"#
        let server = try #require(FixedServer(answer: "{\"id\":1,\"status\":\(status)}\n{\"id\":1,\"done\":{}}\n"))
        let result = try ebeectl("status", server)
        #expect(result.output.contains("ebeed 0.1.0 (pid 812)"))
        #expect(result.output.contains("1,200 events, 3 LOST"))
        #expect(try ebeectl("status -o json", server).output == status + "\n")
    }

    /// ssh gets one word for the remote shell, which takes it apart into the arguments that were given.
    @Test func otherMachine() throws {
        let directory = "/tmp/ebeectl-test-ssh-\(UInt32.random(in: 0 ... .max))"
        let stub = #"shift; printf "%s\n" "$1"; ebeectl() { printf "<%s>\n" "$@"; }; eval "$2""#
        _ = shell(
            "mkdir \(directory) && printf '#!/bin/sh\\n%s\\n' \(ShellQuoting.posix(stub)) > \(directory)/ssh && chmod +x \(directory)/ssh"
        )
        defer { _ = shell("rm -r \(directory)") }
        let result = shell(
            "PATH=\(directory):$PATH \(buildDirectory)/ebeectl -H ana@web1 recent --path \"*'x \\$(id)\" --since '2h 30min' -n 2 </dev/null"
        )
        #expect(
            text(result.output) == """
                ana@web1
                <recent>
                <all>
                <--since=2h 30min>
                <--limit=2>
                <--path=*'x $(id)>
                <--output=table>
                <--color=auto>

                """)
    }
}
