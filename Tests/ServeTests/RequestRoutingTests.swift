import BatonConfiguration
import Foundation
import StockPeers
import Testing

@testable import TLSRecords

/// Routes that depend on the first request: decided by its line, or not at all.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RequestRoutingTests {
    private let files: TemporaryFiles
    private let upstream: PeerProcess
    private let ports: (api: Int, rest: Int)

    init() throws {
        files = try TemporaryFiles()
        upstream = try PeerProcess(["python3", "-c", Self.upstreamText])
        ports = (try upstream.number(behind: "API "), try upstream.number(behind: "REST "))
    }

    private func server(tls: Bool, _ limits: String = "header-time: 10s") throws -> Server {
        let configuration = try files.write(
            """
            limits: {\(limits)}
            listeners:
              main: {address: "127.0.0.1:0", tls: \(tls)}
            upstreams:
              api: {addresses: "127.0.0.1:\(ports.api)"}
              rest: {addresses: "127.0.0.1:\(ports.rest)"}
            routes:
              api: {path: /api, target: api}
              rest: {target: rest}

            """, "baton.yaml")
        return try Server(["--config", configuration])
    }

    private func answer(_ server: Server, _ text: String) throws -> String {
        let wire = try Wire.connect(UInt16(server.port))
        try wire.write(Array(text.utf8))
        return try Self.all(wire)
    }

    private static func all(_ wire: Wire) throws -> String {
        var bytes: [UInt8] = []
        while case let more = try wire.read(), !more.isEmpty { bytes += more }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test("the line alone decides, in every form that it may have")
    func forms() throws {
        let server = try server(tls: false)
        let fields = "Host: a\r\n\r\n"
        let cases: [(String, String)] = [
            ("GET /api HTTP/1.1\r\n" + fields, "api"), ("GET /api/x?y HTTP/1.0\r\n\r\n", "api"),
            // Nothing but the line has come yet.
            ("GET /api HTTP/1.1\r\n", "api"),
            ("\r\n\r\nGET /api HTTP/1.1\r\n" + fields, "api"), ("GET /api HTTP/1.1\nHost: a\n\n", "api"),
            ("GET http://a/api HTTP/1.1\r\n" + fields, "api"), ("OPTIONS * HTTP/1.1\r\n" + fields, "rest"),
            ("CONNECT a:443 HTTP/1.1\r\n" + fields, "rest"), ("GET /apis HTTP/1.1\r\n" + fields, "rest"),
            // Paths are compared as they were sent.
            ("GET /%61pi HTTP/1.1\r\n" + fields, "rest"), ("GET /x/../api HTTP/1.1\r\n" + fields, "rest"),
            ("GET /api/../x HTTP/1.1\r\n" + fields, "api"),
            ("GET /api HTTP/1.1\r\nX: " + String(repeating: "x", count: 100_000) + "\r\n\r\n", "api"),
        ]
        for (text, name) in cases { #expect(try answer(server, text) == name, "\(text.prefix(60))") }
    }

    @Test("what is no request line is answered and closed, and no upstream sees it")
    func refused() throws {
        let server = try server(tls: false, "header-size: 1K, header-time: 10s")
        let cases: [(String, String)] = [
            ("EHLO mx.example\r\n", "HTTP/1.1 400 "), ("\u{16}\u{3}\u{1}", "HTTP/1.1 400 "),
            ("GET /api\r\n", "HTTP/1.1 400 "), ("GET /api FTP/1.0\r\n", "HTTP/1.1 400 "),
            ("GET /api?" + String(repeating: "x", count: 2_000) + " HTTP/1.1\r\n\r\n", "HTTP/1.1 414 "),
            (String(repeating: "\r\n", count: 600), "HTTP/1.1 414 "),
        ]
        for (text, status) in cases { #expect(try answer(server, text).hasPrefix(status), "\(text.prefix(60))") }
        let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
        let goAway: [UInt8] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13]
        #expect(Array(try answer(server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").utf8) == settings + goAway)
        #expect(try answer(server, "GET /api HTTP/1.1\r\n") == "api")
        #expect(upstream.text.components(separatedBy: "CONNECTION").count <= 2)
    }

    @Test("a line that takes too long is answered, and a connection that has said nothing yet goes on waiting")
    func slow() throws {
        let server = try server(tls: false, "header-time: 100ms")
        let opened = try Wire.connect(UInt16(server.port))
        // Both have been accepted by then, and this one has had longer than it may take for its line.
        let slow = try Wire.connect(UInt16(server.port))
        try slow.write(Array("GET /a".utf8))
        #expect(try Self.all(slow).hasPrefix("HTTP/1.1 408 "))
        try opened.write(Array("GET /api HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        #expect(try Self.all(opened) == "api")
    }

    @Test("a connection that says nothing is closed after the idle time, without an answer")
    func idle() throws {
        let server = try Server(
            [
                "--listeners.default.tls", "false", "--listeners.default.idle-time", "1s", "--routes.a.target", "echo",
                "--routes.a.path", "/a",
            ])
        #expect(try answer(server, "").isEmpty)
    }

    @Test("a connection that was opened ahead over TLS moves with an upgrade, and is routed when it speaks")
    func ahead() throws {
        let server = try server(tls: true)
        let client = try PeerProcess(["python3", "-c", Self.aheadText, "\(server.port)"])
        try client.expect("OPEN")
        _ = try server.waitUntil { $0.workers.reduce(0) { $0 + $1.connections } == 1 }
        try server.upgrade()
        try client.send("GET /a\n")
        // Half a line moves, too.
        try server.upgrade()
        try client.send("pi HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n")
        try client.expect("ANSWER api")
    }

    @Test(
        "a request that comes together with the end of its side is answered by the built-in page",
        arguments: [true, false])
    func withItsEnd(isRouted: Bool) throws {
        let routed = ["--routes.page.path", "/", "--routes.page.target", "hello"]
        let server = try Server(isRouted ? routed : [])
        let client = try PeerProcess(["python3", "-c", Self.endText, "\(server.port)"])
        try client.expect("ANSWER 3")
    }

    @Test("the page answers a client that asks and does not read no further than the buffer size, and all of it later")
    func pipelined() throws {
        let server = try Server(
            ["--listeners.default.tls", "false", "--limits.buffer-size", "64K"], workers: 1)
        let client = try PeerProcess(["python3", "-c", Self.pipelineText, "\(server.port)"])
        try client.expect("FULL")
        let asked = try client.number(behind: "FULL ")
        // What the server has read, it has answered, or holds; sockets and buffers hold a bounded part of both.
        #expect(asked < 200_000)
        try client.send("read\n")
        try client.expect("ANSWERS SAME")
    }

    @Test(
        "what comes at once with the line that decides goes to the echo, too, however much it is",
        arguments: [true, false])
    func muchBehindTheLine(tls: Bool) throws {
        let server = try Server([
            "--listeners.default.tls", "\(tls)", "--routes.e.target", "echo", "--routes.e.path", "/e",
            "--routes.rest.target", "hello",
        ])
        let text = Array("GET /e HTTP/1.1\r\n".utf8) + (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }
        guard !tls else {
            let peer = try ForgingPeer(port: server.port)
            try peer.send(
                stride(from: 0, to: text.count, by: 16_000).flatMap {
                    peer.record(.applicationData, Array(text[$0..<min($0 + 16_000, text.count)]))
                })
            try peer.receive(text.count)
            return #expect(peer.data == text)
        }
        let wire = try Wire.connect(UInt16(server.port))
        try wire.write(text)
        var answer: [UInt8] = []
        while answer.count < text.count, case let more = try wire.read(), !more.isEmpty { answer += more }
        #expect(answer == text)
    }

    /// Two upstreams, each of which answers whatever comes with its name and closes.
    private static let upstreamText = """
        import socket, sys, threading
        def serve(name):
            listener = socket.create_server(('127.0.0.1', 0))
            print(name.upper(), listener.getsockname()[1], flush=True)
            def answer(s):
                with s:
                    if not s.recv(65536): return
                    print('CONNECTION', flush=True)
                    s.sendall(name.encode())
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536): pass
            def accept():
                while True: threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
            threading.Thread(target=accept, daemon=True).start()
        serve('api')
        serve('rest')
        sys.stdin.read()
        """

    private static let aheadText = """
        import socket, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        s = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60))
        print('OPEN', flush=True)
        for _ in range(2): s.sendall(sys.stdin.readline().rstrip('\\n').encode().decode('unicode_escape').encode())
        print('ANSWER', s.recv(100).decode(), flush=True)
        """

    /// Asks three times and ends its side in one flight; counts the answers.
    private static let endText = """
        import socket, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        raw = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)
        while True:
            try: tls.do_handshake(); break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))
        tls.write(b'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' * 3)
        try: tls.unwrap()
        except ssl.SSLWantReadError: pass
        raw.sendall(outgoing.read())
        data = b''
        while True:
            got = raw.recv(65536)
            if not got: break
            incoming.write(got)
            try:
                while True:
                    piece = tls.read(65536)
                    if not piece: break
                    data += piece
            except ssl.SSLError: pass
        print('ANSWER', data.count(b'HTTP/1.1 200'), flush=True)
        """

    /// Asks until nothing more is taken, then reads the answers.
    private static let pipelineText = """
        import select, socket, sys
        s = socket.socket()
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF): s.setsockopt(socket.SOL_SOCKET, option, 16384)
        s.connect(('127.0.0.1', int(sys.argv[1])))
        s.setblocking(False)
        asked, request, rest = 0, b'HEAD / HTTP/1.1\\r\\n\\r\\n', b''
        # Nothing is taken for 2 s: the server does not read any more.
        while select.select([], [s], [], 2)[1]:
            if not rest: rest, asked = request * 500, asked + 500
            rest = rest[s.send(rest):]
            if asked > 2000000: break
        print('FULL', asked, flush=True)
        sys.stdin.readline()
        answers, data = 0, b''
        while answers < asked:
            ready = select.select([s], [s] if rest else [], [], 60)
            if ready[1]: rest = rest[s.send(rest):]
            if ready[0]:
                got = s.recv(65536)
                if not got: break
                data += got
                *whole, data = data.split(b'\\r\\n\\r\\n')
                answers += sum(answer.startswith(b'HTTP/1.1 200') for answer in whole)
        print('ANSWERS', 'SAME' if answers == asked else answers, flush=True)
        """
}
