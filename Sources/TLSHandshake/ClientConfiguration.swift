/// What a TLS client trusts and offers.
public struct ClientConfiguration: Sendable {
    /// How the server's certificate is checked.
    public enum Verification: Sendable {
        /// Against the system's roots, and for the server name.
        case systemRoots
        /// Against these roots (PEM) alone, and for the server name.
        case roots(PEMSource)
        /// Not at all: whoever answers is taken for the server. For tests only.
        case none
    }

    /// How the server's certificate is checked.
    public var verification: Verification
    /// Decides behind `verification` whether the server's certificate is taken, knowing its verdict, which is never success where that
    /// is `none`. A session that is resumed is not asked about again; sessions are resumed by this context alone.
    public var verifier: CertificateVerifier?
    /// How much of the server's certificate the connection keeps.
    public var peerCertificateDetail = PeerCertificateDetail.subject
    /// Versions, suites, groups, application protocols.
    public var options: ProtocolOptions
    /// Shown to a server that asks for a certificate; its `serverNames` are not used.
    public var identity: ServerConfiguration.Identity?
    /// The largest record plaintext to ask the server for, in bytes: 512, 1,024, 2,048 or 4,096 (RFC 6066 section 4).
    public var maximumFragmentLength: Int?

    /// A client that verifies against the system's roots unless told otherwise.
    public init(
        verification: Verification = .systemRoots, options: ProtocolOptions = .init(),
        identity: ServerConfiguration.Identity? = nil, maximumFragmentLength: Int? = nil
    ) {
        self.verification = verification
        self.options = options
        self.identity = identity
        self.maximumFragmentLength = maximumFragmentLength
    }
}
