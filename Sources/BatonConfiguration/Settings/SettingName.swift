/// A name that the configuration gives to a listener, certificate, route or upstream: 1 to 63 lower-case letters,
/// digits, `-` and `_`, beginning with a letter or digit. It is part of keys, so there is no dot in it.
struct SettingName: Hashable, Sendable {
    let text: String

    static let form = "1 to 63 lower-case letters, digits, - and _"

    init?(_ text: String) {
        let isNameByte = { (byte: UInt8) in
            byte.isDigit || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "_")
        }
        guard 1...63 ~= text.utf8.count, text.utf8.allSatisfy(isNameByte), text.utf8.first?.isLetterOrDigit == true
        else { return nil }
        self.text = text
    }
}
