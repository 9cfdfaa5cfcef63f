/// A value as it was written, in the file or behind a flag.
package enum SettingValue: Hashable, Sendable {
    /// One word.
    case scalar(String)
    /// Several.
    case list([String])

    /// The words; a scalar is a list of one.
    var words: [String] {
        switch self {
        case .scalar(let word): [word]
        case .list(let words): words
        }
    }
}

extension SettingValue: CustomStringConvertible {
    /// The value for a message: quoted, cut at 80 characters, without control characters.
    package var description: String {
        switch self {
        case .scalar(let word): Self.quoted(word)
        case .list(let words):
            "[" + words.prefix(8).map(Self.quoted).joined(separator: ", ") + (words.count > 8 ? ", …]" : "]")
        }
    }

    private static func quoted(_ word: String) -> String {
        // PEM in place of its file's name may be a private key.
        guard !word.contains("-----BEGIN") else { return "'-----BEGIN…'" }
        let printable = word.unicodeScalars.prefix(80).map { $0.value < 0x20 || $0.value == 0x7F ? "?" : Character($0) }
        return "'" + String(printable) + (word.unicodeScalars.count > 80 ? "…'" : "'")
    }
}
