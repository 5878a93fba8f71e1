import Foundation
import Glibc
import Synchronization
import Testing

/// What a test needs of the machine, and why it is not there.
enum Requirement {
    /// Where a test must run, a requirement that is not met is a failure: CI sets this.
    static let isStrict = ProcessInfo.processInfo.environment["EBEE_REQUIRE_KERNEL"] == "1"

    /// Nil when BPF programs can be loaded here.
    static let kernel: String? = {
        guard geteuid() == 0 else { return "not root: BPF programs can't be loaded" }
        guard let check = try? run(Binary.ebeed, "--check", "--config", "/dev/null", seconds: 120) else {
            return "\(Binary.ebeed) can't be run"
        }
        switch check.status {
        case 69, 77: return "BPF programs can't be loaded here: \(check.text.suffix(1000))\(check.errorText)"
        default: return nil  // whatever else is wrong, the tests are to find
        }
    }()

    static let journaldPath = ["/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald"]
        .first { Call.access($0, X_OK) == 0 }

    static let journald: String? = {
        if journaldPath == nil { return "there is no systemd-journald (package systemd)" }
        return missing("journalctl")
    }()

    static let jq: String? = missing("jq")
    static let bpftool: String? = missing("bpftool")

    /// Nil when the kernel matrix can boot its kernels; they are fetched here where they are not cached.
    static let otherKernels: String? = {
        guard FileManager.default.isExecutableFile(atPath: Binary.matrix) else {
            return "there is no \(Binary.matrix): make test builds it"
        }
        if let missing = missing("qemu-system-x86_64") { return missing }
        let fetched = try? run("\(Binary.package)/.ci/kernels", "6.1", seconds: 300)
        if fetched?.status != 0 { return "no other kernel can be had: \(fetched?.errorText ?? "it took too long")" }
        return kernel
    }()

    private static func missing(_ program: String) -> String? {
        let found = try? run("sh", "-c", "command -v \(program)")
        return found?.status == 0 ? nil : "there is no \(program) here"
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips with the reason where it is not met, or fails where it must be.
    static func requires(_ reason: String?) -> Self {
        .enabled(Comment(rawValue: reason ?? "")) {
            if let reason, Requirement.isStrict {
                throw HarnessError("EBEE_REQUIRE_KERNEL=1, but \(reason)")
            }
            return reason == nil
        }
    }

    static var requiresKernel: Self { requires(Requirement.kernel) }
    static var requiresJournald: Self { requires(Requirement.kernel ?? Requirement.journald) }
    static var requiresJq: Self { requires(Requirement.jq) }
    static var requiresBpftool: Self { requires(Requirement.kernel ?? Requirement.bpftool) }
}

/// One daemon for the tests of a suite.
struct SharedRecorder: SuiteTrait, TestScoping {
    func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void)
        async throws
    {
        let recorder = try Recorder()
        try await Recorder.$shared.withValue(recorder) { try await body() }
        recorder.stop()
    }
}

extension Trait where Self == SharedRecorder {
    static var recorder: Self { SharedRecorder() }
}

/// Prints which tests ran on the kernel, after the last.
struct KernelReport: SuiteTrait, TestTrait, TestScoping {
    private static let names = Mutex<[String]>([])
    let isRecursive = true

    func scopeProvider(for test: Test, testCase: Test.Case?) -> Self? { self }

    func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void)
        async throws
    {
        if testCase != nil {
            Self.names.withLock { $0.append(test.displayName ?? test.name) }
            return try await body()
        }
        try await body()
        guard test.name == "\(KernelSuites.self)" else { return }
        var kernel = utsname()
        unsafe uname(&kernel)
        let release = unsafe withUnsafeBytes(of: kernel.release) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let names = Self.names.withLock { $0 }
        print("Ran on the kernel (Linux \(release), \(Binary.ebeed)): \(names.count) tests")
        for name in names { print("  \(name)") }
    }
}

extension Trait where Self == KernelReport {
    static var report: Self { KernelReport() }
}

/// Every suite here drives the real binaries on the real kernel, which they share: one test at a time.
@Suite(.serialized, .report) struct KernelSuites {}
