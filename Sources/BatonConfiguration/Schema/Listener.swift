package import TLSRecords

/// A listening socket and how its connections begin.
package struct Listener: Hashable, Sendable {
    /// Where it listens.
    package var address: Address = .tcp(.any, port: 443)
    /// Who begins the TLS handshake.
    package var role: ListenerRole = .server
    /// With `detect`: how long the peer may stay silent before it is taken for a TLS server.
    package var detectTime: Duration = .seconds(5)
    /// With `client` or `detect`: the name to ask the peer for, which its certificate must be for; nil: none is asked for.
    package var peerName: String?
    /// Whether connections use TLS.
    package var usesTLS = true
    /// The protocol that is spoken before TLS; nil: TLS begins at once.
    package var startTLS: PlainPreface.Kind?
    /// The names of the certificates to choose from by server name; empty: all there are.
    package var certificates: [String] = []
    /// Whether clients show a certificate.
    package var clientAuth: ClientAuth = .none
    /// The PEM file of the authorities that may have signed it.
    package var clientCA: String?
    /// The files of revocation lists for client certificates; empty: none is looked up.
    package var clientCRL: [String] = []
    /// Which of them are let in; empty: all.
    package var clientRules: [ClientRule] = []
    /// How many certificates may stand between a client's and the authority's; nil: as many as OpenSSL takes.
    package var clientVerifyDepth: Int?
    /// Whether a client that asks for a name without a certificate, or for none, is refused.
    package var requiresKnownName = false
    /// The versions of TLS that are offered.
    package var versions: [TLSVersion] = [.tls12, .tls13]
    /// The cipher suites that are offered, the preferred first.
    package var ciphers: [CipherSuite] = CipherSuite.allCases
    /// The key exchange groups that are offered, the preferred first.
    package var groups: [KeyExchangeGroup] = [.x25519, .p256, .p384]
    /// The ALPN protocols that are offered, the preferred first; empty: the extension is ignored.
    package var alpn: [String] = []
    /// The PROXY protocol header that every connection must begin with.
    package var proxyProtocol: InboundProxyProtocol = .off
    /// Who may send it; empty: whoever connects.
    package var proxyProtocolSources: [Network] = []
    /// How it is noticed that a peer has gone.
    package var liveness = Liveness()
    /// How long a connection may pass no byte in either direction; nil: for ever.
    package var idleTime: Duration?

    /// How many bytes a second a connection may pass, in each direction; nil: as many as come.
    package var bandwidth: Int?

    /// What is chosen from by ALPN. PostgreSQL clients from version 17 on that begin with TLS insist on their protocol.
    package var offeredProtocols: [String] {
        alpn.isEmpty && startTLS == .postgres ? [PlainPreface.Kind.postgresProtocol] : alpn
    }

    /// Creates a listener with the defaults.
    package init() {}
}
