/// A distinguished name as RFC 4514 writes it, the most specific part first: `CN=Example CA,O=Example,C=DE`. That is what
/// `openssl x509 -noout -issuer -nameopt RFC2253` prints.
///
/// Two are equal if they have the same parts in the same order. Of values the case of ASCII letters and the number of spaces make no
/// difference (RFC 5280 section 7.1).
package struct DistinguishedName: Sendable {
    /// As it was written.
    package let text: String
    private let parts: [Set<String>]

    /// The most bytes of one.
    package static let limit = 4_096

    /// `nil` if it is none, or is longer than `limit`.
    package init?(_ text: String) {
        guard 1...Self.limit ~= text.utf8.count else { return nil }
        var rest = Array(text.utf8)[...]
        var parts: [Set<String>] = [[]]
        while true {
            guard let equals = rest.firstIndex(of: UInt8(ascii: "=")),
                let type = Self.type(rest[..<equals])
            else { return nil }
            rest = rest[(equals + 1)...]
            guard let value = Self.value(&rest) else { return nil }
            parts[parts.count - 1].insert("\(type)=\(value)")
            guard let separator = rest.popFirst() else { break }
            if separator == UInt8(ascii: ",") { parts.append([]) }
        }
        self.text = text
        self.parts = parts
    }

    /// A name as `CN`, or numbers with dots between them.
    private static func type(_ bytes: ArraySlice<UInt8>) -> String? {
        let name = bytes.drop { $0 == UInt8(ascii: " ") }
        guard !name.isEmpty, name.allSatisfy({ $0.isLetterOrDigit || "-.".utf8.contains($0) }) else { return nil }
        return String(decoding: name, as: UTF8.self).uppercased()
    }

    /// Up to the next separator, which stays.
    private static func value(_ rest: inout ArraySlice<UInt8>) -> String? {
        var bytes: [UInt8] = []
        while let byte = rest.first, byte != UInt8(ascii: ","), byte != UInt8(ascii: "+") {
            rest.removeFirst()
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            guard let next = rest.popFirst() else { return nil }
            if let high = next.hexValue, let low = rest.first?.hexValue {
                rest.removeFirst()
                bytes.append(high << 4 | low)
            } else {
                bytes.append(next)
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        return text.split(separator: " ").joined(separator: " ").asciiLowercased
    }
}

extension DistinguishedName: Hashable {
    package static func == (a: DistinguishedName, b: DistinguishedName) -> Bool { a.parts == b.parts }

    package func hash(into hasher: inout Hasher) { hasher.combine(parts) }
}

extension String {
    /// With the letters of ASCII in lower case, and all else as it is.
    var asciiLowercased: String {
        String(decoding: utf8.map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}
