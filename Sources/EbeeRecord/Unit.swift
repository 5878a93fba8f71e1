/// What a cgroup's path says of whoever runs in it.
public struct Cgroup {
    /// The path, as the root of the tree that the daemon sees has it.
    public let path: [UInt8]
    /// The systemd unit (`nginx.service`, `session-3.scope`), where there is one.
    public let unit: [UInt8]?
    /// The container's id: 64 hexadecimal digits, as Docker, Podman and Kubernetes' runtimes name their cgroups.
    public let container: [UInt8]?

    /// - Parameter components: innermost first, each ended by a NUL.
    public init(_ components: RawSpan) {
        path = Path.absolute(components)
        var container: [UInt8]?
        let names = path.split(separator: UInt8(ascii: "/"))
        for name in names { if let id = Self.container(name) { container = id } }
        // Further down, names are whatever a container or a user gives them.
        unit = names.first { !$0.hasSuffix(".slice") }.flatMap { Self.unit($0) }
        self.container = container
    }

    /// The unit is the first component below the slices (systemd: cg_path_decode_unit()); a leading underscore escapes
    /// names that the kernel could take for its own files.
    private static func unit(_ component: ArraySlice<UInt8>) -> [UInt8]? {
        let name = component.first == UInt8(ascii: "_") ? component.dropFirst() : component
        let known = [".service", ".scope", ".socket", ".mount", ".swap"].contains { name.hasSuffix($0) }
        return known ? Array(name) : nil
    }

    private static func container(_ component: ArraySlice<UInt8>) -> [UInt8]? {
        let name = component.hasSuffix(".scope") ? component.dropLast(6) : component
        guard name.count >= 64 else { return nil }
        let id = name.suffix(64)
        let isHexadecimal = id.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
        let kind = name.dropLast(64)
        // conmon watches over a container from outside.
        let isInside = kind.isEmpty || kind.last == UInt8(ascii: "-") && !kind.hasSuffix("conmon-")
        return isHexadecimal && isInside ? Array(id) : nil
    }
}

extension ArraySlice<UInt8> {
    fileprivate func hasSuffix(_ suffix: String) -> Bool {
        count > suffix.utf8.count && self.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }
}
