package import BatonCore

/// A service behind the proxy.
package struct Upstream: Hashable, Sendable {
    /// Where it is reached.
    package var addresses: [UpstreamAddress] = []
    /// By what the address of a new connection is chosen, unless its route has an affinity.
    package var balance = BalancePolicy.first
    /// The local addresses that connections to it are made from, one of each family; empty: the kernel chooses.
    package var sourceAddresses: [IPAddress] = []
    /// How long one address may take to accept.
    package var connectTime: Duration = .seconds(5)
    /// The most addresses that one connection tries.
    package var tries = 5
    /// After this no further address is tried.
    package var retryTime: Duration = .seconds(15)
    /// How it is looked whether addresses can be used.
    package var check = UpstreamCheck()
    /// So many connections in a row that an address fails leave it out; nil: none does.
    package var ejectAfter: Int? = 3
    /// How long it is left out, for the first time.
    package var ejectTime: Duration = .seconds(10)
    /// How long an address that has come back has less than its share; nil: at once it has all.
    package var slowStart: Duration?
    /// How often names are resolved; nil: as their TTL says.
    package var resolveEvery: Duration?
    /// How old a connection may become, give or take a tenth; nil: any age.
    package var maxLifetime: Duration?
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
                "addresses", \.addresses, .list(of: .upstreamAddress, UpstreamAddress.forms, atLeast: 1),
                isRequired: true,
                "Where it is reached. A name stands for all its addresses. `srv:_http._tcp.example.org` is resolved by DNS SRV "
                    + "records, with their ports, priorities and weights. With `weight=0` an address gets no new connections, "
                    + "and keeps those it has."),
            Setting(
                "balance", \.balance, .choice,
                "Which address a new connection tries first, unless its route has an `affinity`: in the order in which they are "
                    + "written, in turn, the one with the fewest connections for its weight, or by a hash of the client's "
                    + "address. The others follow while one cannot be had."),
            Setting(
                "source-addresses", \.sourceAddresses, .list(of: .ipAddress, "IPv4 or IPv6 addresses"),
                "The local addresses to connect from, one of each family. A session moves to another host only if the local "
                    + "address of its connection to the upstream is one of `migration.addresses`."),
            Setting(
                "connect-time", \.connectTime, .duration(.milliseconds(10)...(.seconds(300))),
                "How long one address may take to accept."),
            Setting("tries", \.tries, .count(1...100), "The most addresses that one connection tries."),
            Setting(
                "retry-time", \.retryTime, .duration(.milliseconds(10)...(.seconds(600))),
                "After this a connection tries no further address."),
            Setting(
                "check", \.check.kind, .choice,
                "How it is looked whether an address can be used: `tcp` connects, `tls` also completes a handshake, `http` sends "
                    + "a GET, over TLS if `tls` is set, and wants a status of 200 to 399."),
            Setting(
                "check-every", \.check.interval, .duration(.milliseconds(100)...(.seconds(3_600))),
                "The time between checks of an address, give or take a tenth."),
            Setting(
                "check-time", \.check.timeLimit, .duration(.milliseconds(10)...(.seconds(300))),
                "How long a check may take."),
            Setting(
                "check-path", \.check.path, .text("a path that begins with /", isTarget),
                "What an `http` check asks for."),
            Setting(
                "check-host", \.check.host, .optional(.hostName, none: "auto"),
                "The Host field of an `http` check. `auto`: the address."),
            Setting(
                "rise", \.check.rise, .count(1...1_000),
                "So many good checks in a row bring an address back. The first check of all decides alone."),
            Setting("fall", \.check.fall, .count(1...1_000), "So many bad checks in a row take an address out."),
            Setting(
                "eject-after", \.ejectAfter, .optional(.count(1...1_000)),
                "So many connections in a row that an address refuses or lets fail before the client's first byte leave it out "
                    + "for `eject-time`. If all are out, all are tried."),
            Setting(
                "eject-time", \.ejectTime, .duration(.milliseconds(100)...(.seconds(3_600))),
                "How long an address is left out. It doubles with each time that the next connection fails as well, up to "
                    + "eightfold."),
            Setting(
                "slow-start", \.slowStart, .optional(.duration(.milliseconds(100)...(.seconds(3_600)))),
                "How long the share of an address that has come back grows to its weight. With `round-robin` and "
                    + "`least-connections`."),
            Setting(
                "resolve-every", \.resolveEvery, .optional(.duration(.seconds(1)...(.seconds(86_400))), none: "ttl"),
                "How often names are resolved again. `ttl`: as their DNS records say, from 1s to 1h; every 30s for names that are "
                    + "not from DNS. While DNS does not answer, the last answer holds."),
            Setting(
                "max-lifetime", \.maxLifetime, .optional(.duration(.seconds(1)...(.seconds(365 * 86_400)))),
                "How old a connection may become, give or take a tenth by chance; then it is closed as with `idle-time`."
            ),
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

    @Sendable private static func isTarget(_ text: String) -> Bool {
        text.hasPrefix("/") && text.utf8.count <= 2_000 && text.utf8.allSatisfy { 0x21...0x7E ~= $0 }
    }
}
