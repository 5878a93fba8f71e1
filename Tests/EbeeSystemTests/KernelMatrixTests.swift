import Foundation
import Testing

extension KernelSuites {
    /// One cell of the kernel matrix (Tests/ebee-matrix); `make kernel-test` runs all of them.
    @Suite(.requires(KernelMatrix.missing)) struct KernelMatrix {
        private static let directory = (Binary.ebeed as NSString).deletingLastPathComponent

        /// Nil when other kernels can be booted here.
        private static let missing: String? = {
            guard FileManager.default.isExecutableFile(atPath: "\(directory)/ebee-matrix") else {
                return "there is no ebee-matrix beside \(Binary.ebeed): make test builds it"
            }
            let finished = try? run(
                "sh", "-c", "cd '\(Binary.package)' && command -v qemu-system-x86_64 && .ci/kernels 6.1", seconds: 300)
            guard let finished, finished.status == 0 else {
                return "no other kernel can be booted: \(finished?.errorText ?? "it took too long")"
            }
            return Requirement.kernel
        }()

        @Test("6.1 sees every route, with every hook")
        func everyHookOfAnOldKernel() throws {
            let finished = try run(
                "sh", "-c",
                "cd '\(Binary.package)' && exec '\(Self.directory)/ebee-matrix' --cells 6.1/all"
                    + " --programs '\(Self.directory)' --logs .build/matrix", seconds: 600)
            print(finished.text)
            #expect(finished.status == 0, "\(finished.text)\(finished.errorText)")
        }
    }
}
