import BatonConfiguration
import Foundation
import StockPeers
import TLSRecords
import Testing

/// Where connections go, and how the upstream is reached.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct UpstreamTests {
    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    /// A server with this configuration behind its control socket and listener.
    private func server(_ configuration: String) throws -> Server {
        try Server(
            [
                "--config",
                try files.write("listeners:\n  main:\n    address: 127.0.0.1:0\n" + configuration, "baton.yaml"),
            ])
    }

    @Test(
        "an upstream is reached over IPv4, IPv6, by name and over a Unix socket, after an address where nobody listens",
        arguments: ["127.0.0.1", "::1", "localhost", "unix"])
    func addresses(_ kind: String) throws {
        let path = files.path("upstream.sock")
        let upstream = try PeerProcess(["python3", "-c", Self.echoText, kind == "unix" ? path : kind])
        let port = try upstream.number(behind: "PORT ")
        let address = kind == "unix" ? "unix:\(path)" : kind == "::1" ? "[::1]:\(port)" : "\(kind):\(port)"
        let server = try server(
            "upstreams:\n  web:\n    addresses: [\"127.0.0.1:\(try Wire.freePort())\", \"\(address)\"]\nmove-every: 2\n"
        )
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        _ = try server.waitUntil { $0.moves.handoff > 3 }
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test(
        "TLS to an upstream is verified by its authority and its name, anew for each connection",
        arguments: ["localhost", "other.example"])
    func verified(name: String) throws {
        let roots = try Credentials.shared.rootsFile(in: files)
        let (upstream, port) = try StockPeer.server(.openssl, .tls13, certificate: "p256", in: files, ["-www"])
        defer { withExtendedLifetime(upstream) {} }
        let server = try server(
            """
            upstreams:
              web:
                addresses: 127.0.0.1:\(port)
                tls: true
                tls-ca: \(roots)
                tls-name: \(name)

            """)
        for _ in 0..<2 {
            let curl = try PeerProcess(["curl", "-sk", "--max-time", "60", "https://127.0.0.1:\(server.port)/"])
            try curl.expect(nil)
            if name == "localhost" {
                #expect(curl.text.contains("New, TLSv1.3"), "\(curl.text)")
            } else {
                #expect(curl.text.isEmpty, "\(curl.text)")
                try server.log("the upstream cannot be reached")
            }
        }
    }

    @Test(
        "the server name and the first request choose the target: the page, an echo, or a program that was started before"
    )
    func routes() throws {
        let path = files.path("handoff")
        let worker = try PeerProcess(["stdbuf", "-oL", try BuiltProgram.path("Worker"), "worker", path])
        try worker.expect("waits for connections")
        let server = try server(
            """
            routes:
              program: { path: /program, target: "worker:\(path)" }
              echo: { server-names: [echo.example], target: echo }
              page: { target: hello }

            """)
        func get(_ url: String, _ arguments: [String] = []) throws -> String {
            let curl = try PeerProcess(["curl", "-sk", "--max-time", "60"] + arguments + [url])
            try curl.expect(nil)
            return curl.text
        }
        let base = "https://127.0.0.1:\(server.port)"
        #expect(try get("\(base)/elsewhere").contains("This connection is alive"))
        #expect(
            try get("\(base)/program/a", ["\(base)/program/b"]).components(separatedBy: "process \(worker.processID)")
                .count
                == 3)
        let echo = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-servername", "echo.example", "-quiet"]
                + ["-nocommands"])
        try echo.send("comes back\n")
        try echo.expect("comes back")
    }

    @Test("a connection that its program does not take keeps no other from moving in an upgrade")
    func absentProgram() throws {
        let server = try server(
            """
            workers: 1
            routes:
              program: { server-names: [program.example], path: /program, target: "worker:\(files.path("nobody"))" }
              echo: { target: echo }

            """)
        let clients = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try clients.expect("STARTED") }
        let waiting = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-servername", "program.example", "-quiet"]
                + ["-nocommands"])
        try waiting.send("GET /program HTTP/1.1\r\n\r\n")
        let before = try server.waitUntil { $0.connections == 5 }
        let upgrade = try PeerProcess([try BuiltProgram.path("baton"), "upgrade", "--control", server.control])
        _ = try server.waitUntil { $0.front != before.front && $0.connections == 4 }
        // It is closed half a minute after it came; the others did not wait for that.
        #expect(waiting.isRunning && upgrade.isRunning)
        try clients.endInput()
        try clients.expect("WHOLE 4 of 4")
    }

    private static let echoText = """
        import socket, sys, threading
        where = sys.argv[1]
        if where.startswith('/'):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(where)
            listener.listen()
        elif where == '::1':
            listener = socket.create_server(('::1', 0), family=socket.AF_INET6)
        else:
            listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', 0 if where.startswith('/') else listener.getsockname()[1], flush=True)
        def serve(s):
            with s:
                while True:
                    piece = s.recv(65536)
                    if not piece: return
                    s.sendall(piece)
        while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        """
}
