import Foundation
import Testing

extension KernelSuites {
    /// Two cells of the kernel matrix (Tests/ebee-matrix); `make kernel-test` runs all of them.
    @Suite(.requires(Requirement.otherKernels)) struct KernelMatrix {
        @Test("Linux 6.1 shows every route with every hook, and loses nothing where threads interrupt each other")
        func everyHookOfAnOldKernel() throws {
            let finished = try run(
                "sh", "-c",
                "cd '\(Binary.package)' && exec '\(Binary.matrix)' --cells 6.1/all,6.1/preempt --programs '\(Binary.release)'",
                seconds: 600)
            print(finished.text)
            #expect(finished.status == 0, "\(finished.text)\(finished.errorText)")
        }
    }
}
