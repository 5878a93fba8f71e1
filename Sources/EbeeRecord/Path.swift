/// Paths from the form in which the kernel's tree is walked to the one that people read.
public enum Path {
    private static let slash = UInt8(ascii: "/")

    /// The absolute path of `name`, as a system call was given it, seen from the directory `base` (components,
    /// innermost first, each ended by a NUL). Empty components, `.` and `..` are resolved by their names, so a `..`
    /// behind a symbolic link is taken for that link's parent.
    static func absolute(base: RawSpan, name: RawSpan) -> [UInt8] {
        var path = absolute(base)
        if path.count == 1 { path.removeLast() }
        var index = 0
        while index < name.byteCount {
            var end = index
            while end < name.byteCount, name.byte(end) != slash { end += 1 }
            append(component: name.extracting(index..<end), to: &path)
            index = end + 1
        }
        return path.isEmpty ? [slash] : path
    }

    private static func append(component: RawSpan, to path: inout [UInt8]) {
        let dots =
            component.byteCount <= 2 && (0..<component.byteCount).allSatisfy { component.byte($0) == UInt8(ascii: ".") }
        switch (dots, component.byteCount) {
        case (_, 0), (true, 1): return
        case (true, 2): path.removeSubrange((path.lastIndex(of: slash) ?? 0)...)
        default:
            path.append(slash)
            path.append(span: component)
        }
    }

    /// The absolute path of `components`, innermost first, each ended by a NUL.
    public static func absolute(_ components: RawSpan) -> [UInt8] {
        guard components.byteCount > 0 else { return [slash] }
        var path: [UInt8] = []
        path.reserveCapacity(components.byteCount)
        var end = components.byteCount - 1  // the NUL of the outermost component
        while end > 0 {
            var start = end
            while start > 0, components.byte(start - 1) != 0 { start -= 1 }
            path.append(slash)
            path.append(span: components.extracting(start..<end))
            end = start - 1
        }
        return path
    }
}

extension [UInt8] {
    /// Appends the bytes of `span`.
    @inline(__always)
    mutating func append(span: RawSpan) {
        unsafe span.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }
}
