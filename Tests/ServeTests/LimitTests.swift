import BatonConfiguration
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct LimitTests {
    @Test("one source holds as many connections as it may, wherever they have moved, and others are let in")
    func connectionsPerSource() throws {
        let server = try Server(["--upstream", "echo", "--limits.connections-per-source", "2", "--move-every", "1"])
        let client = try PeerProcess(["python3", "-c", Self.openingText, "\(server.port)"])
        func ask(_ word: String, _ answer: String) throws {
            try client.send(word + "\n")
            try client.expect(answer)
        }
        try ask("open 127.0.0.1", "1 OPEN")
        try ask("open 127.0.0.1", "2 OPEN")
        try ask("open 127.0.0.1", "3 REFUSED")
        try ask("open 127.0.0.2", "4 OPEN")
        try server.upgrade()
        _ = try server.waitUntil { $0.workers.reduce(0) { $0 + $1.connections } == 3 }
        try ask("open 127.0.0.1", "5 REFUSED")
        try ask("close 1", "1 CLOSED")
        // The worker tells of the end a moment later.
        try ask("insist 127.0.0.1", "6 OPEN")
        try ask("open 127.0.0.1", "7 REFUSED")
    }

    @Test("behind a load balancer the source is the one it names")
    func sourceInHeader() throws {
        let server = try Server(
            ["--upstream", "echo", "--listeners.default.tls", "false", "--listeners.default.proxy-protocol", "v1"]
                + ["--limits.connections-per-source", "1"])
        func wire(_ source: String) throws -> Wire {
            let wire = try Wire.connect(UInt16(server.port))
            try wire.write(Array("PROXY TCP4 \(source) 192.0.2.99 1000 443\r\nping".utf8))
            return wire
        }
        let first = try wire("192.0.2.1")
        #expect(try first.read() == Array("ping".utf8))
        let second = try wire("192.0.2.1")
        #expect(try second.read().isEmpty)
        let third = try wire("192.0.2.2")
        #expect(try third.read() == Array("ping".utf8))
    }

    @Test("a connection that passes no byte is closed in order, and one that does is not")
    func idleTime() throws {
        let server = try Server(["--upstream", "echo", "--listeners.default.idle-time", "2s"])
        let busy = try Clients.exchange(server.port)
        try busy.expect("STARTED")
        let idle = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-nocommands"])
        try idle.send("hello\n")
        try idle.expect("hello\n")
        // Its end was told: without close_notify s_client complains.
        try idle.expect(nil)
        #expect(!idle.text.contains("unexpected eof"), "\(idle.text)")
        try busy.endInput()
        try busy.expect("WHOLE 1 of 1")
    }

    @Test("a move does not begin the idle time anew")
    func idleTimeMoves() throws {
        let server = try Server(["--upstream", "echo", "--listeners.default.idle-time", "5s"])
        let idle = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-quiet", "-nocommands"])
        try idle.send("hello\n")
        try idle.expect("hello\n")
        let deadline = ContinuousClock.now + .seconds(60)
        var upgrades = 0
        while try server.status().connections > 0 {
            // Each takes less than the idle time, all together far more.
            try server.upgrade()
            upgrades += 1
            guard ContinuousClock.now < deadline else { throw WireError("alive after \(upgrades) upgrades") }
        }
        try idle.expect(nil)
    }

    @Test("who does not finish its handshake in time is closed, whatever it has begun with")
    func handshakeTime() throws {
        let server = try Server(["--limits.handshake-time", "300ms"])
        let silent = try Wire.connect(UInt16(server.port))
        #expect(try silent.read().isEmpty)
        let half = try Wire.connect(UInt16(server.port))
        try half.write([22, 3, 1, 1, 0, 1])
        #expect(try half.read().isEmpty)
        try server.log("its time was over")
    }

    @Test("beyond the handshakes that may be under way new connections are closed at once, and room is found again")
    func handshakes() throws {
        let server = try Server(["--upstream", "echo", "--limits.handshakes", "2", "--limits.handshake-time", "60s"])
        var silent = [try Wire.connect(UInt16(server.port)), try Wire.connect(UInt16(server.port))]
        let refused = try Wire.connect(UInt16(server.port))
        #expect(try refused.read().isEmpty)
        try server.log("limits.handshakes is reached")
        silent.removeLast()
        let client = try PeerProcess(["python3", "-c", Self.openingText, "\(server.port)"])
        try client.send("insist 127.0.0.1\n")
        try client.expect("1 OPEN")
        // What has been handed to a worker is none any more.
        try client.send("insist 127.0.0.1\n")
        try client.expect("2 OPEN")
    }

    @Test(
        "a ClientHello without end is refused at 32 KiB, however it is cut into records", arguments: [1, 100, 16_384])
    func endlessHello(size: Int) throws {
        let server = try Server(["--limits.handshake-time", "60s", "--log-level", "debug"])
        let wire = try Wire.connect(UInt16(server.port))
        var hello: [UInt8] = [1, 0, 0xFF, 0xFF, 3, 3] + [UInt8](repeating: 7, count: 70_000)
        while !hello.isEmpty {
            let piece = hello.prefix(size)
            hello.removeFirst(piece.count)
            do {
                try wire.write([22, 3, 1, UInt8(piece.count >> 8), UInt8(truncatingIfNeeded: piece.count)] + piece)
            } catch {
                break
            }
        }
        // An alert, then the end.
        #expect(try wire.read().first == 21)
        try server.log("bytes of handshake; it is refused")
    }

    @Test("a first request beyond the header size is routed by its first line, and the page refuses it")
    func headerSize() throws {
        let plain = ["--listeners.default.tls", "false", "--limits.header-size", "1K"]
        let routed = try Server(
            plain + ["--routes.a.target", "hello", "--routes.a.path", "/a", "--routes.rest.target", "echo"])
        func answer(_ server: Server, _ padding: Int) throws -> String {
            let wire = try Wire.connect(UInt16(server.port))
            let field = "X: " + String(repeating: "x", count: padding) + "\r\n"
            try wire.write(Array("GET /a HTTP/1.1\r\nHost: a\r\n\(padding > 0 ? field : "")\r\n".utf8))
            return String(decoding: try wire.read(), as: UTF8.self)
        }
        #expect(try answer(routed, 0).hasPrefix("HTTP/1.1 200"))
        #expect(try answer(routed, 3_000).hasPrefix("HTTP/1.1 431"))
        #expect(try answer(try Server(plain), 3_000).hasPrefix("HTTP/1.1 431"))
    }

    /// Opens connections from addresses it is told, and says of each whether the echo answered.
    private static let openingText = """
        import socket, ssl, sys
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        opened, number = {}, 0
        def attempt(source):
            raw = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60, source_address=(source, 0))
            try:
                s = context.wrap_socket(raw)
                s.sendall(b'ping')
                return s if s.recv(4) == b'ping' else None
            except OSError:
                return None
        for line in sys.stdin:
            word, argument = line.split()
            if word == 'close':
                opened.pop(int(argument)).unwrap().close()
                print(argument, 'CLOSED', flush=True)
                continue
            number += 1
            s = attempt(argument)
            if word == 'insist':
                for _ in range(10000):
                    s = s or attempt(argument)
            if s: opened[number] = s
            print(number, 'OPEN' if s else 'REFUSED', flush=True)
        """
}
