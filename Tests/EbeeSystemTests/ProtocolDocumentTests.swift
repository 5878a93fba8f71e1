import Foundation
import Testing

extension KernelSuites {
    /// docs/protocol.md is true: its examples are sent to a running daemon, and what comes back has their shape.
    @Suite(.requiresKernel) struct ProtocolDocument {
        /// A request of the document, and the lines that answer it there.
        struct Example {
            var request: String
            var replies: [String] = []
        }

        @Test("each example gets the answer that stands there, key by key and type by type") func examples() throws {
            let text = try String(contentsOfFile: "\(Binary.package)/docs/protocol.md", encoding: .utf8)
            let examples = Self.examples(in: text)
            #expect(examples.count >= 7)
            let optional = Self.optional(in: text)
            #expect(optional.contains("login_user"))

            let recorder = try Recorder()
            let place = try Place()
            for name in ["x", "y", "new"] { try place.file(name) }
            _ = try run("sh", "-c", "ls -la 'a b' ''; rm x; mv -f new y; rmdir none; ./none; :", directory: place.path)
            try recorder.settle()
            for example in examples {
                let request = example.request.replacingOccurrences(of: "/tmp/ebee-example", with: place.path)
                let answers = try Socket(recorder.socket).ask(request)
                #expect(answers.count == example.replies.count, "\(request): \(answers)")
                for (answer, reply) in zip(answers, example.replies) {
                    let documented = Self.shape(try Value(parsing: reply.utf8))
                    let found = Self.shape(answer)
                    let surplus = found.subtracting(documented)
                    let missing = documented.subtracting(found).filter { member in
                        !member.split(separator: ".").contains {
                            optional.contains($0.prefix { $0 != ":" }.description)
                        }
                    }
                    #expect(
                        surplus.isEmpty && missing.isEmpty, "\(request): undocumented \(surplus), missing \(missing)")
                    #expect(answer["error"] == (try Value(parsing: reply.utf8))["error"])
                }
            }
        }

        @Test("every request that stands in the text is one that the daemon takes") func grammar() throws {
            let text = try String(contentsOfFile: "\(Binary.package)/docs/protocol.md", encoding: .utf8)
            let keys = text.split(separator: "\n").filter { $0.hasPrefix("| `") }
            #expect(keys.count > 15)
            let recorder = try Recorder()
            // One of each key, as the tables give them.
            let requests = [
                #"{"id":"x","request":"recent","stream":"all","since":60000000000,"until":0,"limit":1,"reverse":false,"filter":{}}"#,
                #"{"id":1,"request":"recent","since":"2026-11-23T06:40:00Z","until":"2026-11-23T06:45:00.5Z"}"#,
                #"{"id":1,"request":"recent","filter":{"pid":[1],"ppid":[1],"comm":["a"],"exe":["/*"],"path":["*"],"uid":[0],"unit":["nginx"],"failed":true,"older_than":1}}"#,
            ]
            for request in requests {
                let answer = try Socket(recorder.socket).ask(request)
                #expect(answer.last?["done", "matched"]?.integer != nil, "\(request): \(answer.suffix(1))")
            }
        }

        /// Blocks of `> request` and `< reply`, whose lines may go on with an indent.
        static func examples(in text: String) -> [Example] {
            var examples: [Example] = []
            let section = text.components(separatedBy: "\n## Examples\n").last ?? ""
            for line in section.split(separator: "\n") where line.hasPrefix("    ") {
                let content = line.dropFirst(4)
                if content.hasPrefix("> ") {
                    examples.append(Example(request: String(content.dropFirst(2))))
                } else if content.hasPrefix("< ") {
                    examples[examples.count - 1].replies.append(String(content.dropFirst(2)))
                } else {
                    let more = content.trimmingCharacters(in: .whitespaces)
                    let last = examples.count - 1
                    if examples[last].replies.isEmpty {
                        examples[last].request += more
                    } else {
                        examples[last].replies[examples[last].replies.count - 1] += more
                    }
                }
            }
            return examples
        }

        /// The keys of the paragraph that begins with "Absent where".
        static func optional(in text: String) -> Set<String> {
            let paragraph = text.components(separatedBy: "\n\n").first { $0.hasPrefix("Absent where") } ?? ""
            return Set(
                paragraph.split(separator: "`").enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) })
        }

        /// Every key with the type of its value, as `process.parent.pid:integer`; the elements of a list as one.
        static func shape(_ value: Value, _ place: String = "") -> Set<String> {
            switch value {
            case .object(let members):
                members.reduce(into: ["\(place):object"]) { $0.formUnion(shape($1.value, "\(place).\($1.key)")) }
            case .array(let values):
                values.reduce(into: ["\(place):array"]) { $0.formUnion(shape($1, "\(place).[]")) }
            case .string: ["\(place):string"]
            case .integer, .double: ["\(place):number"]
            case .bool: ["\(place):bool"]
            case .null: ["\(place):null"]
            }
        }
    }
}
