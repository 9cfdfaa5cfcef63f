public import TLSRecords

/// A listening socket and how its connections begin.
public struct Listener: Hashable, Sendable {
    /// Where it listens.
    public var address: Address = .tcp(.any, port: 443)
    /// Who begins the TLS handshake.
    public var role: ListenerRole = .server
    /// With `detect`: how long the peer may stay silent before it is taken for a TLS server.
    public var detectTime: Duration = .seconds(5)
    /// With `client` or `detect`: the name to ask the peer for, which its certificate must be for; nil: none is asked for.
    public var peerName: String?
    /// Whether connections use TLS.
    public var usesTLS = true
    /// The protocol that is spoken before TLS; nil: TLS begins at once.
    public var startTLS: PlainPreface.Kind?
    /// The names of the certificates to choose from by server name; empty: all there are.
    public var certificates: [String] = []
    /// Whether clients show a certificate.
    public var clientAuth: ClientAuth = .none
    /// The PEM file of the authorities that may have signed it.
    public var clientCA: String?
    /// The files of revocation lists for client certificates; empty: none is looked up.
    public var clientCRL: [String] = []
    /// Whether a client that asks for a name without a certificate, or for none, is refused.
    public var requiresKnownName = false
    /// The versions of TLS that are offered.
    public var versions: [TLSVersion] = [.tls12, .tls13]
    /// The cipher suites that are offered, the preferred first.
    public var ciphers: [CipherSuite] = CipherSuite.allCases
    /// The key exchange groups that are offered, the preferred first.
    public var groups: [KeyExchangeGroup] = [.x25519, .p256, .p384]
    /// The ALPN protocols that are offered, the preferred first; empty: the extension is ignored.
    public var alpn: [String] = []
    /// The PROXY protocol header that every connection must begin with.
    public var proxyProtocol: InboundProxyProtocol = .off
    /// Who may send it; empty: whoever connects.
    public var proxyProtocolSources: [Network] = []
    /// How it is noticed that a peer has gone.
    public var liveness = Liveness()
    /// How long a connection may pass no byte in either direction; nil: for ever.
    public var idleTime: Duration?

    /// What is chosen from by ALPN. PostgreSQL clients from version 17 on that begin with TLS insist on their protocol.
    var offeredProtocols: [String] {
        alpn.isEmpty && startTLS == .postgres ? [PlainPreface.Kind.postgresProtocol] : alpn
    }

    /// Creates a listener with the defaults.
    public init() {}
}
