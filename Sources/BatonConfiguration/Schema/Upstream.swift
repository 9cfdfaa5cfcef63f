package import BatonCore

/// A service behind the proxy.
package struct Upstream: Hashable, Sendable {
    /// Where it is reached; each connection tries them in this order until one accepts, unless its route has an affinity.
    package var addresses: [Address] = []
    /// The local addresses that connections to it are made from, one of each family; empty: the kernel chooses.
    package var sourceAddresses: [IPAddress] = []
    /// How long one address may take to accept.
    package var connectTime: Duration = .seconds(5)
    /// Whether the connection to it uses TLS.
    package var usesTLS = false
    /// Whether its certificate must be good and for `tlsName`.
    package var verifiesTLS = true
    /// The name that is asked for and verified; nil: the host name of the address.
    package var tlsName: String?
    /// The PEM file of the authorities that may have signed its certificate; nil: the system's.
    package var tlsCA: String?
    /// The PEM file of the certificate to show it, if it asks; nil: none.
    package var tlsCertificate: String?
    /// The PEM file of that certificate's private key.
    package var tlsKey: String?
    /// The PROXY protocol header that it gets first; nil: none.
    package var proxyProtocol: ProxyProtocolHeader.Version?
    /// What version 2 of the header tells beside the addresses.
    package var proxyProtocolExtensions = ProxyProtocolExtension.standard
    /// The type by which version 2 tells the names in a client's certificate, 0xE0 to 0xEF.
    package var proxyProtocolNameType = Int(ProxyProtocolHeader.Extensions.firstCustomType)
    /// How it is noticed that the upstream has gone.
    package var liveness = Liveness()

    /// Creates an upstream without addresses.
    package init() {}
}

extension Upstream: LivenessSection {
    static let settings: [Setting<Upstream>] =
        [
            Setting(
                "addresses", \.addresses, .list(of: .destination, "HOST:PORT, [IPV6]:PORT or unix:/PATH", atLeast: 1),
                isRequired: true,
                "Where it is reached. Each connection tries them in this order until one accepts, "
                    + "unless its route has an `affinity`."),
            Setting(
                "source-addresses", \.sourceAddresses, .list(of: .ipAddress, "IPv4 or IPv6 addresses"),
                "The local addresses to connect from, one of each family. A session moves to another host only if the local "
                    + "address of its connection to the upstream is one of `migration.addresses`."),
            Setting(
                "connect-time", \.connectTime, .duration(.milliseconds(10)...(.seconds(300))),
                "How long one address may take to accept."),
            Setting("tls", \.usesTLS, .flag, "Whether the connection to it uses TLS."),
            Setting("tls-verify", \.verifiesTLS, .flag, "Whether its certificate must be good and name it."),
            Setting(
                "tls-name", \.tlsName, .optional(.hostName, none: "auto"),
                "The name to ask for and to verify. `auto` takes the host name of the address."),
            Setting(
                "tls-ca", \.tlsCA, .optional(.path, none: "system"),
                "PEM file of the authorities that may have signed its certificate."),
            Setting(
                "tls-certificate", \.tlsCertificate, .optional(.path),
                "PEM file of the certificate to show it if it asks for one, followed by those that lead to its root."),
            Setting("tls-key", \.tlsKey, .optional(.path), "PEM file of the private key of `tls-certificate`."),
            Setting(
                "proxy-protocol", \.proxyProtocol, .optional(.choice),
                "The PROXY protocol header that it gets first, in the clear also where TLS follows."),
            Setting(
                "proxy-protocol-tlvs", \.proxyProtocolExtensions,
                .list(of: .choice, ProxyProtocolExtension.allCases.map(\.rawValue).joined(separator: ", ")),
                "With `v2`: what the header tells beside the addresses, as far as it is known. `ssl` is the client's TLS version, "
                    + "cipher and the subject of its certificate; `unique-id` is passed on from a load balancer in front. "
                    + "`cert-sig` and `cert-key` are the algorithms of the certificate that the client was shown, `client-cert` its "
                    + "own in DER, `client-names` the alternative names in it."),
            Setting(
                "proxy-protocol-names-type", \.proxyProtocolNameType, .count(0xE0...0xEF),
                "With `client-names`: the type of the extensions that tell them."),
        ] + livenessSettings
}
