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

    @Test("Varnish reads who the client is, and by what certificate it was answered")
    func varnish() throws {
        let script = try authority.write(
            """
            vcl 4.1;
            import proxy;
            backend none none;
            sub vcl_recv { return (synth(200)); }
            sub vcl_synth {
                set resp.body = "cn=" + proxy.client_cert_cn() + " verify=" + proxy.ssl_verify_result()
                    + " cert=" + proxy.client_has_cert_conn() + " version=" + proxy.ssl_version()
                    + " cipher=" + proxy.ssl_cipher() + " sign=" + proxy.cert_sign() + " key=" + proxy.cert_key();
                return (deliver);
            }
            """, "told.vcl")
        let port = Int(try Wire.freePort())
        let process = try PeerProcess([
            "varnishd", "-F", "-j", "none", "-n", authority.path("varnish"), "-a", "127.0.0.1:\(port),PROXY", "-f",
            script,
            "-s", "malloc,16m", "-p", "thread_pools=1", "-p", "thread_pool_min=10", "-p", "thread_pool_max=20",
        ])
        try Listening.await(port, process)
        let server = try server(
            port, "proxy-protocol-tlvs: [authority, ssl, cert-sig, cert-key, client-names]")
        let told = try curl(server, shows: client)
        #expect(told.contains("cn=device-17 verify=0 cert=true version=TLSv1.3 cipher=TLS_AES_"), "\(told)")
        #expect(told.contains("sign=ecdsa-with-SHA256 key=EC256"), "\(told)")
        let nobody = try curl(server, shows: nil)
        #expect(nobody.contains("cn= ") && nobody.contains("cert=false version=TLSv1.3"), "\(nobody)")
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

    @Test(
        "the client's certificate and its names come as they are, of a session that goes on too, and by a route of the request",
        arguments: ["all: {target: told}", "a: {path: /a, target: told}, all: {target: hello}"])
    func whole(routes: String) throws {
        let upstream = try PeerProcess(["python3", "-c", Self.readingText])
        let server = try server(
            try upstream.number(behind: "PORT "),
            "proxy-protocol-tlvs: [ssl, client-cert, client-names]\n    proxy-protocol-names-type: 239",
            routes: routes)
        let digest = try PeerProcess(["sh", "-c", "openssl x509 -in '\(client.certificate)' -outform der | sha256sum"])
        try digest.expect(nil)
        let names =
            "['URI:spiffe://example.org/ns/prod/device-17', 'DNS:device-17.example.org', 'IP:192.0.2.17']"
        let told = "cert=\(digest.text.prefix(64)) names=\(names)"
        let ticket = authority.path("ticket")
        for (turn, arguments) in [["-sess_out", ticket], ["-sess_in", ticket]].enumerated() {
            let process = try PeerProcess(
                [
                    "openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-servername", "localhost", "-cert",
                    client.certificate, "-key", client.key, "-quiet", "-no_ign_eof",
                ] + arguments)
            try process.send("GET /a HTTP/1.1\nHost: a\n\n")
            try process.expect("200 OK")
            try process.endInput()
            try process.expect(nil)
            // PP2_CLIENT_CERT_CONN is not said of a session that goes on.
            try upstream.expect("TOLD flags=\(turn == 0 ? 7 : 5) \(told)")
        }
        _ = try curl(server, shows: nil, path: "/a")
        try upstream.expect("TOLD flags=1 cert=None names=[]")
    }

    /// Reads headers of version 2 and says what they tell of the client's certificate; answers HTTP.
    private static let readingText = """
        import hashlib, socket, struct
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        def fields(data):
            while data:
                kind, length = struct.unpack('!BH', data[:3])
                yield kind, data[3:3 + length]
                data = data[3 + length:]
        while True:
            with listener.accept()[0] as s:
                f = s.makefile('rb')
                head = f.read(16)
                body = f.read(struct.unpack('!H', head[14:])[0])
                told = list(fields(body[12:]))
                tls = dict(told)[0x20]
                der = dict(fields(tls[5:])).get(0x28)
                names = [value.decode() for kind, value in told if kind == 0xEF]
                print('TOLD flags=%s cert=%s names=%s' % (tls[0], der and hashlib.sha256(der).hexdigest(), names), flush=True)
                while f.readline().strip(): pass
                s.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n')
                f.close()
        """
}
