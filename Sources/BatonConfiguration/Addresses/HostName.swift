/// A DNS host name (RFC 1123 section 2.1, and `_`, which is in use), in lower case and without the final dot.
struct HostName: Hashable, Sendable {
    /// The name, at most 253 bytes.
    let text: String

    init?(_ text: some StringProtocol) {
        let name = text.hasSuffix(".") ? String(text.dropLast()) : String(text)
        guard 1...253 ~= name.utf8.count else { return nil }
        var lastLabel = name.utf8[...]
        for label in name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            guard 1...63 ~= label.count, label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-"),
                label.allSatisfy({ $0.isLetterOrDigit || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") })
            else { return nil }
            lastLabel = label
        }
        // A last label of digits is an IPv4 address gone wrong, as 10.0.0.256 or 127.1 (RFC 3696 section 2).
        guard !lastLabel.allSatisfy(\.isDigit) else { return nil }
        self.text = name.lowercased()
    }
}
