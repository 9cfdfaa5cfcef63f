internal import BatonConfiguration
internal import TLSHandshake

extension Upstream {
    /// How its TLS connections are made.
    ///
    /// - Parameter applicationProtocols: what is offered by ALPN.
    func clientConfiguration(offering applicationProtocols: [String] = []) -> ClientConfiguration {
        let verification: ClientConfiguration.Verification =
            !verifiesTLS ? .none : tlsCA.map { .roots(.file($0)) } ?? .systemRoots
        var identity: ServerConfiguration.Identity?
        if let tlsCertificate, let tlsKey {
            identity = .init(certificateChain: .file(tlsCertificate), privateKey: .file(tlsKey))
        }
        return ClientConfiguration(
            verification: verification, options: ProtocolOptions(applicationProtocols: applicationProtocols),
            identity: identity)
    }
}
