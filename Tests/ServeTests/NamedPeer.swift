import StockPeers

/// An HTTP/1.1 server in Python that answers with its name, and to `/check` with a status that can be changed.
final class NamedPeer {
    let name: String
    let port: Int
    private let process: PeerProcess

    /// - Parameters:
    ///   - host: its address.
    ///   - port: 0: a free one.
    init(_ name: String, host: String = "127.0.0.1", port: Int = 0) throws {
        self.name = name
        process = try PeerProcess(["python3", "-c", Self.text, name, host, "\(port)"])
        self.port = try process.number(behind: "PORT ")
    }

    /// What it answers to checks from now on.
    func setStatus(_ status: Int) throws {
        try process.send("\(status)\n")
        try process.expect("STATUS \(status)")
    }

    private static let text = """
        import http.server, sys, threading
        name, status, ended = sys.argv[1], 200, threading.Event()
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            def log_message(self, *_): pass
            def do_GET(self):
                if self.path == '/stream':
                    self.send_response(200)
                    self.end_headers()
                    # Bytes all the time, at a pace that the client's output can keep: nothing is waited for but the end.
                    while not ended.wait(0.02): self.wfile.write(b'more ')
                    return
                body = (name + ' END\\n').encode()
                self.send_response(status if self.path == '/check' else 200)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)
        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True
        server = Server((sys.argv[2], int(sys.argv[3])), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print('PORT', server.server_port, flush=True)
        for line in sys.stdin:
            status = int(line)
            print('STATUS', status, flush=True)
        ended.set()
        """
}

/// A client that holds a connection, and asks again whenever it is told to.
final class HoldingClient {
    private let process: PeerProcess
    private var asked = 0

    init(_ port: Int) throws {
        process = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-quiet", "-nocommands"])
    }

    /// Asks once, and waits for the answer.
    ///
    /// - Returns: whose it is.
    @discardableResult
    func ask() throws -> String {
        asked += 1
        try process.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try process.expect("END\n", count: asked)
        let lines = process.text.split(whereSeparator: \.isNewline)
        return lines.last { $0.hasSuffix(" END") }.map { String($0.dropLast(4)) } ?? ""
    }

    /// Has the answers go on for ever.
    func stream() throws {
        try process.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        try process.expect("more more")
    }

    /// Waits until the connection is over.
    func end() throws { try process.expect(nil) }

    var isRunning: Bool { process.isRunning }
}
