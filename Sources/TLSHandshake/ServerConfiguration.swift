/// What a TLS server presents and accepts.
public struct ServerConfiguration: Sendable {
    /// A certificate with its key.
    public struct Identity: Sendable {
        /// The certificate, then the intermediates that lead to a root.
        public var certificateChain: PEMSource
        /// The private key: RSA, ECDSA or Ed25519, not encrypted. It may stand in the same file as the chain.
        public var privateKey: PEMSource
        /// The server names this identity is for, with `*.` for one label; empty means the names in the certificate.
        public var serverNames: [String]
        /// The file of an OCSP response in DER to send with the certificate (RFC 6066 section 8). It is read again when it
        /// changes, see `ServerContext.refresh()`.
        public var ocspResponse: String?
        /// The folder in which an OCSP response is kept that is fetched from the certificate's responder.
        package var ocspDirectory: String?
        /// Whether the server made it for want of another, so that sessions outlive it: other ones bind them to their
        /// certificates.
        public var isTemporary = false

        /// A certificate chain with the key of its first certificate.
        public init(
            certificateChain: PEMSource, privateKey: PEMSource, serverNames: [String] = [], ocspResponse: String? = nil
        ) {
            self.certificateChain = certificateChain
            self.privateKey = privateKey
            self.serverNames = serverNames
            self.ocspResponse = ocspResponse
        }

        /// All that it is made of, if that is files: equal ones are read once by contexts that share an `IdentityStore`.
        var files: [String]? {
            guard case .file(let chain) = certificateChain.storage, case .file(let key) = privateKey.storage else {
                return nil
            }
            return [chain, key, ocspResponse ?? "", ocspDirectory ?? ""] + serverNames
        }
    }

    /// Whether the client has to show a certificate.
    public enum ClientCertificates: Sendable {
        /// It is not asked.
        case none
        /// It is asked; one that does not verify ends the handshake, none at all does not.
        case optional(authorities: PEMSource)
        /// It must show one that verifies.
        case required(authorities: PEMSource)
        /// It is asked, and the application decides, knowing OpenSSL's verdict. Without authorities that verdict is never success.
        /// A session with a certificate is not resumed: the application is asked again each time. Of a client that shows no certificate
        /// it is not asked: unless one is required the handshake goes on, and `ConnectionInfo.peerCertificate` is `nil`.
        case verified(isRequired: Bool, authorities: PEMSource? = nil, by: CertificateVerifier)
    }

    /// Chosen by the client's server name among those that cover it and that the client can use: one that is valid today
    /// before one that is not, then an exact name before a wildcard. Where no name fits, or none is given, the first
    /// identity's name is taken. Two identities may claim one name if their keys are of different kinds.
    public var identities: [Identity]
    /// Versions, suites, groups, application protocols.
    public var options: ProtocolOptions
    /// Whether the client has to show a certificate.
    public var clientCertificates: ClientCertificates
    /// Files of certificate revocation lists, PEM or DER, for client certificates. With any, each authority must have a
    /// list that has not expired. They are read again when they change, see `ServerContext.refresh()`.
    public var revocationLists: [String] = []
    /// How much of a client's certificate the connection keeps.
    public var peerCertificateDetail = PeerCertificateDetail.subject
    /// Whether a client that asks for a name that no identity covers, or for none, is refused (`unrecognized_name`,
    /// `missing_extension`).
    public var requiresKnownName = false
    /// How many certificates may stand between a client's and the authority's; `nil`: as many as OpenSSL takes, 100.
    package var verificationDepth: Int?
    /// Whether `HandshakeFacts` are read at the end of a handshake.
    package var readsFacts = false
    /// What tickets are for: another server that shares the ticket keys takes them only if it has the same name here, and
    /// the same certificates, suites and demands on clients.
    public var sessionScope = ""
    /// TLS 1.3 tickets sent after a full handshake, 0 to 16; 0 turns resumption off in both versions.
    public var ticketCount: Int

    /// A server with these identities; tickets as OpenSSL sends them (2).
    public init(
        identities: [Identity], options: ProtocolOptions = .init(),
        clientCertificates: ClientCertificates = .none, ticketCount: Int = 2
    ) {
        self.identities = identities
        self.options = options
        self.clientCertificates = clientCertificates
        self.ticketCount = ticketCount
    }
}
