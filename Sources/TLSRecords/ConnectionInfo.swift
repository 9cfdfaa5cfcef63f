/// What the handshake settled and the application may ask for. It travels with the connection and holds no secret.
public struct ConnectionInfo: Sendable, Equatable {
    /// Which side of the handshake this end took.
    public var role: Role
    /// The cipher suite; it determines the version.
    public var suite: CipherSuite
    /// The name the client asked for (SNI, RFC 6066 section 3).
    public var serverName: String?
    /// The protocol agreed on (ALPN, RFC 7301).
    public var applicationProtocol: String?
    /// The peer's certificate, if it sent one.
    public var peerCertificate: PeerCertificate?
    /// What verification of the peer's certificate said, as an X509_V code (0 is success); `nil` if it was not asked for.
    public var verifyResult: Int32?
    /// Whether the handshake resumed an earlier session.
    public var isResumed: Bool
    /// Whether a TLS 1.2 master secret is bound to its handshake (RFC 7627).
    public var usesExtendedMasterSecret: Bool
    /// The name (16 bytes) of the ticket key this side issues tickets under. Not the key: all owners share keys.
    public var ticketKeyName: [UInt8]?

    /// The protocol version.
    public var version: TLSVersion { suite.version }

    /// What a handshake settled.
    public init(
        role: Role, suite: CipherSuite, serverName: String? = nil, applicationProtocol: String? = nil,
        peerCertificate: PeerCertificate? = nil, verifyResult: Int32? = nil, isResumed: Bool = false,
        usesExtendedMasterSecret: Bool = false, ticketKeyName: [UInt8]? = nil
    ) {
        self.role = role
        self.suite = suite
        self.serverName = serverName
        self.applicationProtocol = applicationProtocol
        self.peerCertificate = peerCertificate
        self.verifyResult = verifyResult
        self.isResumed = isResumed
        self.usesExtendedMasterSecret = usesExtendedMasterSecret
        self.ticketKeyName = ticketKeyName
    }
}
