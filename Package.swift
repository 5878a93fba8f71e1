// swift-tools-version: 6.2
import PackageDescription

/// `make fuzz` sets it: what is ours tells libFuzzer where it goes, and addresses are checked.
let isFuzzing = Context.environment["EBEE_FUZZ"] != nil
let fuzzing: [SwiftSetting] =
    isFuzzing ? [.unsafeFlags(["-sanitize=fuzzer,address", "-enable-testing"])] : []

/// Every target of ours: Swift 6, memory safety spelled out, a warning is an error.
let strict: [SwiftSetting] =
    [.swiftLanguageMode(.v6), .strictMemorySafety(), .treatAllWarnings(as: .error)] + fuzzing

let package = Package(
    name: "ebeed",
    products: [
        .executable(name: "ebeed", targets: ["ebeed"]),
        .executable(name: "ebeectl", targets: ["ebeectl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        // The record layout, shared with the BPF programs; nothing here is compiled, only imported.
        .systemLibrary(name: "CEvents", path: "bpf"),
        .systemLibrary(name: "CLibbpf", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev", "libelf-dev"])]),
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .target(name: "CLinux"),

        .target(name: "EbeeProtocol", swiftSettings: strict),
        .target(name: "EbeeRecord", dependencies: ["EbeeProtocol", "CEvents", "CLinux"], swiftSettings: strict),
        .target(name: "EbeeWindow", dependencies: ["EbeeRecord", "CEvents", "CLinux"], swiftSettings: strict),
        .target(
            name: "CObjects", exclude: ["execsnoop.bpf.o", "rmdetect.bpf.o"], cSettings: [.headerSearchPath(".")]),
        .target(
            name: "EbeeKernel",
            dependencies: ["CObjects", "EbeeWindow", "EbeeRecord", "CEvents", "CLibbpf", "CLinux"],
            swiftSettings: strict),
        .target(
            name: "EbeeSystemd", dependencies: ["EbeeWindow", "EbeeRecord", "CEvents", "CLinux", "CSystemd"],
            swiftSettings: strict),
        .target(
            name: "EbeeServer",
            dependencies: [
                "EbeeProtocol", "EbeeWindow", "EbeeRecord", "CEvents", "CLinux",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOExtras", package: "swift-nio-extras"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .target(
            name: "EbeeDaemon",
            dependencies: [
                "EbeeKernel", "EbeeSystemd", "EbeeServer", "EbeeWindow", "EbeeRecord", "EbeeProtocol", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "TOMLKit", package: "TOMLKit"),
            ], swiftSettings: strict),
        .executableTarget(name: "ebeed", dependencies: ["EbeeDaemon"], swiftSettings: strict),

        .target(
            name: "EbeeClient",
            dependencies: [
                "EbeeProtocol",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOExtras", package: "swift-nio-extras"),
            ], swiftSettings: strict),
        .executableTarget(name: "ebeectl", dependencies: ["EbeeClient"], swiftSettings: strict),

        // What the tests on the kernel use: exact acts, and load. Nothing of it is installed.
        .executableTarget(name: "ebee-act", path: "Tests/ebee-act"),
        .executableTarget(
            name: "ebee-load", dependencies: [.product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Tests/ebee-load", swiftSettings: strict),
        // Loads upon an ebeed of one's own: storms, and what became of every event (make account); and what it costs, side by side
        // with others (make bench).
        .target(
            name: "EbeeTrial", dependencies: ["EbeeProtocol", "EbeeTestSupport"], path: "Tests/EbeeTrial",
            swiftSettings: strict),
        .executableTarget(
            name: "ebee-account",
            dependencies: [
                "EbeeProtocol", "EbeeTrial", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/ebee-account", swiftSettings: strict),
        .executableTarget(
            name: "ebee-bench",
            dependencies: [
                "EbeeProtocol", "EbeeTrial", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/ebee-bench", swiftSettings: strict),
        .executableTarget(
            name: "ebee-coverage",
            dependencies: [
                "EbeeProtocol", "CLinux", "EbeeTestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/ebee-coverage", swiftSettings: strict),
        // The kernel matrix (make kernel-test): it runs cells; in some, what makes a kernel refuse.
        .executableTarget(
            name: "ebee-matrix",
            dependencies: ["EbeeProtocol", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Tests/ebee-matrix", exclude: ["refuse.bpf.c", "verifier.tsv"], swiftSettings: strict),
        .executableTarget(name: "ebee-refuse", dependencies: ["CLibbpf"], path: "Tests/ebee-refuse"),
        .testTarget(name: "EbeeSystemTests", dependencies: ["CTestSupport", "EbeeTestSupport"], swiftSettings: strict),
        .testTarget(name: "EbeeClientTests", dependencies: ["EbeeClient", "EbeeProtocol"], swiftSettings: strict),
        .target(
            name: "EbeeTestSupport", dependencies: ["CEvents"], path: "Tests/EbeeTestSupport", swiftSettings: strict),
        .testTarget(
            name: "EbeeRecordTests", dependencies: ["EbeeRecord", "EbeeProtocol", "CEvents", "EbeeTestSupport"],
            swiftSettings: strict),
        .target(name: "CTestSupport", path: "Tests/CTestSupport"),
        .testTarget(
            name: "EbeeWindowTests",
            dependencies: ["EbeeWindow", "EbeeRecord", "CEvents", "CTestSupport", "EbeeTestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "EbeeKernelTests",
            dependencies: ["EbeeKernel", "EbeeWindow", "EbeeRecord", "CEvents", "CLibbpf", "CLinux", "CTestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "EbeeServerTests",
            dependencies: ["EbeeServer", "EbeeWindow", "EbeeRecord", "EbeeProtocol", "CEvents", "EbeeTestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "EbeeDaemonTests",
            dependencies: ["EbeeDaemon", .product(name: "Logging", package: "swift-log")], swiftSettings: strict),
    ]
)

// Only then, since libFuzzer is what it is linked with.
if isFuzzing {
    package.targets += [
        .systemLibrary(name: "CFuzzer", path: "Tests/CFuzzer"),
        .executableTarget(
            name: "ebee-fuzz",
            dependencies: [
                "CFuzzer", "EbeeDaemon", "EbeeClient", "EbeeServer", "EbeeSystemd", "EbeeWindow", "EbeeRecord",
                "EbeeProtocol", "CEvents", "CLinux", "CSystemd", "EbeeTestSupport", "TOMLKit",
            ],
            path: "Tests/ebee-fuzz", swiftSettings: strict,
            // The linker that is the default on some systems ends with an error of its own.
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
    ]
}
