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

        /// A certificate chain with the key of its first certificate.
        public init(certificateChain: PEMSource, privateKey: PEMSource, serverNames: [String] = []) {
            self.certificateChain = certificateChain
            self.privateKey = privateKey
            self.serverNames = serverNames
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
    }

    /// Chosen by the client's server name: an exact name before a wildcard. The first is for every other name and for
    /// clients that give none. Identities of different key types may share names.
    public var identities: [Identity]
    /// Versions, suites, groups, application protocols.
    public var options: ProtocolOptions
    /// Whether the client has to show a certificate.
    public var clientCertificates: ClientCertificates
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
