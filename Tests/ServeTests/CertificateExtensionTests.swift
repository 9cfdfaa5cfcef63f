import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// What upstreams are told of certificates by the PROXY protocol, version 2, read by those who have nothing of Baton's.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct CertificateExtensionTests {
    private let authority: OpenSSLAuthority
    private let client: OpenSSLAuthority.Issued

    init() throws {
        authority = try OpenSSLAuthority()
        client = try authority.issue(
            "device-17", names: "DNS:device-17.example.org,URI:spiffe://example.org/ns/prod/device-17,IP:192.0.2.17")
    }

    private func server(_ upstream: Int, _ settings: String, routes: String = "all: {target: told}") throws -> Server {
        let own = try authority.issue("localhost")
        return try Server([
            "--config",
            try authority.write(
                """
                listeners:
                  main:
                    address: 127.0.0.1:0
                    client-auth: request
                    client-ca: \(authority.certificate)
                upstreams:
                  told:
                    addresses: 127.0.0.1:\(upstream)
                    proxy-protocol: v2
                    \(settings)
                routes: {\(routes)}
                certificates: {c: {chain: \(own.certificate), key: \(own.key)}}
                """, "baton.yaml"),
        ])
    }

    private func curl(_ server: Server, shows: OpenSSLAuthority.Issued?, path: String = "/") throws -> String {
        let shown = shows.map { ["--cert", $0.certificate, "--key", $0.key] } ?? []
        let curl = try PeerProcess(
            ["curl", "-sk", "--noproxy", "*", "--max-time", "60"] + shown + ["https://localhost:\(server.port)\(path)"])
        try curl.expect(nil)
        return curl.text
    }

    @Test("haproxy takes a header with everything in it, and nginx one that it has room for")
    func proxies() throws {
        let (haproxy, haproxyPort) = try HAProxy.start(in: authority.files) { port in
            """
            frontend told
              bind 127.0.0.1:\(port) accept-proxy
              http-request return status 200 content-type text/plain lf-string "src=%[src] authority=%[fc_pp_authority]\\n"
            """
        }
        let all = try server(
            haproxyPort,
            "proxy-protocol-tlvs: [alpn, authority, ssl, unique-id, cert-sig, cert-key, client-cert, client-names]")
        #expect(try curl(all, shows: client) == "src=127.0.0.1 authority=localhost\n")
        let (nginx, nginxPort) = try Nginx.start(in: authority.files) { port in
            """
            listen 127.0.0.1:\(port) proxy_protocol;
            location / { return 200 "src=$proxy_protocol_addr\\n"; }
            """
        }
        #expect(
            try curl(try server(nginxPort, "proxy-protocol-tlvs: [alpn, authority]"), shows: client)
                == "src=127.0.0.1\n")
        withExtendedLifetime((haproxy, nginx)) {}
    }
}
