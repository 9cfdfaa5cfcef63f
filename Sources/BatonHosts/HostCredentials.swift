public import TLSHandshake
internal import TLSRecords

/// How hosts prove to each other who they are: each has a certificate of an authority that both trust, and knows the names that
/// the others' certificates have.
public struct HostCredentials: Sendable {
    let server: ServerContext
    let client: ClientContext
    let peers: [String]

    /// What is spoken (ALPN).
    static let applicationProtocol = "baton-hosts"

    /// Reads the files of the configuration.
    ///
    /// - Parameters:
    ///   - identity: of this host. It is shown by whoever connects, too.
    ///   - authorities: who has signed the other hosts' certificates, PEM.
    ///   - peers: DNS names of the other hosts. Whoever shows a certificate of the authority's for none of them is hung up on.
    /// - Throws: `TLSConfigurationError`.
    public init(
        identity: ServerConfiguration.Identity, authorities: PEMSource, peers: [String]
    ) throws(TLSConfigurationError) {
        let options = ProtocolOptions(
            minimumVersion: .tls13, applicationProtocols: [HostCredentials.applicationProtocol])
        // Without tickets each link shows its certificates anew.
        server = try ServerContext(
            ServerConfiguration(
                identities: [identity], options: options,
                clientCertificates: .required(authorities: authorities), ticketCount: 0))
        client = try ClientContext(
            ClientConfiguration(verification: .roots(authorities), options: options, identity: identity))
        self.peers = peers
    }
}
