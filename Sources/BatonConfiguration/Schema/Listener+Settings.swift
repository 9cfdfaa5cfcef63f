import TLSRecords

extension Listener: LivenessSection {
    static let settings: [Setting<Listener>] =
        [
            Setting("address", \.address, .address, isRequired: true, "Where to listen. Port 0 takes a free one."),
            Setting(
                "role", \.role, .choice,
                "Who begins the TLS handshake: `server` waits for the peer's, `client` begins its own, `detect` sees who speaks first."
            ),
            Setting(
                "detect-time", \.detectTime, .duration(.milliseconds(10)...(.seconds(60))),
                "With `role: detect`: how long the peer may be silent before it is taken for a TLS server."),
            Setting(
                "peer-name", \.peerName, .optional(.hostName),
                "With `role: client` or `detect`: the name to ask the peer for by SNI, which its certificate must be for."
            ),
            Setting("tls", \.usesTLS, .flag, "Whether connections use TLS. Without it they are moved all the same."),
            Setting(
                "starttls", \.startTLS, .optional(.choice),
                "The protocol that is spoken before TLS. Nothing but its way to TLS is served."),
            Setting(
                "certificates", \.certificates, .list(of: .name, "names of certificates"),
                "The certificates to choose from by server name and by what the client can use; the first is for clients that name "
                    + "none. Empty: all there are."),
            Setting(
                "strict-sni", \.requiresKnownName, .flag,
                "Whether a client that asks for a server name of no certificate, or for none, is refused."),
            Setting(
                "client-auth", \.clientAuth, .choice,
                "Whether clients show a certificate. A peer that is the TLS server always does; unless `none` it is verified."
            ),
            Setting(
                "client-ca", \.clientCA, .optional(.path),
                "PEM file of the authorities that sign the peers' certificates."),
            Setting(
                "client-crl", \.clientCRL, .list(of: .path, "paths"),
                "Files of revocation lists, PEM or DER, one of each authority up to the root. Without a list that is in date a "
                    + "client is refused. They are read again within seconds when they change."),
            Setting(
                "client-rules", \.clientRules, .list(of: .clientRule, ClientRule.forms),
                "Which clients are let in by their certificates. The most specific rule decides, of equal ones the one that "
                    + "denies; whom none is about is refused. Empty: all with a good certificate."),
            Setting(
                "client-verify-depth", \.clientVerifyDepth, .optional(.count(0...100)),
                "How many certificates may stand between a client's and one of `client-ca`. `off`: 100."),
            Setting(
                "tls-versions", \.versions, .list(of: .tlsVersion, "1.2, 1.3", atLeast: 1),
                "The versions of TLS that are offered."),
            Setting(
                "ciphers", \.ciphers, .list(of: .cipherSuite, "the IANA names in the default", atLeast: 1),
                "The cipher suites that are offered, the preferred first."),
            Setting(
                "groups", \.groups,
                .list(of: .choice, KeyExchangeGroup.allCases.map(\.rawValue).joined(separator: ", "), atLeast: 1),
                "The key exchange groups that are offered, the preferred first."),
            Setting(
                "alpn", \.alpn, .list(of: .applicationProtocol, "ALPN protocol names"),
                "The ALPN protocols that are offered, the preferred first. Empty: the extension is ignored, or, with `starttls: postgres`, `postgresql`."
            ),
            Setting(
                "proxy-protocol", \.proxyProtocol, .choice,
                "The PROXY protocol header with which every connection must begin. Only behind a load balancer that sends it."
            ),
            Setting(
                "proxy-protocol-from", \.proxyProtocolSources,
                .list(of: .network, "networks as 192.0.2.0/24, or addresses"),
                "With `proxy-protocol`: where the load balancers are; connections from elsewhere are closed. Empty: whoever "
                    + "connects is believed."),
        ] + livenessSettings + [
            Setting(
                "idle-time", \.idleTime, .optional(.duration(.seconds(1)...(.seconds(30 * 86_400)))),
                "How long a connection may pass no byte in either direction."),
            Setting(
                "bandwidth", \.bandwidth, .optional(.size(1 << 10...1 << 40)),
                "How many bytes a second a connection may pass in each direction, as they come from its sockets."),
        ]
}

extension SettingFormat where Value == TLSVersion {
    static var tlsVersion: SettingFormat {
        .word(
            "1.2, 1.3", words: ["1.2", "1.3"],
            read: { word in
                switch word {
                case "1.2": .tls12
                case "1.3": .tls13
                default: nil
                }
            }, write: { "\($0)" })
    }
}

extension SettingFormat where Value == CipherSuite {
    static var cipherSuite: SettingFormat {
        .word(
            "a cipher suite", words: CipherSuite.allCases.map { "\($0)" },
            read: { word in CipherSuite.allCases.first { "\($0)" == word } }, write: { "\($0)" })
    }
}
