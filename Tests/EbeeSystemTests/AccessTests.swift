import Foundation
import Glibc
import Testing

extension KernelSuites {
    /// Root and the group see everything, another user what ran as that user, in no byte anything else. With real users.
    @Suite(.requiresKernel) struct AccessToEvents {
        private static let secret = "Secret-of-somebody-else"

        /// Every kind of question, each under an id of its own.
        private static let questions = [
            #""request":"recent""#, #""request":"recent","reverse":true"#, #""request":"recent","limit":1000"#,
            #""request":"recent","limit":1000,"reverse":true"#, #""request":"recent","limit":0"#,
            #""request":"recent","stream":"exec","since":3600000000000"#, #""request":"recent","stream":"deletes""#,
            #""request":"recent","filter":{"failed":true}"#, #""request":"recent","filter":{"uid":[0,61001,61002]}"#,
            #""request":"recent","filter":{"path":["*"],"failed":true}"#,
            #""request":"recent","filter":{"exe":["*"],"failed":true}"#,
            #""request":"recent","filter":{"uid":[0],"failed":true}"#, #""request":"status""#,
            #""request":"recent","filter":{"path":["*Secret*"]}"#, #""request":"secret""#,
            #""request":"recent","secret":1"#,
        ]

        /// A file of the user's own is deleted with this argument, and a program is run that isn't there.
        private func act(_ users: Users, _ user: User, _ word: String) throws {
            let place = try Place()
            _ = Call.chown(place.path, user.uid, user.gid)
            try users.must(
                as: user, "sh", "-c",
                "cd \(place.path); : > \(word); /bin/true \(word); rm -f ./\(word); ./no-\(word) || :")
        }

        private func actAsRoot(_ word: String) throws {
            let place = try Place()
            try must(
                "sh", "-c",
                "cd \(place.path); : > \(word); /bin/true \(word); rm -f ./\(word); ./no-\(word) 2>/dev/null || :")
        }

        private func ask(_ socket: Socket, _ question: String) throws -> (lines: [Value], raw: String) {
            socket.send("{\"id\":1,\(question)}")
            let raw = try socket.rawAnswer()
            return (try raw.split(separator: 10).map { try Value(parsing: $0) }, String(decoding: raw, as: UTF8.self))
        }

        private func keys(_ value: Value) -> Set<String> {
            switch value {
            case .object(let members): members.reduce(into: []) { $0.formUnion(keys($1.value).union([$1.key])) }
            case .array(let values): values.reduce(into: []) { $0.formUnion(keys($1)) }
            default: []
            }
        }

        @Test("a user sees what ran as that user, and nothing else in any byte") func own() throws {
            let users = try Users()
            let recorder = try Recorder(through: users.namespace.enter)
            try act(users, Users.ana, "word-of-ana")
            try act(users, Users.bob, Self.secret + "-bob")
            try actAsRoot(Self.secret + "-root")
            try recorder.settle()
            let socket = try Socket(recorder.socket, as: Users.ana)
            var seen: Set<String> = []
            for question in Self.questions {
                let (lines, raw) = try ask(socket, question)
                #expect(!raw.contains("somebody"), "\(question): \(raw)")
                let events = lines.filter { $0["event"] != nil }
                for event in events where event["event"] != .string("lost") {
                    #expect(event["process", "user", "id"] == .integer(61001), "\(question): \(event)")
                    #expect(event["process", "effective_user", "id"] == .integer(61001), "\(question): \(event)")
                    let name = event.path ?? event["process", "args"]?.strings?.last ?? ""
                    if name.contains("word-of-ana") {
                        seen.insert("\(event["event"]?.string ?? "") \(event.result ?? "")")
                    }
                }
                let last = try #require(lines.last)
                if last["error"] == nil, last["done", "matched"] != nil {
                    #expect(last["done", "matched"] == .integer(Int64(events.count { $0["event"] != .string("lost") })))
                    #expect(lines.first?["scope"] == .string("own"))
                }
                // Counts and places of others' events.
                let told = lines.reduce(into: Set()) { $0.formUnion(keys($1)) }
                #expect(
                    told.isDisjoint(with: [
                        "cursor", "lost", "count", "ancestors", "events", "evicted", "used_bytes",
                        "memory_bytes", "clients", "journal", "programs", "window",
                    ]), "\(question): \(raw)")
            }
            #expect(seen.isSuperset(of: ["exec ", "exec ENOENT", "delete success"]), "\(seen)")

            for (name, socket) in [
                ("root", try Socket(recorder.socket)), ("a member", try Socket(recorder.socket, as: Users.eve)),
                ("a member by primary group", try Socket(recorder.socket, as: Users.gil)),
            ] {
                let (lines, raw) = try ask(socket, Self.questions[0])
                #expect(raw.contains(Self.secret + "-bob") && raw.contains(Self.secret + "-root"), "\(name)")
                #expect(raw.contains("word-of-ana") && lines.last?["done", "lost"] != nil, "\(name)")
                let status = try ask(socket, #""request":"status""#)
                #expect(status.lines.first?["status", "scope"] == .string("all"), "\(name)")
            }
            // The groups of the process count, not those of its user.
            let (_, raw) = try ask(try Socket(recorder.socket, as: Users.eve.uid, Users.eve.gid), Self.questions[0])
            #expect(!raw.contains("somebody") && raw.contains("\"scope\":\"own\""))
        }

        @Test("tail shows a user their own, with and without a backlog") func tail() throws {
            let users = try Users()
            let recorder = try Recorder(through: users.namespace.enter)
            try act(users, Users.ana, "before-ana")
            try actAsRoot(Self.secret)
            try recorder.settle()
            let socket = try Socket(recorder.socket, as: Users.ana)
            socket.send(#"{"id":1,"request":"tail","backlog":100000,"filter":{"failed":true}}"#)
            #expect(try socket.line()?["scope"] == .string("own"))
            // The line before went out with the question's answer begun; what follows is live for those that come now.
            usleep(300_000)
            try actAsRoot(Self.secret)
            try act(users, Users.bob, Self.secret)
            try act(users, Users.ana, "after-ana")
            try recorder.settle()
            var raw = ""
            var pids: Set<Int64> = []
            while let line = try socket.line(seconds: 1) {
                raw += String(decoding: socket.lastBytes, as: UTF8.self)
                #expect(line["process", "user", "id"] == .integer(61001))
                if let pid = line.pid { pids.insert(pid) }
            }
            #expect(raw.contains("before-ana") && raw.contains("after-ana") && pids.count >= 4)
            #expect(!raw.contains("somebody") && !raw.contains("cursor"))
        }

        @Test("neither set-user-id programs nor who acts for a user are the user's") func mixedRights() throws {
            let users = try Users()
            let recorder = try Recorder(through: users.namespace.enter)
            // Not where set-user-id has no effect, as mostly in /dev/shm.
            let place = try Place(in: "/var/tmp")
            let program = place("act")
            try must("cp", Binary.act, program)
            _ = Call.chmod(program, 0o4755)
            let secret = try place.file(Self.secret)
            try users.must(as: Users.ana, program, "unlink", secret)
            #expect(Call.access(secret, F_OK) == ENOENT, "it ran as root")
            // Real user root, effective user ana.
            let other = try place.file(Self.secret + "-2")
            _ = Call.chmod(place.path, 0o777)
            try must("setpriv", "--euid", "\(Users.ana.uid)", Binary.act, "unlink", other)
            try recorder.settle()
            let socket = try Socket(recorder.socket, as: Users.ana)
            for question in Self.questions { #expect(try !ask(socket, question).raw.contains("somebody")) }
            #expect(try recorder.recent("deletes", "--path", "*\(Self.secret)*").count == 2, "root sees both")
        }

        @Test("ebeectl says that it shows one's own only") func client() throws {
            let users = try Users()
            let recorder = try Recorder(through: users.namespace.enter)
            let place = try Place()
            let ebeectl = place("ebeectl")
            try must("cp", Binary.ebeectl, ebeectl)
            try act(users, Users.ana, "word-of-ana")
            try actAsRoot(Self.secret)
            try recorder.settle()
            for arguments in [["recent"], ["recent", "-o", "json"], ["recent", "-o", "csv", "--failed"]] {
                let command = users.run(as: Users.ana) + [ebeectl] + arguments + ["--socket", recorder.socket]
                let finished = try run(command.map { Array($0.utf8) })
                #expect(finished.status == 0 && finished.text.contains("word-of-ana"))
                #expect(!finished.text.contains("somebody"))
                #expect(finished.errorText.contains("Only your own events are shown: root and the group ebee see"))
            }
            let status = try users.must(as: Users.ana, ebeectl, "status", "--socket", recorder.socket)
            #expect(status.text.contains("Only your own events") && !status.text.contains("client"))
            let member = try users.must(as: Users.eve, ebeectl, "recent", "--socket", recorder.socket)
            #expect(member.text.contains(Self.secret) && !member.errorText.contains("Only your own"))
        }

        @Test("access = \"group\" closes it to others, at once for new connections") func closed() throws {
            let users = try Users()
            let quiet = "[exec]\njournal = false\n[deletes]\njournal = false\n[server]\n"
            let recorder = try Recorder(quiet, through: users.namespace.enter)
            #expect(try status(of: recorder.socket).st_mode & 0o777 == 0o666)
            #expect(try status(of: recorder.socket).st_gid == Users.group)
            let before = try Socket(recorder.socket, as: Users.ana)
            #expect(try before.ask(#"{"id":1,"request":"status"}"#).count == 2)

            func reload(_ access: String) throws {
                let count = recorder.errors.components(separatedBy: "configuration reloaded").count
                try (quiet + "access = \"\(access)\"\n").write(
                    toFile: recorder.configuration, atomically: false, encoding: .utf8)
                recorder.signal(SIGHUP)
                let isDone = wait { () -> Bool? in
                    recorder.errors.components(separatedBy: "configuration reloaded").count > count ? true : nil
                }
                #expect(isDone == true)
                // It stays, as where systemd holds the socket: ebeed itself refuses.
                #expect(try status(of: recorder.socket).st_mode & 0o777 == 0o666)
            }
            try reload("group")
            let refused = try Socket(recorder.socket, as: Users.ana)
            #expect(try refused.line()?["error", "code"] == .string("not_permitted"))
            #expect(try refused.line() == nil && refused.isEnded)
            let place = try Place()
            try must("cp", Binary.ebeectl, place("ebeectl"))
            let command = users.run(as: Users.ana) + [place("ebeectl"), "recent", "--socket", recorder.socket]
            let finished = try run(command.map { Array($0.utf8) })
            #expect(finished.status == 1 && finished.text.isEmpty)
            #expect(
                finished.errorText == "ebeectl: ebeed refused: only root and the members of the group ebee may ask "
                    + "(server.access) (not_permitted)\n")
            #expect(try before.ask(#"{"id":2,"request":"status"}"#).count == 2, "a connection keeps what it had")
            for member in [Users.eve, Users.gil] {
                #expect(try Socket(recorder.socket, as: member).ask(#"{"id":1,"request":"status"}"#).count == 2)
            }
            try reload("own")
            #expect(try Socket(recorder.socket, as: Users.ana).ask(#"{"id":1,"request":"status"}"#).count == 2)
        }

        @Test("closed from the start: the socket's mode keeps others out, until a restart") func closedAtStart() throws
        {
            let users = try Users()
            let recorder = try Recorder("[server]\naccess = \"group\"\n", through: users.namespace.enter)
            #expect(try status(of: recorder.socket).st_mode & 0o777 == 0o660)
            #expect(try status(of: recorder.socket).st_gid == Users.group)
            #expect(throws: HarnessError.self) { try Socket(recorder.socket, as: Users.ana) }
            #expect(try Socket(recorder.socket, as: Users.eve).ask(#"{"id":1,"request":"status"}"#).count == 2)
            try "".write(toFile: recorder.configuration, atomically: false, encoding: .utf8)
            recorder.signal(SIGHUP)
            let said = wait {
                recorder.errors.contains("server.access: the socket opens to others after a restart") ? true : nil
            }
            #expect(said == true, "\(recorder.errors)")
            #expect(throws: HarnessError.self) { try Socket(recorder.socket, as: Users.ana) }
        }

        @Test("a user takes neither another's place nor root's") func places() throws {
            let users = try Users()
            let recorder = try Recorder(
                "[server]\nclients = 12\nclients_per_user = 6\n", through: users.namespace.enter)
            func isAnswered(_ socket: Socket) throws -> Bool {
                socket.send(#"{"id":1,"request":"status"}"#)
                return try socket.line()?["status"] != nil
            }
            func refusal(_ user: User) throws -> String? {
                let error = try Socket(recorder.socket, as: user).line()?["error"]
                return error?["code"] == .string("too_many_clients") ? error?["message"]?.string : nil
            }
            let anas = try (0..<6).map { _ in try Socket(recorder.socket, as: Users.ana) }
            #expect(try refusal(Users.ana)?.contains("server.clients_per_user") == true)
            let bobs = try (0..<3).map { _ in try Socket(recorder.socket, as: Users.bob) }
            #expect(try refusal(Users.bob)?.contains("for root and") == true)
            for socket in anas + bobs { #expect(try isAnswered(socket)) }
            let eve = try Socket(recorder.socket, as: Users.eve)
            let root = try Socket(recorder.socket)
            #expect(try isAnswered(eve))
            #expect(try isAnswered(root))
            anas[0].close()
            let isFree = try wait { try isAnswered(Socket(recorder.socket, as: Users.bob)) ? true : nil }
            #expect(isFree == true)
        }
    }
}
