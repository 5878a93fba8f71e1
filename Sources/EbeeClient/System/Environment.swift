import Glibc

/// The value of an environment variable; nil where it is not set.
func environmentVariable(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
}

/// Opens what of the standard streams was closed (`ebeectl … >&-`), lest the socket become standard output.
func openMissingStandardStreams() {
    for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) == -1 {
        // The lowest free number is the one that is missing.
        _ = unsafe open("/dev/null", O_RDWR)
    }
}

/// What errno says, in words.
func describe(errno code: Int32) -> String {
    // strerror(3) is not safe between threads; with a buffer of our own it is.
    var buffer = [CChar](repeating: 0, count: 128)
    return unsafe buffer.withUnsafeMutableBufferPointer { bytes in
        guard let base = bytes.baseAddress, unsafe strerror_r(code, base, bytes.count) == 0 else {
            return "error \(code)"
        }
        return unsafe String(cString: base)
    }
}

/// Becomes another program. Returns only where that failed, with the errno.
func become(_ program: String, arguments: [String]) -> Int32 {
    var pointers: [UnsafeMutablePointer<CChar>?] = unsafe ([program] + arguments).map { unsafe strdup($0) }
    unsafe pointers.append(nil)
    defer { unsafe pointers.forEach { unsafe free($0) } }
    _ = unsafe execvp(program, &pointers)
    return errno
}
