import Foundation
import Glibc
import Testing

/// Who did what ebee-act was told to do, and what came of it.
struct Act {
    let pid: Int64
    let tid: Int64
    let errno: Int32
}

/// Has ebee-act make one system call.
@discardableResult
func act(_ arguments: String..., through: [String] = [], directory: String? = nil) throws -> Act {
    let command = through + [Binary.act] + arguments
    let finished = try run(command.map { Array($0.utf8) }, directory: directory)
    let numbers = finished.text.split(whereSeparator: \.isWhitespace).compactMap { Int64($0) }
    guard finished.status == 0, numbers.count == 3 else {
        throw HarnessError("\(command): \(finished.ending) \(finished.text) \(finished.errorText)")
    }
    return Act(pid: numbers[0], tid: numbers[1], errno: Int32(numbers[2]))
}

/// Each of `expected` ("unlink /a/b") was recorded exactly once, and nothing else.
func expectDeeds(_ events: [Value], _ expected: [String], sourceLocation: SourceLocation = #_sourceLocation) {
    let found = events.map(\.deed).sorted()
    let wanted = expected.sorted()
    guard found != wanted else { return }
    var surplus = found
    for deed in wanted { if let index = surplus.firstIndex(of: deed) { surplus.remove(at: index) } }
    var missing = wanted
    for deed in found { if let index = missing.firstIndex(of: deed) { missing.remove(at: index) } }
    Issue.record(
        "not recorded: \(missing.prefix(5)) (\(missing.count)); recorded too much: \(surplus.prefix(5)) (\(surplus.count))",
        sourceLocation: sourceLocation)
}

/// The only one there is.
func only<Element>(_ elements: [Element], sourceLocation: SourceLocation = #_sourceLocation) throws -> Element {
    try #require(elements.count == 1, "\(elements.count): \(elements)", sourceLocation: sourceLocation)
    return elements[0]
}

/// A file's real path, as the kernel sees an executable's.
func realPath(_ path: String) -> String {
    guard let resolved = unsafe realpath(path, nil) else { return path }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
}
