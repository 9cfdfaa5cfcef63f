public import TLSRecords

/// Decides whether a peer's certificate is taken, after OpenSSL has looked at it. It is called in the midst of the handshake, on
/// the thread that makes it, by any number of handshakes at a time, and must not block.
///
/// ```swift
/// configuration.clientCertificates = .verified(isRequired: true, authorities: .file("ca.pem")) { shown in
///     guard shown.isVerified else { return .libraryVerdict }
///     return shown.names.contains(.uri("spiffe://example.org/billing")) ? .accept : .reject(.badCertificate, "not billing")
/// }
/// ```
public typealias CertificateVerifier = @Sendable (ShownCertificates) -> CertificateDecision

/// What a peer has shown, and what OpenSSL thinks of it.
public struct ShownCertificates: Sendable {
    /// The certificates as they were sent, in DER, the peer's own first; never empty.
    public let chain: [[UInt8]]
    /// The certificates by which OpenSSL verified it, in DER, the peer's own first; as far as it came if it did not succeed.
    public let verifiedChain: [[UInt8]]
    /// SHA-256 of the peer's own, in DER, 32 bytes.
    public let sha256: [UInt8]
    /// Its subject, RFC 2253 style, cut at 1,024 bytes.
    public let subject: String
    /// Its alternative names; see `PeerCertificate.alternativeNames` for their limits.
    public let names: [AlternativeName]
    /// The server's name, if this is a client: as it was asked for. The client's SNI, if this is a server.
    public let serverName: String?
    /// OpenSSL's verdict as an X509_V code; 0 is success. It has looked at signatures, dates, purpose, revocation lists and, in a
    /// client, the name.
    public let verdict: Int32
    /// The verdict in OpenSSL's words.
    public let verdictText: String

    /// Whether OpenSSL's verdict is success.
    public var isVerified: Bool { verdict == 0 }
}

/// What becomes of a handshake by the peer's certificate.
public enum CertificateDecision: Sendable, Equatable {
    /// It goes on, whatever OpenSSL thinks. `ConnectionInfo.verifyResult` keeps OpenSSL's verdict.
    case accept
    /// As OpenSSL decides.
    case libraryVerdict
    /// It ends with this alert, and with `HandshakeError.Code.certificateRejected` here, whose message has the reason given: one
    /// line without a secret.
    case reject(CertificateRejection, String)
}

/// The alerts by which a certificate is refused (RFC 8446 section 6.2).
public enum CertificateRejection: Sendable, CaseIterable {
    /// `bad_certificate`
    case badCertificate
    /// `unsupported_certificate`
    case unsupportedCertificate
    /// `certificate_revoked`
    case certificateRevoked
    /// `certificate_expired`
    case certificateExpired
    /// `unknown_ca`
    case unknownCA
    /// `certificate_unknown`
    case certificateUnknown
}
