import EbeeTestSupport
import Testing

@testable import EbeeRecord

private let id = String(repeating: "0123456789abcdef", count: 4)

/// A cgroup, and what is to be read out of it.
struct CgroupCase: Sendable, CustomTestStringConvertible {
    let path: String
    var unit: String?
    var container: String?

    init(_ path: String, unit: String? = nil, container: String? = nil) {
        self.path = path
        self.unit = unit
        self.container = container
    }

    var testDescription: String { path }
}

@Suite struct CgroupTests {
    static let cases = [
        CgroupCase("/"),
        CgroupCase("/init.scope", unit: "init.scope"),
        CgroupCase("/system.slice/nginx.service", unit: "nginx.service"),
        CgroupCase("/system.slice/nginx.service/worker", unit: "nginx.service"),
        CgroupCase("/system.slice/system-getty.slice/getty@tty1.service", unit: "getty@tty1.service"),
        CgroupCase("/system.slice/a\u{e9}.service", unit: "a\u{e9}.service"),
        CgroupCase("/system.slice"),
        CgroupCase("/user.slice/user-1000.slice/session-3.scope", unit: "session-3.scope"),
        CgroupCase(
            "/user.slice/user-1000.slice/user@1000.service/app.slice/firefox.service", unit: "user@1000.service"),
        CgroupCase("/system.slice/_cgroup.service", unit: "cgroup.service"),
        CgroupCase("/system.slice/run-data.mount", unit: "run-data.mount"),
        CgroupCase("/system.slice/dev-sda2.swap", unit: "dev-sda2.swap"),
        CgroupCase("/system.slice/sshd.socket", unit: "sshd.socket"),
        CgroupCase("/system.slice/.service"),
        CgroupCase("/mine/x.service"),
        CgroupCase("/system.slice/docker-\(id).scope", unit: "docker-\(id).scope", container: id),
        CgroupCase("/docker/\(id)", container: id),
        CgroupCase("/docker/\(id)/system.slice/nginx.service", container: id),
        CgroupCase("/machine.slice/libpod-\(id).scope", unit: "libpod-\(id).scope", container: id),
        CgroupCase("/machine.slice/libpod-\(id).scope/container", unit: "libpod-\(id).scope", container: id),
        CgroupCase("/machine.slice/libpod-conmon-\(id).scope", unit: "libpod-conmon-\(id).scope"),
        CgroupCase(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-\(id).scope",
            unit: "cri-containerd-\(id).scope", container: id),
        CgroupCase("/kubepods/besteffort/pod1b2c/\(id)", container: id),
        CgroupCase("/docker/\(id.dropLast())"),
        CgroupCase("/docker/\(id.uppercased())"),
        CgroupCase("/docker/0\(id)"),
    ]

    @Test(arguments: cases)
    func extraction(expected: CgroupCase) {
        let components = [UInt8](path: expected.path)
        let cgroup = unsafe Cgroup(components.span.bytes)
        #expect(text(cgroup.path) == expected.path)
        #expect(cgroup.unit.map { text($0) } == expected.unit)
        #expect(cgroup.container.map { text($0) } == expected.container)
    }
}
