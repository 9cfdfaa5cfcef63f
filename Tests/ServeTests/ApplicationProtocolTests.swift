import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// ALPN on both sides of the proxy.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ApplicationProtocolTests {
    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    /// A real nginx with TLS, which says what it speaks.
    private func nginx(http2: Bool) throws -> (process: PeerProcess, port: Int) {
        let issued = try Credentials.shared.write("p256", in: files)
        return try Nginx.start(in: files) { port in
            """
            listen 127.0.0.1:\(port) ssl\(http2 ? " http2" : "");
            ssl_certificate \(issued.certificate);
            ssl_certificate_key \(issued.key);
            location / { return 200 "$server_protocol $ssl_alpn_protocol\\n"; }
            """
        }
    }

    private func server(_ port: Int, _ protocols: [String]) throws -> Server {
        try Server(
            ["--upstream", "127.0.0.1:\(port)", "--upstreams.default.tls", "true", "--upstreams.default.tls-ca"]
                + [try Credentials.shared.rootsFile(in: files), "--move-every", "1"]
                + protocols.flatMap { ["--listeners.default.alpn", $0] })
    }

    private func curl(_ server: Server, _ flags: [String]) throws -> String {
        let curl = try PeerProcess(
            ["curl", "-sk", "--noproxy", "*", "--max-time", "60"] + flags + ["https://127.0.0.1:\(server.port)/"])
        try curl.expect(nil)
        return curl.text
    }

    @Test("what the client has agreed on is offered to a TLS upstream")
    func offered() throws {
        let upstream = try nginx(http2: true)
        let server = try server(upstream.port, ["h2", "http/1.1"])
        #expect(try curl(server, ["--http2"]) == "HTTP/2.0 h2\n")
        #expect(try curl(server, ["--http1.1"]) == "HTTP/1.1 http/1.1\n")
        #expect(try curl(server, ["--http1.1", "--no-alpn"]) == "HTTP/1.1 \n")
    }

    @Test("an upstream that does not speak it is not used, and the log says what to do")
    func refused() throws {
        let upstream = try nginx(http2: false)
        let server = try server(upstream.port, ["h2", "http/1.1"])
        #expect(try curl(server, ["--http2"]).isEmpty)
        try server.log("the upstream cannot be reached")
        #expect(try curl(server, ["--http1.1"]) == "HTTP/1.1 http/1.1\n")
    }
}
