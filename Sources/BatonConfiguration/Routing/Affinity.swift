/// What connections have in common that are to meet at one address of an upstream: a field of their first request's query.
///
/// The address is chosen by rendezvous hashing: each of the upstream's addresses gets a number made of the address and the
/// field's value, and the greatest comes first, the next greatest after it. So every process and every host with the same
/// addresses chooses alike, in whatever order they are written; an address that is added takes connections to itself alone, and
/// those of one that is taken away are spread over the rest.
package struct Affinity: Hashable, Sendable, CustomStringConvertible {
    /// How it is written.
    static let forms = "query:NAME"

    /// The field's name, compared byte for byte.
    package let field: String

    /// Reads `query:NAME`. A name has what a query can have (RFC 3986 section 3.4), without `&` and `=`.
    package init?(_ text: String) {
        let prefix = "query:"
        guard text.hasPrefix(prefix) else { return nil }
        field = String(text.dropFirst(prefix.count))
        guard 1...255 ~= field.utf8.count, field.utf8.allSatisfy({ 0x21...0x7E ~= $0 && !"&=#".utf8.contains($0) })
        else {
            return nil
        }
    }

    package var description: String { "query:\(field)" }

    /// A number for the field's value in a request, as it was sent and not decoded. Of several fields of the name the first
    /// counts; `nil` without one, or if it is empty.
    package func key(of request: RequestLine) -> UInt64? {
        guard let query = request.query else { return nil }
        for part in query.utf8.split(separator: UInt8(ascii: "&")) {
            let pieces = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard pieces.count == 2, pieces[0].elementsEqual(field.utf8) else { continue }
            return pieces[1].isEmpty ? nil : pieces[1].stableHash
        }
        return nil
    }

    /// The order in which a connection of this key tries the addresses.
    package static func order(_ addresses: [Address], for key: UInt64) -> [Address] {
        let text = (0..<8).map { UInt8(truncatingIfNeeded: key >> (8 * $0)) }
        let ranked = addresses.map { ((Array("\($0)".utf8) + text).stableHash, "\($0)", $0) }
        return ranked.sorted { ($0.0, $0.1) > ($1.0, $1.1) }.map(\.2)
    }
}
