import CLinux
import EbeeRecord
import Glibc

/// Runs `body` on a new thread, for work that blocks in the kernel. The thread ends with `body`; nobody joins it.
/// - Parameter name: shows in ps and gdb; 15 bytes count.
public func startThread(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    final class Body {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
    var thread = pthread_t()
    let context = unsafe Unmanaged.passRetained(Body(name, body))
    let result = unsafe pthread_create(
        &thread, nil,
        { context in
            guard let context = unsafe context else { return nil }
            let body = unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue()
            unsafe ebee_name_thread(body.name)
            body.body()
            return nil
        }, context.toOpaque())
    guard result == 0 else {
        unsafe context.release()
        throw SystemError("start thread \(name)", errno: result)
    }
    pthread_detach(thread)
}
