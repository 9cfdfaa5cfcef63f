import Foundation
import StockPeers
import Testing

/// OCSP responses that the server fetches by itself, from `openssl ocsp` and from responders that are no good.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct StapleFetchTests {
    private let authority: OpenSSLAuthority

    init() throws { authority = try OpenSSLAuthority() }

    private func issue(_ name: String, at url: String, more: [String] = []) throws -> OpenSSLAuthority.Issued {
        try authority.issue(name, extensions: ["authorityInfoAccess=OCSP;URI:\(url)"] + more)
    }

    private func configuration(_ certificates: [(String, OpenSSLAuthority.Issued)], kept: String) throws -> String {
        let list = try certificates.map { name, issued in
            "  \(name): {chain: \(try authority.chain(issued)), key: \(issued.key), ocsp: fetch}\n"
        }.joined()
        return try authority.write(
            """
            listeners: {main: {address: "127.0.0.1:0"}}
            routes: {echo: {target: echo}}
            ocsp-directory: \(authority.path(kept))
            certificates:
            \(list)
            """, kept + ".yaml")
    }

    private func status(_ server: Server, _ name: String) throws -> String {
        try OpenSSLClient(server.port, name: name, ["-status", "-CAfile", authority.certificate]).text
    }

    @Test(
        "a response is fetched and kept, so that a restart and an upgrade staple at once though the responder is gone")
    func kept() throws {
        let port = try authority.responder().port
        let issued = try issue("it.test", at: "http://127.0.0.1:\(port)/", more: ["tlsfeature=status_request"])
        let file = try configuration([("it", issued)], kept: "kept")
        var responder: PeerProcess? = try authority.responder(port: port).process
        do {
            let server = try Server(["--config", file, "--log-level", "info"], workers: 1)
            try server.log("an OCSP response was fetched")
            #expect(try status(server, "it.test").contains("Cert Status: good"))
        }
        #expect(responder?.isRunning == true)
        responder = nil
        let server = try Server(["--config", file], workers: 1)
        #expect(try status(server, "it.test").contains("Cert Status: good"))
        _ = try server.upgrade()
        #expect(try status(server, "it.test").contains("Cert Status: good"))
        #expect(!server.logged.contains("needs care"), "\(server.logged)")
        let command = try PeerProcess([try BuiltProgram.path("baton"), "certificates", "--control", server.control])
        try command.expect("good until 20")
    }

    @Test(
        "a certificate that is revoked has no response, and the log says so once, with what that means for clients")
    func revoked() throws {
        let port = try authority.responder().port
        let url = "http://127.0.0.1:\(port)/"
        let revoked = try issue("revoked.test", at: url, more: ["tlsfeature=status_request"])
        try authority.revoke(revoked)
        let responder = try authority.responder(port: port).process
        let server = try Server(
            ["--config", try configuration([("r", revoked)], kept: "revoked")], workers: 1)
        try server.log("says that the certificate is revoked; replace it")
        #expect(server.logged.contains("must-staple"), "\(server.logged)")
        #expect(try status(server, "revoked.test").contains("no response sent"))
        #expect(responder.isRunning)
    }

    /// Answers by the path that it is asked for.
    private static let badResponder = """
        import http.server, sys, threading
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                kind = self.path.strip("/")
                if kind == "slow": threading.Event().wait()
                if kind == "hangup": return self.connection.close()
                body = {"garbage": b"no DER", "huge": bytes(70000), "error": bytes([0x30, 3, 0x0a, 1, 3])}.get(kind, b"")
                self.send_response({"missing": 404, "redirect": 302}.get(kind, 200))
                if kind == "redirect": self.send_header("Location", "/garbage")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *rest): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print("PORT", server.server_address[1], flush=True)
        server.serve_forever()
        """

    @Test("whatever a responder does, connections are served, and the log says once what is wrong")
    func bad() throws {
        let responder = try PeerProcess(["python3", "-c", Self.badResponder])
        let port = try responder.number(behind: "PORT ")
        let wrong = [
            ("garbage", "it is no OCSP response in DER"), ("huge", "its answer is longer than 64 KiB"),
            ("missing", "HTTP status 404"), ("redirect", "HTTP status 302"), ("hangup", "without an answer"),
            ("error", "its responder answered with an error"), ("slow", "it has not answered in time"),
        ]
        var certificates = try wrong.map { kind, _ in
            (kind, try issue("\(kind).test", at: "http://127.0.0.1:\(port)/\(kind)"))
        }
        certificates.append(("absent", try issue("absent.test", at: "http://127.0.0.1:1/")))
        certificates.append(("secure", try issue("secure.test", at: "https://127.0.0.1:1/")))
        let server = try Server(["--config", try configuration(certificates, kept: "bad")], workers: 1)
        try server.log("names no OCSP responder at http://")
        for (kind, words) in wrong + [("absent", "it cannot be reached: Connection refused")] {
            try server.log(words)
            let text = try status(server, "\(kind).test")
            #expect(text.contains("no response sent") && text.contains("New, TLSv1.3"), "\(text)")
        }
        // Those that fail at once have been asked again by now.
        #expect(server.logged.components(separatedBy: "it is no OCSP response").count == 2, "\(server.logged)")
    }
}
