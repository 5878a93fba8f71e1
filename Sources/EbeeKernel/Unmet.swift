/// Why ebeed can't work here at all, in one sentence that says what to do.
public enum Unmet: Error, CustomStringConvertible {
    /// Not permitted: exit code 77.
    case permission(String)
    /// This kernel can't: exit code 69.
    case kernel(String)

    /// The sentence.
    public var description: String {
        switch self {
        case .permission(let reason), .kernel(let reason): reason
        }
    }
}
