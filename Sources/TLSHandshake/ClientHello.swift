/// What a ClientHello says to whoever must choose a route before the handshake (RFC 8446 section 4.1.2).
///
/// It is a claim of the peer and proves nothing; the handshake that follows reads the same bytes again.
public struct ClientHello: Sendable, Equatable {
    /// The client's random, 32 bytes. Key logs name a connection by it.
    public var random: [UInt8]
    /// The host the client asks for (SNI, RFC 6066 section 3), in lower case and without the root's dot.
    public var serverName: String?
    /// The application protocols offered, in the client's order (ALPN, RFC 7301).
    public var applicationProtocols: [String]
    /// The versions offered, in the client's order, as numbers on the wire; without `supported_versions` the one
    /// `legacy_version`.
    public var versions: [UInt16]
    /// The suites offered, in the client's order, as numbers on the wire.
    public var suites: [UInt16]

    /// Whether `second`, the answer to a HelloRetryRequest, asks for the same as this one (RFC 8446 section 4.1.2).
    func isRepeated(by second: ClientHello) -> Bool { self == second }
}

/// Why bytes are not the beginning of a TLS connection.
public enum NotTLS: Sendable, Equatable {
    /// An HTTP request without TLS.
    case plainHTTP
    /// An SSL 2.0 hello, which no supported version uses (RFC 6176).
    case sslv2
    /// Something else that is no TLS record at all.
    case otherProtocol
    /// TLS records, but no ClientHello that can be read; the text says which field.
    case malformedHello(String)
}

extension NotTLS: CustomStringConvertible {
    /// One line for a log.
    public var description: String {
        switch self {
        case .plainHTTP: "plain HTTP on a TLS port"
        case .sslv2: "an SSL 2.0 hello"
        case .otherProtocol: "no TLS"
        case .malformedHello(let field): "a malformed ClientHello (\(field))"
        }
    }
}
