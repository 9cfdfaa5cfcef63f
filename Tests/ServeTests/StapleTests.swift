import Foundation
import StockPeers
import Testing

/// OCSP responses that travel with a certificate.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct StapleTests {
    private let authority: OpenSSLAuthority

    init() throws { authority = try OpenSSLAuthority() }

    private func status(_ server: Server, _ version: String, says: String? = nil) throws -> String {
        try OpenSSLClient(
            server.port, name: "staple.test", says: says, [version, "-status", "-CAfile", authority.certificate]
        ).text
    }

    private func eventually(_ words: String, _ server: Server) throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let text = try status(server, "-tls1_3")
            if text.contains(words) { return }
            guard ContinuousClock.now < deadline else { throw WireError("after 30 s still: \(text)") }
        }
    }

    @Test("a response is stapled once its file holds a good one, without a reload, and a useless one never is")
    func stapled() throws {
        let issued = try authority.issue("staple.test", extensions: ["tlsfeature=status_request"])
        let other = try authority.issue("other.test")
        try authority.writeResponse(about: other, to: "it.ocsp")
        let server = try Server(
            [
                "--config",
                try authority.write(
                    """
                    listeners: {main: {address: "127.0.0.1:0"}}
                    routes: {page: {target: hello}}
                    certificates:
                      c: {chain: \(try authority.chain(issued)), key: \(issued.key), ocsp: \(authority.path("it.ocsp"))}
                    """, "baton.yaml"),
            ], workers: 1)
        try server.log("it.ocsp is not stapled: it is about another certificate")
        for version in ["-tls1_2", "-tls1_3"] {
            #expect(try status(server, version).contains("no response sent"))
        }

        let stranger = try OpenSSLAuthority("stranger")
        try stranger.writeResponse(about: stranger.issue("x.test"), to: "its.ocsp")
        try FileManager.default.removeItem(atPath: authority.path("it.ocsp"))
        try FileManager.default.copyItem(atPath: stranger.path("its.ocsp"), toPath: authority.path("it.ocsp"))
        try server.log("it.ocsp is not stapled: it is not signed by the issuer")

        try authority.writeResponse(about: issued, to: "it.ocsp")
        try eventually("Cert Status: good", server)
        for version in ["-tls1_2", "-tls1_3"] {
            let text = try status(server, version)
            #expect(text.contains("OCSP Response Status: successful"), "\(text)")
            #expect(text.contains("Verification: OK"), "\(text)")
        }
        let curl = try PeerProcess([
            "curl", "-sS", "--cert-status", "--cacert", authority.certificate, "--max-time", "60", "--resolve",
            "staple.test:\(server.port):127.0.0.1", "https://staple.test:\(server.port)/",
        ])
        try curl.expect(nil)
        #expect(curl.text.contains("This connection is alive"), "\(curl.text)")

        // One that says that the certificate is revoked is not sent either, and is told of.
        try authority.revoke(issued)
        try authority.writeResponse(about: issued, to: "it.ocsp")
        try server.log("it says that the certificate is revoked")
        #expect(server.logged.components(separatedBy: "it is about another").count == 2)
    }

    @Test("a certificate whose chain ends with itself has its response stapled too, and not when that has expired")
    func withoutIssuer() throws {
        let issued = try authority.issue("staple.test")
        try authority.writeResponse(about: issued, to: "it.ocsp", isExpired: true)
        let server = try Server(
            [
                "--config",
                try authority.write(
                    """
                    listeners: {main: {address: "127.0.0.1:0"}}
                    certificates: {c: {chain: \(issued.certificate), key: \(issued.key), ocsp: \(authority.path("it.ocsp"))}}
                    """, "baton.yaml"),
            ], workers: 1)
        try server.log("nobody checks who signed the OCSP response for \(issued.certificate)")
        try server.log("it.ocsp is not stapled: it has expired")
        #expect(try status(server, "-tls1_3").contains("no response sent"))
        try authority.writeResponse(about: issued, to: "it.ocsp")
        try eventually("Cert Status: good", server)
    }
}
