import BatonConfiguration
import StockPeers

/// Every stock client at once, each with its upstream, through one server that proxies them all. Data goes both ways all
/// the time, and what comes back is compared by digest.
final class StockClients {
    let server: Server
    private let files: TemporaryFiles
    private let bytes: (process: PeerProcess, port: Int)
    private let web: WebUpstream
    private let nginx: NginxUpstream
    private var pipes: [(name: String, process: PeerProcess)] = []
    private let chromium: PeerProcess

    init(workers: Int, moveEvery: Int) throws {
        files = try TemporaryFiles()
        bytes = try Clients.upstream()
        web = try WebUpstream()
        nginx = try NginxUpstream(echo: web.port)
        let configuration = try files.write(
            """
            move-every: \(moveEvery)
            limits: {handshake-time: 5m}
            listeners:
              bytes: {address: "127.0.0.1:0"}
              web: {address: "127.0.0.1:0", alpn: [http/1.1]}
              h2: {address: "127.0.0.1:0", alpn: [h2]}
            routes:
              bytes: {listeners: [bytes], target: bytes}
              web: {listeners: [web], target: web}
              h2: {listeners: [h2], target: nginx}
            upstreams:
              bytes: {addresses: ["127.0.0.1:\(bytes.port)"]}
              web: {addresses: ["127.0.0.1:\(web.port)"]}
              nginx: {addresses: ["127.0.0.1:\(nginx.port)"]}
            """, "baton.yaml")
        server = try Server(["--config", configuration], workers: workers)
        let port = (bytes: try server.port("bytes"), web: try server.port("web"), h2: try server.port("h2"))
        let curl = ["curl", "-kN", "--no-progress-meter", "--noproxy", "*", "-H", "Expect:", "-T", "."]
        // The only way for it to say what it prints beside the data elsewhere.
        let log = "--logfile=\(files.path("gnutls.log"))"
        pipes = [
            (
                "s_client",
                try PipePeer.start(
                    ["openssl", "s_client", "-connect", "127.0.0.1:\(port.bytes)", "-quiet", "-nocommands"])
            ),
            (
                "gnutls-cli",
                try PipePeer.start(["gnutls-cli", "--insecure", log, "-p", "\(port.bytes)", "127.0.0.1"])
            ),
            ("Python ssl", try Clients.exchange(port.bytes)),
            ("curl", try PipePeer.start(curl + ["--http1.1", "https://127.0.0.1:\(port.web)/"])),
            ("curl HTTP/2", try PipePeer.start(curl + ["--http2", "https://127.0.0.1:\(port.h2)/echo"])),
            ("websockets", try WebSocketPeer.start(port: port.web)),
        ]
        chromium = try PeerProcess(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-proxy-server", "--no-first-run", "--ignore-certificate-errors", "--remote-debugging-port=0",
                "--user-data-dir=\(files.path("chromium"))", "https://127.0.0.1:\(port.web)/",
            ])
        for (name, process) in pipes { try named(name) { try process.expect("STARTED") } }
        try named("Chromium") { try web.process.expect("BROWSER STARTED") }
    }

    /// How many connections they have; one each, if none was lost and made anew.
    static let count = 7

    /// Lets each come to its end.
    ///
    /// - Throws: the name of one to which not every byte came back.
    func end() throws {
        for (name, process) in pipes {
            try process.endInput()
            try named(name) { try process.expect(name == "Python ssl" ? "WHOLE 1 of 1" : "SAME") }
        }
        try web.stopBrowser()
        try named("Chromium") {
            try web.process.expect("BROWSER SAME")
            guard !web.process.text.contains("BROWSER LOST") else { throw WireError("its WebSocket was closed") }
        }
    }

    private func named(_ name: String, _ body: () throws -> Void) throws {
        do { try body() } catch { throw WireError("\(name): \(error)") }
    }
}
