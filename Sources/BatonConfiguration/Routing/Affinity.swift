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
            return pieces[1].isEmpty ? nil : Self.hash(pieces[1])
        }
        return nil
    }

    /// The order in which a connection of this key tries the addresses.
    package static func order(_ addresses: [Address], for key: UInt64) -> [Address] {
        let text = (0..<8).map { UInt8(truncatingIfNeeded: key >> (8 * $0)) }
        let ranked = addresses.map { (hash(Array("\($0)".utf8) + text), "\($0)", $0) }
        return ranked.sorted { ($0.0, $0.1) > ($1.0, $1.1) }.map(\.2)
    }

    /// FNV-1a, and the last mix of MurmurHash3, by which each bit of the text changes all bits. It is the same in every process
    /// and version, and no secret: who chooses values can choose where they lead.
    private static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        return hash ^ (hash >> 33)
    }
}
