import CFuzzer
import EbeeDaemon
import TOMLKit

/// The text of a configuration: it is taken, or refused in one sentence that names the file.
@Sendable func configurationTarget(_ input: Input) {
    var input = input
    let text = String(decoding: input.all(), as: UTF8.self)
    // What the library does not bear, the daemon leaves to a child as well (`TOMLTrial`).
    guard survives(text) else { return }
    do throws(ConfigurationError) {
        let configuration = try Configuration(parsing: text, file: "ebeed.toml")
        // What the rest of the daemon relies on.
        for stream in [configuration.exec, configuration.deletes] {
            require(stream.ringBytes.nonzeroBitCount == 1, "a ring of \(stream.ringBytes) bytes")
            require(stream.windowBytes >= 1 << 20 && stream.windowSeconds >= 60, "a window that is too small")
        }
        require(
            configuration.socket.hasPrefix("/") && configuration.socket.utf8.count <= 107, "\(configuration.socket)")
    } catch {
        require(error.description.hasPrefix("ebeed.toml:"), "no file: \(error.description)")
        require(
            error.description.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f },
            "a control character: \(error.description.debugDescription)")
        require(error.description.utf8.count < 4096, "a sentence of \(error.description.utf8.count) bytes")
    }
}

private func survives(_ text: String) -> Bool {
    unsafe withUnsafePointer(to: text) { text in
        unsafe fuzzer_survives(
            { text in
                guard let text = unsafe text?.assumingMemoryBound(to: String.self) else { return }
                _ = try? unsafe TOMLTable(string: text.pointee)
            }, text) != 0
    }
}
