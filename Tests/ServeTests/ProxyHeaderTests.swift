import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// The PROXY protocol with haproxy on either side, and what it tells.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ProxyHeaderTests {
    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    /// A haproxy that expects the header, then TLS if `isTLS`, and says what it was told.
    private func haproxy(isTLS: Bool) throws -> (process: PeerProcess, port: Int) {
        let pem = try Credentials.shared.write("p256", in: files).both
        return try HAProxy.start(in: files) { port in
            """
            frontend told
              bind 127.0.0.1:\(port) accept-proxy \(isTLS ? "ssl crt \(pem) alpn h2,http/1.1" : "")
              http-request return status 200 content-type text/plain lf-string "src=%[src] dst=%[dst] authority=%[fc_pp_authority] id=%[fc_pp_unique_id] alpn=%[ssl_fc_alpn] version=%[req.ver]\\n"
            """
        }
    }

    private func server(_ upstream: Int, tls: Bool, version: String, _ more: [String]) throws -> Server {
        try Server(
            ["--upstream", "127.0.0.1:\(upstream)", "--upstreams.default.proxy-protocol", version]
                + (tls ? ["--upstreams.default.tls", "true", "--upstreams.default.tls-verify", "false"] : []) + more)
    }

    private func curl(_ url: String, _ more: [String] = []) throws -> String {
        let curl = try PeerProcess(["curl", "-sk", "--noproxy", "*", "--max-time", "60"] + more + [url])
        try curl.expect(nil)
        return curl.text
    }

    @Test(
        "the header comes first on the wire, before a TLS handshake too, and tells the server name",
        arguments: [true, false], ["v1", "v2"])
    func first(isTLS: Bool, version: String) throws {
        let upstream = try haproxy(isTLS: isTLS)
        let server = try server(upstream.port, tls: isTLS, version: version, ["--move-every", "1"])
        let told = try curl(
            "https://a.example:\(server.port)/",
            ["--resolve", "a.example:\(server.port):127.0.0.1", "--interface", "127.0.0.3"])
        #expect(told.hasPrefix("src=127.0.0.3 dst=127.0.0.1 "), "\(told)")
        #expect(told.contains("authority=\(version == "v2" ? "a.example" : "") "), "\(told)")
    }

    @Test("the protocol that the client agrees on is the upstream's, behind the header", arguments: ["h2", "http/1.1"])
    func agreed(name: String) throws {
        let upstream = try haproxy(isTLS: true)
        let server = try server(
            upstream.port, tls: true, version: "v2",
            ["--listeners.default.alpn", "h2", "--listeners.default.alpn", "http/1.1"])
        let told = try curl("https://127.0.0.1:\(server.port)/", [name == "h2" ? "--http2" : "--http1.1"])
        #expect(told.contains("alpn=\(name)"), "\(told)")
    }

    @Test("the unique ID that haproxy gives to a connection is passed on")
    func uniqueID() throws {
        let upstream = try haproxy(isTLS: false)
        let server = try server(
            upstream.port, tls: false, version: "v2",
            ["--listeners.default.proxy-protocol", "v2", "--listeners.default.tls", "false"])
        let (balancer, port) = try HAProxy.start(in: files) { port in
            """
            frontend balancer
              bind 127.0.0.1:\(port)
              unique-id-format number-%[src_port]
              default_backend baton
            backend baton
              server baton 127.0.0.1:\(server.port) send-proxy-v2 proxy-v2-options unique-id
            """
        }
        let own = Int(try Wire.freePort())
        let told = try curl("http://127.0.0.1:\(port)/", ["--local-port", "\(own)"])
        #expect(told.contains("id=number-\(own) "), "\(told)")
        withExtendedLifetime((upstream.process, balancer)) {}
    }

    @Test(
        "the client's TLS and its certificate are told, and whether the certificate is good", arguments: ["1.2", "1.3"])
    func security(version: String) throws {
        let upstream = try PeerProcess(["python3", "-c", Self.readingText])
        let server = try server(
            try upstream.number(behind: "PORT "), tls: false, version: "v2",
            [
                "--listeners.default.client-auth", "request", "--listeners.default.client-ca",
                try Credentials.shared.rootsFile(in: files), "--listeners.default.tls-versions", version,
            ])
        let client = try Credentials.shared.write("client", in: files)
        let shown = ["--cert", client.certificate, "--key", client.key]
        let address = "https://localhost:\(server.port)/"
        _ = try curl(address, shown)
        let flags = "2 localhost flags=7 verify=0 version=TLSv\(version) cn=device-17 cipher="
        try upstream.expect("TOLD " + flags)
        _ = try curl(address)
        try upstream.expect("TOLD 2 localhost flags=1 verify=1 version=TLSv\(version) cn=None cipher=")
    }

    @Test("an upstream is told no more than it is to know")
    func chosen() throws {
        let upstream = try PeerProcess(["python3", "-c", Self.readingText])
        let server = try server(
            try upstream.number(behind: "PORT "), tls: false, version: "v2",
            ["--upstreams.default.proxy-protocol-tlvs", "alpn"])
        _ = try curl("https://localhost:\(server.port)/")
        try upstream.expect("TOLD None None flags=None")
    }

    @Test("only those who are load balancers are believed")
    func networks() throws {
        let server = try Server(
            [
                "--upstream", "echo", "--listeners.default.tls", "false", "--listeners.default.proxy-protocol", "v1",
                "--listeners.default.proxy-protocol-from", "127.0.0.2", "--listeners.default.proxy-protocol-from",
                "10.0.0.0/8",
            ])
        let text = """
            import socket, sys
            for source in ('127.0.0.2', '127.0.0.3', '127.0.0.3', '127.0.0.2'):
                s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60, source_address=(source, 0))
                try:
                    s.sendall(b'PROXY TCP4 192.0.2.7 192.0.2.9 1 2\\r\\nhello')
                    print(source, s.recv(100), flush=True)
                except OSError: print(source, b'', flush=True)
            """
        let client = try PeerProcess(["python3", "-c", text, "\(server.port)"])
        try client.expect(nil)
        let answers = client.text.split(separator: "\n")
        #expect(answers == ["127.0.0.2 b'hello'", "127.0.0.3 b''", "127.0.0.3 b''", "127.0.0.2 b'hello'"])
        try server.log("it is not in proxy-protocol-from")
    }

    /// Reads headers of version 2 and says what they tell of the client's TLS; answers HTTP.
    private static let readingText = """
        import socket, struct
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        def fields(data):
            found = {}
            while data:
                kind, length = struct.unpack('!BH', data[:3])
                found[kind] = data[3:3 + length]
                data = data[3 + length:]
            return found
        def text(value): return value and value.decode()
        while True:
            with listener.accept()[0] as s:
                f = s.makefile('rb')
                head = f.read(16)
                body = f.read(struct.unpack('!H', head[14:])[0])
                told = fields(body[12:])
                tls = told.get(0x20)
                flags, verify = struct.unpack('!BI', tls[:5]) if tls else (None, None)
                inner = fields(tls[5:]) if tls else {}
                print('TOLD', len(told) or None, text(told.get(2)), 'flags=%s verify=%s' % (flags, verify),
                    'version=%s cn=%s cipher=%s' % tuple(text(inner.get(k)) for k in (0x21, 0x22, 0x23)), flush=True)
                while f.readline().strip(): pass
                s.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n')
        """
}
