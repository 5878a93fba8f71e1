/// Colours, where they are wanted.
struct Paint {
    let isOn: Bool

    /// The few that are used, by what they say.
    enum Colour: String {
        case plain = ""
        case bold = "1"
        case faint = "2"
        case failure = "31"
        case deletion = "33"
        case alarm = "1;31"
    }

    func callAsFunction(_ text: String, _ colour: Colour) -> String {
        isOn && colour != .plain && !text.isEmpty ? "\u{1b}[\(colour.rawValue)m\(text)\u{1b}[0m" : text
    }
}
