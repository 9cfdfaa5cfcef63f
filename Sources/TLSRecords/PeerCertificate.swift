/// Who the peer's certificate says it is.
public struct PeerCertificate: Sendable, Equatable {
    /// SHA-256 of the certificate's DER, 32 bytes.
    public var sha256: [UInt8]
    /// The subject's distinguished name, RFC 2253 style, cut at 1,024 bytes.
    public var subject: String

    /// The most bytes of a subject.
    public static let subjectLimit = 1_024

    /// A certificate's identity.
    public init(sha256: [UInt8], subject: String) {
        self.sha256 = sha256
        self.subject = subject
    }
}
