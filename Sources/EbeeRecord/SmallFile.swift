import Glibc

/// Files that are read whole.
public enum SmallFile {
    /// No file that ebeed reads whole is larger; of one that is, this much is read.
    private static let limit = 1 << 20

    /// The text of a file; nil, with errno, where it can't be read.
    public static func read(_ path: String) -> String? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return read(file)
    }

    /// What can be read from a descriptor, likewise.
    public static func read(_ file: Int32) -> String? {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while text.count < limit {
            let count = unsafe Glibc.read(file, &buffer, buffer.count)
            guard count >= 0 else { return nil }
            if count == 0 { break }
            text += buffer[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }
}
