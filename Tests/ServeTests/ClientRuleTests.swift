import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// Who is let in by its certificate: rules of listeners and routes, with clients and certificates of OpenSSL's.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ClientRuleTests {
    private let authority: OpenSSLAuthority
    private let own: OpenSSLAuthority.Issued

    init() throws {
        authority = try OpenSSLAuthority("Example CA")
        own = try authority.issue("localhost")
    }

    private func configuration(_ listener: String, routes: String = "echo: {target: echo}") throws -> String {
        try authority.write(
            """
            listeners:
              main:
                address: 127.0.0.1:0
                client-auth: require
                client-ca: \(authority.certificate)
                \(listener)
            routes: {\(routes)}
            certificates: {c: {chain: \(own.certificate), key: \(own.key)}}
            """, "baton.yaml")
    }

    private func client(
        _ server: Server, _ issued: OpenSSLAuthority.Issued, _ arguments: [String] = []
    ) throws -> OpenSSLClient {
        try OpenSSLClient(
            server.port, name: "localhost", says: "comes-back-7",
            ["-cert", issued.certificate, "-key", issued.key] + arguments)
    }

    private func isDenied(_ client: OpenSSLClient) -> Bool {
        !client.isAnswered && client.text.contains("alert number 49")
    }

    @Test(
        "who is allowed by a name, a key or an issuer is let in, and all others are told access_denied",
        arguments: ["-tls1_2", "-tls1_3"])
    func names(version: String) throws {
        let prod = try authority.issue("a", names: "URI:spiffe://example.org/ns/prod/a")
        let dev = try authority.issue("b", names: "URI:spiffe://example.org/ns/dev/b")
        let mallory = try authority.issue("mallory", names: "URI:spiffe://example.org/ns/prod/m")
        let host = try authority.issue("c", names: "DNS:c.clients.example.org")
        let deep = try authority.issue("d", names: "DNS:d.d.clients.example.org")
        let address = try authority.issue("e", names: "IP:192.0.2.7")
        let pinned = try authority.issue("mallory", names: "email:f@example.org")
        let pin = try PeerProcess([
            "sh", "-c",
            "openssl x509 -in '\(pinned.certificate)' -noout -pubkey | openssl pkey -pubin -outform der "
                + "| openssl dgst -sha256 -binary | base64",
        ])
        try pin.expect(nil)
        let server = try Server([
            "--config",
            try configuration(
                """
                client-rules:
                      - allow uri:spiffe://example.org/ns/prod/*
                      - deny cn:mallory
                      - allow dns:*.clients.example.org
                      - allow ip:192.0.2.0/24
                      - allow spki:sha256/\(pin.text.trimmingCharacters(in: .whitespacesAndNewlines))
                """),
        ])
        for issued in [prod, host, address, pinned] {
            let client = try client(server, issued, [version])
            #expect(client.isAnswered, "\(client.text)")
        }
        for issued in [dev, mallory, deep] {
            let client = try client(server, issued, [version])
            #expect(isDenied(client), "\(client.text)")
        }
        try server.log("reason=client-rules: no rule allows it subject='CN=b'")
        let report = try server.waitUntil { $0.refused?["client_rules"] == 3 }
        #expect(report.refused?["client_rules"] == 3)
        let none = try OpenSSLClient(server.port, says: "comes-back-7", [version])
        #expect(!none.isAnswered, "\(none.text)")
    }

    @Test(
        "a reload that tightens the rules holds for those who resume a session, and leaves connections that are there",
        arguments: ["-tls1_2", "-tls1_3"])
    func tightened(version: String) throws {
        let issued = [try authority.issue("alice"), try authority.issue("bob")]
        let tickets = ["alice", "bob"].map { authority.path("\($0).ticket") }
        let server = try Server(["--config", try configuration("client-rules: 'allow issuer:CN=Example CA'")])
        for (issued, ticket) in zip(issued, tickets) {
            let first = try client(server, issued, [version, "-sess_out", ticket])
            #expect(first.isAnswered && !first.isResumed, "\(first.text)")
            let second = try client(server, issued, [version, "-sess_in", ticket])
            #expect(second.isAnswered && second.isResumed, "\(second.text)")
        }
        let there = try PeerProcess([
            "openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-cert", issued[1].certificate, "-key",
            issued[1].key, "-quiet", "-nocommands",
        ])
        try there.send("before\n")
        try there.expect("before\n")
        _ = try configuration("client-rules: ['allow issuer:CN=Example CA', deny cn:bob]")
        try server.reload()
        let alice = try client(server, issued[0], [version, "-sess_in", tickets[0]])
        #expect(alice.isAnswered && alice.isResumed, "\(alice.text)")
        let bob = try client(server, issued[1], [version, "-sess_in", tickets[1]])
        #expect(isDenied(bob), "\(bob.text)")
        try there.send("after\n")
        try there.expect("after\n")
        // The rules are the front's, whichever it is.
        try server.upgrade()
        #expect(isDenied(try client(server, issued[1], [version])))
        try there.send("moved\n")
        try there.expect("moved\n")
    }

    @Test("a certificate whose names hide something is let in by nothing, whoever has signed it")
    func hiding() throws {
        func dns(_ bytes: [UInt8]) -> String {
            let names = [0x30, UInt8(bytes.count + 2), 0x82, UInt8(bytes.count)] + bytes
            return "DER:" + names.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined(separator: ":")
        }
        let plain = try authority.issue("plain", names: dns(Array("good.example".utf8)))
        let cut = try authority.issue("cut", names: dns(Array("good.example".utf8) + [0] + Array(".evil".utf8)))
        let unicode = try authority.issue("unicode", names: dns(Array("bücher.example".utf8)))
        let dots = try authority.issue("dots", names: "URI:spiffe://example.org/ns/prod/../dev")
        let both = try authority.issue("both", names: "DNS:good.example,URI:spiffe://example.org//x")
        let server = try Server([
            "--config",
            try configuration("client-rules: [allow any, allow dns:good.example, 'allow uri:spiffe://example.org/*']"),
        ])
        #expect(try client(server, plain).isAnswered)
        for issued in [cut, unicode, dots, both] {
            let client = try client(server, issued)
            #expect(isDenied(client), "\(issued.certificate): \(client.text)")
        }
        try server.log("reason=client-rules: its certificate is refused: ")
    }

    @Test(
        "more certificates between than allowed are refused, and so is a session that was begun when they were allowed")
    func depth() throws {
        let middle = try authority.issue("Middle", extensions: ["basicConstraints=critical,CA:TRUE"])
        let leaf = try authority.issue("leaf")
        let request = authority.path("again.csr")
        let certificate = authority.path("again.pem")
        for arguments in [
            ["req", "-new", "-key", leaf.key, "-subj", "/CN=leaf", "-out", request],
            [
                "x509", "-req", "-in", request, "-CA", middle.certificate, "-CAkey", middle.key, "-set_serial", "7",
                "-days", "30", "-out", certificate,
            ],
        ] {
            let process = try PeerProcess(["openssl"] + arguments)
            try process.expect(nil)
        }
        let issued = OpenSSLAuthority.Issued(certificate: certificate, key: leaf.key)
        let chain = ["-cert_chain", middle.certificate]
        let server = try Server(["--config", try configuration("client-verify-depth: 1")])
        let first = try client(server, issued, chain + ["-sess_out", authority.path("ticket")])
        #expect(first.isAnswered, "\(first.text)")
        _ = try configuration("client-verify-depth: 0")
        try server.reload()
        for arguments in [chain, chain + ["-sess_in", authority.path("ticket")]] {
            let refused = try client(server, issued, arguments)
            #expect(
                !refused.isAnswered && !refused.isResumed && refused.text.contains("alert number"), "\(refused.text)")
        }
        #expect(try client(server, leaf).isAnswered)
    }

    @Test("a route lets in whom its rules allow: by a 403 where the first request chooses it, else in TLS")
    func routes() throws {
        let alice = try authority.issue("alice")
        let bob = try authority.issue("bob")
        let routes = """
            admin: {path: /admin, target: hello, client-rules: [allow cn:alice]}, \
            named: {server-names: [alice.example], target: echo, client-rules: [allow cn:alice]}, \
            rest: {target: hello}
            """
        let server = try Server(["--config", try configuration("client-rules: [allow any]", routes: routes)])
        func get(_ path: String, _ issued: OpenSSLAuthority.Issued) throws -> String {
            let curl = try PeerProcess([
                "curl", "-sk", "--noproxy", "*", "--max-time", "60", "--cert", issued.certificate, "--key", issued.key,
                "-o", "/dev/null", "-w", "STATUS %{http_code}", "https://127.0.0.1:\(server.port)\(path)",
            ])
            try curl.expect(nil)
            return curl.text
        }
        for (issued, path, status) in [(alice, "/admin", 200), (bob, "/admin", 403), (bob, "/", 200)] {
            let answer = try get(path, issued)
            #expect(answer.contains("STATUS \(status)"), "\(answer)")
        }
        func named(_ issued: OpenSSLAuthority.Issued) throws -> OpenSSLClient {
            try OpenSSLClient(
                server.port, name: "alice.example", says: "comes-back-7",
                ["-cert", issued.certificate, "-key", issued.key])
        }
        #expect(try named(alice).isAnswered)
        #expect(isDenied(try named(bob)))
        try server.log("routes.named.client-rules: no rule allows it")
        // One that has not asked yet was judged by rules that do not hold any more when it asks.
        let waiting = try PeerProcess([
            "openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-cert", alice.certificate, "-key",
            alice.key,
            "-quiet", "-nocommands",
        ])
        _ = try server.waitUntil { $0.workers.reduce(0) { $0 + $1.connections } == 1 }
        _ = try configuration(
            "client-rules: [allow any]", routes: routes.replacing("allow cn:alice", with: "allow cn:bob"))
        try server.reload()
        try waiting.send("GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")
        try waiting.expect("403 Forbidden")
        #expect(try get("/admin", bob).contains("STATUS 200"))
        #expect(try get("/admin", alice).contains("STATUS 403"))
    }
}
