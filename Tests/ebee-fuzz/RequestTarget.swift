import EbeeProtocol
import Foundation

/// A line from a client: it is a request, or refused in a sentence; and a request that is written again reads the same.
@Sendable func requestTarget(_ input: Input) {
    var input = input
    let line = input.all()
    let request: Request
    do throws(RequestError) {
        request = try Request(line: line)
    } catch {
        require(error.message.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "a control character: \(error.message)")
        // What a message quotes is at most 64 characters of it.
        require(error.message.utf8.count < 1024, "a message of \(error.message.utf8.count) bytes")
        return
    }
    require((try? JSONSerialization.jsonObject(with: Data(line))) != nil, "a request that is no JSON for Foundation")
    let written = request.line
    require(written.last == UInt8(ascii: "\n"), "a request without its newline")
    require(!written.dropLast().contains { $0 < 0x20 }, "a control character in a request")
    do throws(RequestError) {
        let again = try Request(line: Array(written.dropLast()))
        require(again == request, "\(request) became \(again)")
        require(again.line == written, "written in two ways")
    } catch {
        fatalError("a request that was read is refused when it is written: \(error.message)")
    }
}
