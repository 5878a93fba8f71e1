import CLinux
import EbeeRecord
import Glibc
import TOMLKit

/// Finds out whether the TOML library bears a text: at some that are malformed (`[[[`, or a brace in an array) an assertion of toml++
/// ends the process. So a child reads a text before the daemon does.
enum TOMLTrial {
    /// How long a child may take, in seconds.
    private static let limit: UInt32 = 10

    /// What the child is told to do with its standard input.
    enum Attempt: String {
        /// To read it.
        case whole
        /// To read one line, two lines and so on, and to write a byte before each: to find the line that it does not bear.
        case lines
    }

    /// Throws where the library does not bear the text, with the line.
    static func check(_ text: String, file: String) throws(ConfigurationError) {
        do {
            if try run(.whole, text).survived { return }
            let line = try run(.lines, text).bytes
            throw ConfigurationError(
                description: "\(file):\(line): not TOML: is a bracket, a brace or a quote missing or out of place?")
        } catch let error as SystemError {
            throw ConfigurationError(description: "\(file): can't be tried: \(error)")
        } catch let error as ConfigurationError {
            throw error
        } catch {
            throw ConfigurationError(description: "\(file): \(error)")
        }
    }

    /// The child: ends as the library has it.
    static func perform(_ attempt: Attempt) {
        // What ends it is expected: it leaves no core, and does not run forever.
        var none = rlimit()
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        alarm(limit)
        guard let text = SmallFile.read(STDIN_FILENO) else { return }
        switch attempt {
        case .whole: _ = try? TOMLTable(string: text)
        case .lines:
            var end = text.utf8.startIndex
            while end < text.utf8.endIndex {
                end =
                    text.utf8[end...].firstIndex(of: UInt8(ascii: "\n")).map { text.utf8.index(after: $0) }
                    ?? text.utf8.endIndex
                _ = unsafe write(STDOUT_FILENO, ".", 1)
                _ = try? TOMLTable(string: String(text[..<end]))
            }
        }
    }

    private static func run(_ attempt: Attempt, _ text: String) throws(SystemError) -> (survived: Bool, bytes: Int) {
        let bytes = Array(text.utf8)
        let input = try memoryFile()
        defer { close(input) }
        let output = try memoryFile()
        defer { close(output) }
        guard unsafe pwrite(input, bytes, bytes.count, 0) == bytes.count else {
            throw SystemError("write a memory file")
        }
        // Nobody is to see what the library says of itself.
        let errors = try memoryFile()
        defer { close(errors) }
        let child = try OwnChild.start([argument, attempt.rawValue], input: input, output: output, errors: errors)
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0 {
            if errno != EINTR { throw SystemError("wait for a child") }
        }
        return (status == 0, Int(lseek(output, 0, SEEK_END)))
    }

    private static func memoryFile() throws(SystemError) -> Int32 {
        let file = unsafe ebee_memory_file("ebee-toml", 0)
        if file < 0 { throw SystemError("memfd_create") }
        return file
    }

    static let argument = "--try-toml"
}
