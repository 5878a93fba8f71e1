import CEvents
import EbeeRecord
import Glibc
import Testing

@testable import EbeeKernel

extension ProgramSettings {
    static func small(_ rung: String, failed: Bool = true) -> Self {
        ProgramSettings(ringBytes: 1 << 20, argumentBytes: 1024, failed: failed, rung: rung)
    }
}

/// Each rung by its name: it records, or says why it can't.
@Suite(.requiresKernel, .serialized) struct HookTests {
    /// Why a rung can't be had here; nil where it can.
    private func refusal(_ recording: Recording, _ rung: String) -> String? {
        do {
            let program = try Program.attach(recording, settings: .small(rung))
            #expect(program.rung == rung)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test(arguments: ["tp_btf", "raw_tp", "kprobe", "tp"]) func execution(rung: String) throws {
        if let refusal = refusal(.exec, rung) {
            // The others are tracepoints, which every kernel that ebeed runs on has.
            #expect(rung == "kprobe", "\(refusal)")
            return
        }
        let run = try RecordingRun(.exec, .small(rung))
        let child = try Child(["/bin/sh", "-c", "exit 3", rung])
        #expect(child.finish() == 3 << 8)
        func own(_ records: [Stored]) -> Stored? { records.first { $0.header.pid == UInt32(child.pid) } }
        let records = run.records { own($0)?.process.flatMap { ProcessExit($0.fixed) } != nil }
        let found = try #require(own(records))
        let record = try #require(found.process)
        #expect(found.arguments == ["/bin/sh", "-c", "exit 3", rung])
        #expect(found.text(record.comm) == "sh" && record.fixed.result == 0)
        guard case .code(3) = ProcessExit(record.fixed)?.status else { Issue.record("no exit"); return }
    }

    @Test(arguments: ["fentry", "kprobe", "syscalls"]) func deletion(rung: String) throws {
        if let refusal = refusal(.deletes, rung) {
            // Every kernel that ebeed runs on has system call tracepoints.
            #expect(rung != "syscalls", "\(refusal)")
            return
        }
        let run = try RecordingRun(.deletes, .small(rung))
        let directory = temporaryDirectory()
        defer { _ = unsafe rmdir(directory) }
        let path = directory + "/x"
        close(unsafe open(path, O_CREAT | O_WRONLY, 0o600))
        var before = Glibc.stat()
        _ = unsafe stat(path, &before)
        let child = try Child(["/bin/rm", "x"], directory: directory)
        #expect(child.finish() == 0)
        let found = try #require(
            run.records { $0.contains { $0.deletedPath == path } }.first { $0.deletedPath == path })
        let record = try #require(found.deletion)
        #expect(found.header.pid == UInt32(child.pid) && record.fixed.result == 0)
        #expect(record.fixed.how == UInt16(EBEE_UNLINK.rawValue))
        #expect(record.victimHas(EBEE_VICTIM_KNOWN) && record.fixed.victim.inode == before.st_ino)
    }

    /// What this kernel lacks is said of the rung that was asked for, and of no other; nothing else is tried.
    @Test(arguments: Recording.allCases) func refusals(recording: Recording) throws {
        for rung in recording.rungs.map(\.name) {
            guard let refusal = refusal(recording, rung) else { continue }
            #expect(refusal.hasPrefix("no hook of this kernel can record \(recording.stream) (\(rung): "), "\(refusal)")
            for other in recording.rungs.map(\.name) where other != rung {
                #expect(!refusal.contains("; \(other): "), "\(refusal)")
            }
        }
        let unknown = refusal(recording, "none")
        #expect(
            unknown?.hasPrefix("no hook of this kernel can record \(recording.stream)") == true, "there is no such rung"
        )
    }

    /// What status tells of a program, against what was asked for.
    @Test func programsAreTheRungs() throws {
        let execution = try Program.attach(.exec, settings: .small("tp", failed: false))
        #expect(Set(execution.programs.map(\.name)) == ["exec_tp", "exit_tp"])
        #expect(execution.programs.allSatisfy { $0.verifiedInstructions.map { $0 > 10 } ?? true })
        #expect(execution.limits.contains("executions that fail"))
        let failing = try Program.attach(.exec, settings: .small("tp"))
        #expect(Set(failing.programs.map(\.name)).isStrictSuperset(of: ["exec_tp", "exit_tp"]))
        #expect(!failing.limits.contains("executions that fail"))
    }

    @Test(arguments: [true, false]) func calls32Bit(isOn: Bool) throws {
        var settings = ProgramSettings.small("syscalls")
        settings.calls32Bit = isOn
        let program = try Program.attach(.deletes, settings: settings)
        let sees = program.programs.contains { $0.name == Recording.exit32BitCall }
        if !isOn { #expect(!sees) }
        #expect(program.limits.contains("deletions through 32-bit system calls") == !sees)
        #expect(program.limits.contains { $0.contains("(the setting calls_32_bit)") } == sees)
    }
}
