import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// Connections that are to meet at one address of an upstream.
@Suite(.timeLimit(.minutes(5)))
struct AffinityTests {
    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    /// A relay that says its name to each request.
    private func relay(_ name: String) throws -> (process: PeerProcess, port: Int) {
        let relay = try PeerProcess(["python3", "-c", Self.relayText, name])
        return (relay, try relay.number(behind: "PORT "))
    }

    private func server(_ ports: [Int]) throws -> Server {
        let addresses = ports.map { "\"127.0.0.1:\($0)\"" }.joined(separator: ", ")
        let path = try files.write(
            """
            listeners:
              main: {address: "127.0.0.1:0"}
            upstreams:
              relay: {addresses: [\(addresses)]}
            routes:
              relay: {target: relay, affinity: query:token}

            """, "\(UUID()).yaml")
        return try Server(["--config", path])
    }

    /// Which relay answers, for each token.
    private func answers(_ server: Server, _ tokens: [String]) throws -> [String: String] {
        var found: [String: String] = [:]
        for token in tokens {
            let curl = try PeerProcess(
                [
                    "curl", "-sk", "--noproxy", "*", "--max-time", "60",
                    "https://127.0.0.1:\(server.port)/x?a=b&token=\(token)",
                ])
            try curl.expect(nil)
            found[token] = curl.text
        }
        return found
    }

    @Test(
        "the same value comes to the same relay, by every server, through an upgrade, and while another relay is down")
    func meets() throws {
        var relays = try ["one", "two", "three"].map { try relay($0) }
        let ports = relays.map(\.port)
        let tokens = (0..<12).map { "token\($0)" }
        let (first, second) = (try server(ports), try server(ports.reversed()))
        let chosen = try answers(first, tokens)
        #expect(chosen.values.allSatisfy { ["one", "two", "three"].contains($0) })
        #expect(Set(chosen.values).count > 1)
        #expect(try answers(second, tokens) == chosen)
        try first.upgrade()
        #expect(try answers(first, tokens) == chosen)
        // Without a value the first address is the first.
        let none = try answers(first, [""])
        #expect(none == ["": "one"])
        let gone = try #require(chosen[tokens[0]])
        relays.removeAll { $0.process.text.contains("NAME \(gone)\n") }
        #expect(relays.count == 2)
        let now = try answers(first, tokens)
        #expect(try answers(second, tokens) == now)
        for token in tokens where chosen[token] != gone { #expect(now[token] == chosen[token]) }
        #expect(now[tokens[0]] != gone)
    }

    @Test(
        "baton check says what an affinity can be",
        arguments: [
            (
                "target: relay, affinity: cookie",
                "routes.r.affinity: 'cookie' is not allowed; it must be source, server-name, query:NAME, or none"
            ),
            (
                "target: relay, affinity: \"query:\"",
                "routes.r.affinity: 'query:' is not allowed; it must be source, server-name, query:NAME, or none"
            ),
            (
                "target: hello, affinity: query:t",
                "routes.r.affinity: query:t chooses among the addresses of an upstream"
            ),
            ("target: relay, afinity: query:t", "routes.r.affinity"),
        ])
    func check(route: String, message: String) throws {
        let path = try files.write(
            """
            listeners: {main: {address: "127.0.0.1:0"}}
            upstreams: {relay: {addresses: ["127.0.0.1:1", "127.0.0.1:2"]}}
            routes: {r: {\(route)}}

            """, "baton.yaml")
        let check = try PeerProcess([try BuiltProgram.path("baton"), "check", "--config", path])
        try check.expect(message)
        try check.expect(nil)
        #expect(check.status != 0)
    }

    private static let relayText = """
        import http.server, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header('Content-Length', str(len(sys.argv[1])))
                self.end_headers()
                self.wfile.write(sys.argv[1].encode())
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        print('NAME', sys.argv[1], flush=True)
        print('PORT', server.server_port, flush=True)
        server.serve_forever()
        """
}
