package import BatonCore
internal import Libc

/// What connections have in common that are to meet at one address of an upstream: a field of their first request's query, the
/// client's address, or the server name it asks for.
///
/// The address is chosen by rendezvous hashing: each of the upstream's addresses gets a number made of the address and the
/// field's value, and the greatest comes first, the next greatest after it. So every process and every host with the same
/// addresses chooses alike, in whatever order they are written; an address that is added takes connections to itself alone, and
/// those of one that is taken away are spread over the rest.
package struct Affinity: Hashable, Sendable, CustomStringConvertible {
    /// How it is written.
    static let forms = "source, server-name, query:NAME"

    private enum Key: Hashable, Sendable {
        case source
        case serverName
        /// The field's name, compared byte for byte.
        case query(String)
    }

    private let key: Key

    /// Reads one of `forms`. A field's name has what a query can have (RFC 3986 section 3.4), without `&` and `=`.
    package init?(_ text: String) {
        let prefix = "query:"
        switch text {
        case "source": key = .source
        case "server-name": key = .serverName
        case _ where text.hasPrefix(prefix):
            let field = String(text.dropFirst(prefix.count))
            guard 1...255 ~= field.utf8.count, field.utf8.allSatisfy({ 0x21...0x7E ~= $0 && !"&=#".utf8.contains($0) })
            else { return nil }
            key = .query(field)
        default: return nil
        }
    }

    package var description: String {
        switch key {
        case .source: "source"
        case .serverName: "server-name"
        case .query(let field): "query:\(field)"
        }
    }

    /// Whether it is known only when the first request is.
    package var needsRequest: Bool { if case .query = key { true } else { false } }

    /// What a connection has in common with others; `nil` if it lacks that.
    ///
    /// - Parameters:
    ///   - source: the client's address.
    ///   - serverName: what it asked for by SNI; in whatever case.
    ///   - request: its first request.
    package func key(source: IPAddress?, serverName: String?, request: RequestLine? = nil) -> UInt64? {
        switch key {
        case .source: source.map(Self.key(of:))
        case .serverName: serverName.map { (HostName($0)?.text ?? $0.lowercased()).utf8.stableHash }
        case .query: request.flatMap(key(of:))
        }
    }

    /// A number for a client's address. An IPv4 client has the same over a dual-stack socket.
    package static func key(of source: IPAddress) -> UInt64 { source.unmapped.octets.stableHash }

    /// A number for the field's value in a request, as it was sent and not decoded. Of several fields of the name the first
    /// counts; `nil` without one, or if it is empty.
    package func key(of request: RequestLine) -> UInt64? {
        guard case .query(let field) = key, let query = request.query else { return nil }
        for part in query.utf8.split(separator: UInt8(ascii: "&")) {
            let pieces = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard pieces.count == 2, pieces[0].elementsEqual(field.utf8) else { continue }
            return pieces[1].isEmpty ? nil : pieces[1].stableHash
        }
        return nil
    }

    /// The order in which a connection of this key tries addresses, as indices.
    ///
    /// - Parameters:
    ///   - names: the addresses, each in the one form that everybody writes.
    ///   - weights: their shares, all above 0. With equal ones the order is the same as without.
    package static func order(_ names: [String], weights: [Double]? = nil, for key: UInt64) -> [Int] {
        let text = (0..<8).map { UInt8(truncatingIfNeeded: key >> (8 * $0)) }
        let ranked = names.indices.map { index in
            let number = (Array(names[index].utf8) + text).stableHash
            // The greatest of -w/ln(u), u even between 0 and 1, is as likely to be each address's as its weight says.
            let logarithm = log((Double(number) + 0.5) / 0x1p64)
            let score = weights.map { logarithm < 0 ? -$0[index] / logarithm : .infinity } ?? 0
            return (score: score, number: number, index: index)
        }
        return ranked.sorted { ($0.score, $0.number, names[$0.index]) > ($1.score, $1.number, names[$1.index]) }
            .map(\.index)
    }

    /// Something even between 0 and 1.
    static func fraction(of text: String, _ number: UInt64) -> Double {
        Double("\(text) \(number)".utf8.stableHash >> 11) / 0x1p53
    }
}
