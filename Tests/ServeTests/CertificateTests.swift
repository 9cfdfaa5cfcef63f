import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// Which certificate a client is shown, and what is said of certificates that cannot be.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct CertificateTests {
    private let authority: OpenSSLAuthority

    init() throws { authority = try OpenSSLAuthority() }

    /// With certificates of every kind for overlapping names.
    private func server() throws -> Server {
        let expired = "210101000000Z"
        let certificates = [
            ("a-ec", try authority.issue("ec-exact", names: "DNS:a.x.test")),
            ("b-ed", try authority.issue("ed-exact", key: "ED25519", names: "DNS:b.x.test")),
            ("c-p384", try authority.issue("p384-exact", key: "P-384", names: "DNS:c.x.test")),
            ("d-old", try authority.issue("old-exact", names: "DNS:d.x.test", end: expired)),
            ("e-pss", try authority.issue("pss-exact", key: "RSA-PSS", names: "DNS:e.x.test")),
            ("f-old-rsa", try authority.issue("old-rsa", key: "RSA", names: "DNS:f.y.test", end: expired)),
            ("f-ec", try authority.issue("ec-f", names: "DNS:f.y.test")),
            ("i-address", try authority.issue("address", names: "IP:192.0.2.7,IP:2001:db8::7")),
            ("r-wild", try authority.issue("rsa-wild", key: "RSA", names: "DNS:*.x.test")),
        ]
        let text = certificates.map { "  \($0): {chain: \($1.certificate), key: \($1.key)}\n" }.joined()
        return try Server(
            [
                "--config",
                try authority.write(
                    """
                    listeners: {main: {address: "127.0.0.1:0"}}
                    routes: {echo: {target: echo}}
                    certificates:
                    \(text)
                    """, "baton.yaml"),
            ], workers: 1)
    }

    /// What clients offer that can do one thing and not another.
    enum Ability: String, CaseIterable {
        case everything, onlyRSA, onlyRSAIn12, noECDSASuite, onlyX25519In12, noP384In12, noP384In13, noEdwards
        case onlyPKCSIn12, onlyECDSA

        var arguments: [String] {
            switch self {
            case .everything: []
            case .onlyRSA: ["-sigalgs", "rsa_pss_rsae_sha256:rsa_pkcs1_sha256"]
            case .onlyRSAIn12: ["-tls1_2", "-sigalgs", "rsa_pss_rsae_sha256:rsa_pkcs1_sha256"]
            case .noECDSASuite: ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]
            case .onlyX25519In12: ["-tls1_2", "-groups", "X25519"]
            case .noP384In12: ["-tls1_2", "-groups", "P-256"]
            case .noP384In13: ["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256:rsa_pkcs1_sha256"]
            case .noEdwards: ["-sigalgs", "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256"]
            case .onlyPKCSIn12: ["-tls1_2", "-sigalgs", "rsa_pkcs1_sha256"]
            case .onlyECDSA: ["-sigalgs", "ecdsa_secp256r1_sha256"]
            }
        }
    }

    @Test("a client is shown the best certificate that it can use of all that cover the name")
    func choice() throws {
        let server = try server()
        for (name, ability, subject) in [
            ("a.x.test", Ability.everything, "ec-exact"),
            ("A.X.Test", .everything, "ec-exact"),
            ("a.x.test.", .everything, "ec-exact"),
            ("a.x.test", .onlyRSA, "rsa-wild"),
            ("a.x.test", .onlyRSAIn12, "rsa-wild"),
            ("a.x.test", .noECDSASuite, "rsa-wild"),
            ("a.x.test", .onlyX25519In12, "rsa-wild"),
            ("b.x.test", .everything, "ed-exact"),
            ("b.x.test", .noEdwards, "rsa-wild"),
            ("b.x.test", .noECDSASuite, "rsa-wild"),
            ("c.x.test", .everything, "p384-exact"),
            ("c.x.test", .noP384In12, "rsa-wild"),
            ("c.x.test", .noP384In13, "rsa-wild"),
            // Who has no other gets one that is out of date.
            ("d.x.test", .everything, "rsa-wild"),
            ("d.x.test", .onlyECDSA, "old-exact"),
            ("e.x.test", .everything, "pss-exact"),
            ("e.x.test", .onlyPKCSIn12, "rsa-wild"),
            ("f.y.test", .everything, "ec-f"),
            ("f.y.test", .onlyRSA, "old-rsa"),
            ("g.x.test", .everything, "rsa-wild"),
            // A wildcard is one label. Where nothing fits, the first certificate's name is taken.
            ("deep.a.x.test", .everything, "ec-exact"),
            ("deep.a.x.test", .onlyRSA, "rsa-wild"),
            ("elsewhere.test", .noECDSASuite, "rsa-wild"),
            ("192.0.2.7", .everything, "address"),
            (nil, .everything, "ec-exact"),
            (nil, .onlyRSA, "rsa-wild"),
        ] as [(String?, Ability, String)] {
            let client = try OpenSSLClient(server.port, name: name, ability.arguments)
            #expect(client.subject == subject, "\(name ?? "no name"), \(ability): \(client.text)")
            #expect(client.isEstablished)
        }
        // Nothing of another name for who can use none.
        let client = try OpenSSLClient(server.port, name: "f.y.test", ["-tls1_3", "-sigalgs", "ed25519"])
        #expect(client.subject == nil)
        #expect(client.text.contains("alert number 40"), "\(client.text)")
        try gnutls(server)
    }

    /// GnuTLS without ECDSA signatures. It cannot verify the authority's own so, and says whose certificate it was shown.
    private func gnutls(_ server: Server) throws {
        let client = try PeerProcess([
            "gnutls-cli", "--x509cafile", authority.certificate, "--sni-hostname", "a.x.test", "--verify-hostname",
            "a.x.test", "--priority", "NORMAL:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256", "-p",
            "\(server.port)", "127.0.0.1",
        ])
        try client.endInput()
        try client.expect(nil)
        #expect(client.text.contains("CN=rsa-wild"), "\(client.text)")
    }

    // MARK: Claims

    private func check(_ certificates: [(String, OpenSSLAuthority.Issued, String)], _ more: String = "") throws
        -> String
    {
        let text = certificates.map { "  \($0): {chain: \($1.certificate), key: \($1.key), \($2)}\n" }.joined()
        let path = try authority.write(
            "listeners: {main: {address: \"127.0.0.1:0\"\(more)}}\ncertificates:\n\(text)", "check.yaml")
        let baton = try PeerProcess([try BuiltProgram.path("baton"), "check", "--config", path])
        try baton.expect(nil)
        return baton.text
    }

    @Test("two certificates may claim one name by their keys of different kinds, and not of the same")
    func claims() throws {
        let (first, second) = (try authority.issue("one"), try authority.issue("two", key: "RSA"))
        let third = try authority.issue("three")
        let good = try check([("a", first, "names: [n.test]"), ("b", second, "names: [n.test]")])
        #expect(good.contains("is good"), "\(good)")
        let bad = try check([("a", first, "names: [n.test]"), ("b", third, "names: [\"N.test\"]")])
        #expect(bad.contains("n.test is claimed by two certificates with ECDSA P-256 keys"), "\(bad)")
        #expect(bad.split(whereSeparator: \.isNewline).count == 1, "\(bad)")
    }

    @Test("check says what is wrong with a certificate in one line, and what will be asked about later")
    func wrong() throws {
        let issued = try authority.issue("fine")
        let other = try authority.issue("other")
        func problem(_ certificate: String, _ key: String, _ more: String = "names: []") throws -> String {
            try check([("a", .init(certificate: certificate, key: key), more)])
        }
        let pipe = authority.path("pipe")
        if !FileManager.default.fileExists(atPath: pipe) { #expect(mkfifo(pipe, 0o600) == 0) }
        let locked = authority.path("locked.key")
        try PeerProcess(["openssl", "pkey", "-in", issued.key, "-aes256", "-passout", "pass:x", "-out", locked]).expect(
            nil)
        for (text, words) in [
            (
                try problem("/nonexistent.pem", issued.key),
                "certificates.a.chain: the file /nonexistent.pem does not exist"
            ),
            (try problem(issued.certificate, other.key), "does not belong to the certificate"),
            (try problem(pipe, issued.key), "is not a regular file"),
            (try problem(issued.certificate, "/"), "is not a regular file"),
            (try problem(issued.certificate, locked), "is encrypted; decrypt it first"),
            (try problem(issued.certificate, issued.key, "ocsp: /nonexistent.ocsp"), "does not exist"),
            (try check([("a", issued, "names: []")], ", client-crl: [\(issued.key)]"), "client-crl: is of no use"),
            (
                try check(
                    [("a", issued, "names: []")],
                    ", client-auth: require, client-ca: \(authority.certificate), client-crl: [\(issued.key)]"),
                "holds no certificate revocation list"
            ),
        ] {
            #expect(text.contains(words), "\(text)")
            #expect(text.split(whereSeparator: \.isNewline).count == 1, "\(text)")
        }
        let old = try authority.issue("old", end: "210101000000Z")
        chmod(old.key, 0o644)
        let care = try authority.issue("care", extensions: ["tlsfeature=status_request"])
        let text = try check([("a", old, "names: []"), ("b", care, "names: []")])
        #expect(text.contains("has expired; renew it"), "\(text)")
        #expect(text.contains("every user may read the private key"), "\(text)")
        #expect(text.contains("must-staple"), "\(text)")
        #expect(text.contains("is good"), "\(text)")
    }

    // MARK: Strict names

    @Test("strict-sni refuses names without a certificate and clients without a name, and says so in the log")
    func strict() throws {
        let issued = try authority.issue("known", names: "DNS:known.test,DNS:*.wild.test")
        let server = try Server(
            [
                "--config",
                try authority.write(
                    """
                    listeners: {main: {address: "127.0.0.1:0", strict-sni: true}}
                    routes: {echo: {target: echo}}
                    certificates: {k: {chain: \(issued.certificate), key: \(issued.key)}}
                    """, "strict.yaml"),
            ], workers: 1)
        for name in ["known.test", "KNOWN.test.", "a.wild.test"] {
            let client = try OpenSSLClient(server.port, name: name)
            #expect(client.isEstablished, "\(client.text)")
        }
        for (name, version, alert) in [
            ("other.test", "-tls1_3", 112), ("other.test", "-tls1_2", 112), ("wild.test", "-tls1_3", 112),
            ("a.b.wild.test", "-tls1_3", 112), (nil, "-tls1_2", 112), (nil, "-tls1_3", 109),
        ] as [(String?, String, Int)] {
            let client = try OpenSSLClient(server.port, name: name, [version])
            #expect(client.subject == nil)
            #expect(client.text.contains("alert number \(alert)"), "\(client.text)")
        }
        try server.log("asks for 'other.test'")
    }
}
