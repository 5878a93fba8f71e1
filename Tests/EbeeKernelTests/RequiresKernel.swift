import EbeeKernel
import Glibc
import Testing

/// Whether BPF programs can be loaded here.
enum KernelAccess {
    /// Why not; nil where they can.
    static let reason: String? = {
        do {
            try Requirements.check()
            for recording in Recording.allCases { _ = try Program.attach(recording, settings: .small) }
            return nil
        } catch {
            return "\(error)"
        }
    }()

    /// Where the kernel is required, a test that can't run fails by itself.
    static var isRequired: Bool { unsafe getenv("EBEE_REQUIRE_KERNEL").map { unsafe String(cString: $0) } == "1" }
}

extension Trait where Self == ConditionTrait {
    /// Skips the test, with the reason, where no BPF program can be loaded; with EBEE_REQUIRE_KERNEL=1 it runs, and fails.
    static var requiresKernel: Self {
        if KernelAccess.isRequired { return .enabled(if: true) }
        return .disabled(if: KernelAccess.reason != nil, "\(KernelAccess.reason ?? "")")
    }
}

extension ProgramSettings {
    static var small: Self { ProgramSettings(ringBytes: 1 << 20, argumentBytes: 1024, failed: true) }
}
