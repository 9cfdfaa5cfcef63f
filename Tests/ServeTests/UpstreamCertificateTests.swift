import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// The certificate that the server shows to its upstreams.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct UpstreamCertificateTests {
    private let authority: OpenSSLAuthority

    init() throws { authority = try OpenSSLAuthority() }

    /// An nginx that asks every client for a certificate of the authority, and answers with its subject.
    private func nginx(_ version: String) throws -> (process: PeerProcess, port: Int) {
        let issued = try authority.issue("localhost")
        return try Nginx.start(in: authority.files) { port in
            """
            listen 127.0.0.1:\(port) ssl;
            ssl_protocols \(version);
            ssl_certificate \(issued.certificate);
            ssl_certificate_key \(issued.key);
            ssl_client_certificate \(authority.certificate);
            ssl_verify_client on;
            location / { return 200 "$ssl_protocol <$ssl_client_s_dn>\\n"; }
            """
        }
    }

    private func get(_ server: Server, times: Int) throws -> String {
        let curl = try PeerProcess(
            ["curl", "-sk", "--max-time", "60"] + Array(repeating: "https://127.0.0.1:\(server.port)/", count: times))
        try curl.expect(nil)
        return curl.text
    }

    @Test(
        "an upstream that asks for a certificate gets it, through moves, and the new one after a reload",
        arguments: ["TLSv1.2", "TLSv1.3"])
    func shown(version: String) throws {
        let (nginx, port) = try nginx(version)
        defer { withExtendedLifetime(nginx) {} }
        let (first, second) = (try authority.issue("client-one"), try authority.issue("client-two", key: "RSA"))
        func configuration(_ more: String) -> String {
            """
            move-every: 1
            listeners: {main: {address: "127.0.0.1:0"}}
            upstreams:
              web:
                addresses: 127.0.0.1:\(port)
                tls: true
                tls-name: localhost
                tls-ca: \(authority.certificate)
                \(more)
            """
        }
        let path = try authority.write(
            configuration("tls-certificate: \(first.certificate)\n    tls-key: \(first.key)"), "baton.yaml")
        let server = try Server(["--config", path])
        let text = try get(server, times: 20)
        #expect(text.components(separatedBy: "\(version) <CN=client-one>").count == 21, "\(text)")
        _ = try server.waitUntil { $0.moves.handoff > 0 }

        for (from, to) in [(second.certificate, first.certificate), (second.key, first.key)] {
            try FileManager.default.removeItem(atPath: to)
            try FileManager.default.copyItem(atPath: from, toPath: to)
        }
        server.signal(SIGHUP)
        let deadline = ContinuousClock.now + .seconds(30)
        while try !get(server, times: 1).contains("<CN=client-two>") {
            guard ContinuousClock.now < deadline else { throw WireError("the old certificate is still shown") }
        }

        _ = try authority.write(configuration("connect-time: 5s"), "baton.yaml")
        server.signal(SIGHUP)
        while try !get(server, times: 1).contains("No required SSL certificate was sent") {
            guard ContinuousClock.now < deadline else { throw WireError("a certificate is still shown") }
        }
    }

    @Test("check says what is wrong with the certificate for an upstream")
    func wrong() throws {
        let (mine, other) = (try authority.issue("mine"), try authority.issue("other"))
        for (keys, words) in [
            ("tls-certificate: \(mine.certificate), tls-key: \(mine.key)", "is good"),
            ("tls-certificate: \(mine.certificate), tls-key: \(other.key)", "does not belong to the certificate"),
            ("tls-certificate: \(mine.certificate)", "upstreams.web.tls-key: is missing"),
            ("tls-key: \(mine.key)", "upstreams.web.tls-certificate: is missing"),
            ("tls-certificate: /nonexistent, tls-key: \(mine.key)", "does not exist"),
        ] {
            let path = try authority.write(
                """
                listeners: {main: {address: "127.0.0.1:0"}}
                upstreams: {web: {addresses: "localhost:1", tls: true, \(keys)}}
                """, "check.yaml")
            let baton = try PeerProcess([try BuiltProgram.path("baton"), "check", "--config", path])
            try baton.expect(nil)
            #expect(baton.text.contains(words), "\(baton.text)")
            #expect(words == "is good" || baton.text.split(whereSeparator: \.isNewline).count == 1, "\(baton.text)")
        }
    }
}
