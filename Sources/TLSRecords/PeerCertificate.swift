/// Who the peer's certificate says it is.
public struct PeerCertificate: Sendable, Equatable {
    /// SHA-256 of the certificate's DER, 32 bytes.
    public var sha256: [UInt8]
    /// The subject's distinguished name, RFC 2253 style, cut at 1,024 bytes.
    public var subject: String
    /// The alternative names (RFC 5280 section 4.2.1.6), in the certificate's order; empty unless the handshake's configuration
    /// asks for them. At most 64 with at most 4,096 bytes; what is beyond is left out.
    public var alternativeNames: [AlternativeName]
    /// The certificates as the peer sent them, in DER, its own first; empty unless the configuration asks for them. The peer's own
    /// alone where the session was resumed, or all are more than 64 KiB.
    public var chain: [[UInt8]]
    /// The certificates by which the peer's was verified, in DER, its own first and the trusted root last; empty unless the
    /// configuration asks for them, where verification did not succeed, where the session was resumed, and beyond 64 KiB.
    public var verifiedChain: [[UInt8]]

    /// The certificate itself, in DER; `nil` unless the configuration asks for it.
    public var der: [UInt8]? { chain.first }

    /// The most bytes of a subject.
    public static let subjectLimit = 1_024
    /// The most bytes of a chain.
    public static let chainLimit = 65_536

    /// A certificate's identity.
    public init(
        sha256: [UInt8], subject: String, alternativeNames: [AlternativeName] = [], chain: [[UInt8]] = [],
        verifiedChain: [[UInt8]] = []
    ) {
        self.sha256 = sha256
        self.subject = subject
        self.alternativeNames = alternativeNames
        self.chain = chain
        self.verifiedChain = verifiedChain
    }
}

/// A name that a certificate is for beside its subject. It is visible ASCII of 1 to 1,024 bytes: what a certificate has that is
/// none is left out.
public enum AlternativeName: Sendable, Hashable {
    /// A mail address.
    case email(String)
    /// A host name, which may begin with `*.`.
    case dns(String)
    /// A URI, such as a SPIFFE identity.
    case uri(String)
    /// An IPv4 or IPv6 address, as RFC 5952 writes it.
    case address(String)

    /// The most names of a certificate.
    public static let maxNames = 64
    /// The most bytes of all names.
    public static let maxBytes = 4_096

    /// The name itself.
    public var text: String {
        switch self {
        case .email(let text), .dns(let text), .uri(let text), .address(let text): text
        }
    }

    /// Whether it may stand in a list.
    package var isWellFormed: Bool {
        (1...1_024).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}
