import Foundation
import Glibc
import Synchronization
import Testing

extension KernelSuites {
    /// Every call that can fail does so once: ebeed says so and ends, or goes on and loses nothing unsaid.
    @Suite(.requiresKernel) struct Faults {
        /// `all`, the name of a function, or how many calls are failed, evenly spaced among all.
        private static let wanted = ProcessInfo.processInfo.environment["EBEE_FAULTS"] ?? "16"

        /// Where libraries take a failure for impossible: SwiftNIO's event loop and Dispatch's ask for these when they begin, and end the
        /// process, or go on without its signals.
        private static let outOfOurHands: Set<String> = ["epoll_create1", "epoll_ctl", "eventfd", "timerfd"]

        /// The same of calls that ebeed makes itself too, told by how it ends: SwiftNIO traps where its event loop gets no thread, and
        /// where Dispatch could not take a signal over, that ends the process.
        private static func isOutOfOurHands(_ fault: Fault, _ ending: Ending?) -> Bool {
            switch fault.function {
            case "pthread_create": ending == .signalled(SIGILL)
            case "sigaction": ending == .signalled(SIGTERM)
            default: false
            }
        }

        /// A life of ebeed: an execution and a deletion are recorded and asked for, and it is stopped.
        /// - Returns: what is wrong with it; nil where nothing is.
        private static func live(_ daemon: FaultyDaemon) throws -> String? {
            /// It ended: one of the codes of sysexits.h, and a last sentence that says why.
            func end(_ ending: Ending) -> String? {
                let last = daemon.errors.split(separator: "\n").last ?? ""
                guard case .exited(let code) = ending, code == 0 || 64...78 ~= code else { return "ended by \(ending)" }
                return last.hasPrefix("ebeed: ") && last.count > "ebeed: ".count
                    ? nil : "ended by \(ending) without a word"
            }
            // Where libbpf takes the kernel for an older one, its verifier may need a minute for each way of loading.
            let begun = wait(seconds: 120) { () -> Bool? in
                daemon.ending != nil || daemon.ask(#"{"id":1,"request":"status"}"#) != nil ? true : nil
            }
            if begun == nil { return "does not answer" }
            if let ending = daemon.ending {
                return ending == .exited(0) ? "ended by itself" : end(ending)
            }
            let file = try daemon.place.file("victim")
            let remover = try must("rm", file)
            let question = #"{"id":2,"request":"recent","filter":{"pid":[\#(remover.pid)]}}"#
            let isRecorded = wait(seconds: 10) { () -> Bool? in
                if daemon.ending != nil { return false }
                let events = daemon.ask(question)?.compactMap { $0["event"]?.string } ?? []
                return events.contains("exec") && events.contains("delete") ? true : nil
            }
            if let ending = daemon.ending { return ending == .exited(0) ? "ended by itself" : end(ending) }
            if isRecorded != true, !admits(daemon) { return "lost an event without a word" }
            guard let ending = try daemon.stop() else { return "does not stop" }
            return end(ending)
        }

        /// Whether it says that it is blind, or that something was lost.
        private static func admits(_ daemon: FaultyDaemon) -> Bool {
            guard let streams = daemon.ask(#"{"id":3,"request":"status"}"#)?.first?["status", "streams"]?.array else {
                return false
            }
            return streams.count < 2
                || streams.contains { stream in
                    stream["self_test", "passed"] == .bool(false) || (stream["lost"]?.integer ?? 0) > 0
                }
        }

        @Test("each call fails once") func calls() throws {
            let clean = try FaultyDaemon(nil)
            #expect(try Self.live(clean) == nil, "\(clean.errors)")
            let calls = try clean.calls().calls.flatMap { name, count in
                (0..<count).map { Fault(function: name, call: $0 + 1) }
            }
            .filter { !Self.outOfOurHands.contains($0.function) }
            #expect(calls.count > 200)
            let named = calls.filter { $0.function == Self.wanted || Self.wanted == "all" }
            let step = max(1, calls.count / (Int(Self.wanted) ?? calls.count))
            let spaced = stride(from: step / 2, to: calls.count, by: step).map { calls[$0] }
            let chosen = named.isEmpty ? spaced : named

            let begun = monotonic()
            let tally = Mutex((failed: 0, ended: 0, outOfOurHands: 0))
            let wrong = Mutex<[String]>([])
            // As many at once as there are processors; a thread each, as they wait for processes.
            DispatchQueue.concurrentPerform(iterations: chosen.count) { index in
                let fault = chosen[index]
                do {
                    let daemon = try FaultyDaemon(fault)
                    let problem = try Self.live(daemon)
                    let hasFailed = try daemon.calls().hasFailed
                    let hasEnded = daemon.ending != .exited(0)
                    let isOutOfOurHands = problem != nil && Self.isOutOfOurHands(fault, daemon.ending)
                    tally.withLock {
                        $0.failed += hasFailed ? 1 : 0
                        $0.ended += hasEnded ? 1 : 0
                        $0.outOfOurHands += isOutOfOurHands ? 1 : 0
                    }
                    guard let problem, !isOutOfOurHands else { return }
                    wrong.withLock { $0.append("EBEE_FAULT=\(fault): \(problem): \(daemon.errors.suffix(600))") }
                } catch {
                    wrong.withLock { $0.append("EBEE_FAULT=\(fault): \(error)") }
                }
            }
            let (failed, ended, outOfOurHands) = tally.withLock { $0 }
            print(
                "\(chosen.count) of \(calls.count) calls, \(Int(monotonic() - begun)) s: \(failed) failed, \(ended) ended ebeed"
            )
            // One event loop, and the two signals that stop ebeed.
            #expect(outOfOurHands <= 3)
            #expect(failed > chosen.count / 2, "hardly any call was made again: the test shows nothing")
            for problem in wrong.withLock({ $0 }) { Issue.record("\(problem)") }
        }

        @Test("no descriptor is left open") func descriptors() throws {
            let daemon = try FaultyDaemon(nil)
            func question(_ request: String = #"{"id":1,"request":"status"}"#) -> Bool { daemon.ask(request) != nil }
            #expect(wait(seconds: 60) { question() ? true : nil } == true)
            // The self-test of the start, and connections that end.
            func settled() -> Int? {
                var last = -1
                return wait(seconds: 20) { () -> Int? in
                    usleep(300_000)
                    let count = daemon.descriptors.count
                    defer { last = count }
                    return count == last ? count : nil
                }
            }
            usleep(1_000_000)
            let before = try #require(settled())
            for index in 0..<200 {
                switch index % 4 {
                case 0: #expect(question())
                case 1: #expect(question(#"{"id":1,"request":"recent","limit":10}"#))
                case 2: #expect(question("no request"))
                default:
                    // It goes in the middle of an answer that does not end.
                    let connection = try Socket(daemon.socket)
                    connection.send(#"{"id":1,"request":"tail","backlog":100}"#)
                }
                if index % 20 == 0 { daemon.signal(SIGHUP) }
            }
            let after = wait(seconds: 20) { settled() == before ? before : nil }
            #expect(after == before, "\(before) descriptors became \(daemon.descriptors.count)")
            #expect(try daemon.stop() == .exited(0))
        }
    }
}
