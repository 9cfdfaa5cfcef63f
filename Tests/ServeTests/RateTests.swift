import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// Limits by time. A slow machine only makes waits longer, so each test asks for the shortest time that they can take.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RateTests {
    @Test(
        "beyond the rate of connections, and of handshakes, they wait, and all are served",
        arguments: ["connection", "handshake"])
    func waiting(kind: String) throws {
        let server = try Server(["--upstream", "echo", "--limits.\(kind)-rate", "5"])
        // What comes before them has a second's worth of its own.
        let clients = try PeerProcess(["python3", "-c", Self.servedText, "\(server.port)", "12"])
        try clients.expect(nil)
        #expect(clients.text.contains("SERVED 12"), "\(clients.text)")
        // Five at once, and seven more at five a second.
        let seconds = try #require(
            clients.text.split(separator: " ").last.flatMap { Double($0.trimmingCharacters(in: .newlines)) })
        #expect(seconds >= 1.3)
        #expect(try server.status().refused?.values.contains { $0 > 0 } != true)
        if kind == "connection" { try server.log("reason=limits.connection-rate is reached") }
    }

    @Test("a source beyond its rate is reset, and another is served")
    func source() throws {
        let server = try Server(["--upstream", "echo", "--limits.connection-rate-per-source", "1"])
        let many = try PeerProcess(["python3", "-c", Self.resetText, "\(server.port)"])
        try many.expect("RESET")
        _ = try server.waitUntil { $0.refused?["connection_rate_per_source"] ?? 0 > 0 }
        try server.log("limits.connection-rate-per-source is reached")
        let other = try PeerProcess(["python3", "-c", Self.servedText, "\(server.port)", "1", "127.0.0.2"])
        try other.expect("SERVED 1")
    }

    @Test("a handshake whose turn would come too late is refused at once")
    func late() throws {
        let server = try Server([
            "--upstream", "echo", "--limits.handshake-rate", "1", "--limits.handshake-time", "400ms",
        ])
        let many = (0..<20).compactMap { _ in try? Wire.connect(UInt16(server.port)) }
        _ = try server.waitUntil { $0.refused?["handshake_rate"] ?? 0 > 0 }
        try server.log("limits.handshake-rate is reached")
        withExtendedLifetime(many) {}
    }

    @Test(
        "a connection passes as many bytes a second as it may, wherever it moves, and every byte",
        arguments: ["echo", "relay"])
    func bandwidth(kind: String) throws {
        let upstream = try Clients.upstream()
        let server = try Server([
            "--upstream", kind == "echo" ? "echo" : "127.0.0.1:\(upstream.port)", "--listeners.default.bandwidth",
            "128K",
        ])
        let client = try PeerProcess(["python3", "-c", Self.bulkText, "\(server.port)", "\(448 << 10)"])
        try client.expect("STARTED")
        try server.upgrade()
        try client.expect(nil)
        #expect(client.text.contains("WHOLE"), "\(client.text)")
        let seconds = try #require(
            client.text.split(separator: " ").last.flatMap { Double($0.trimmingCharacters(in: .newlines)) })
        // A quarter of a second's bytes may pass at once, at each owner.
        #expect(seconds >= 1.5)
        withExtendedLifetime(upstream.process) {}
    }

    /// Opens connections at once and says how many an echo has answered, and within how many seconds.
    private static let servedText = """
        import socket, ssl, sys, threading, time
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        source = (sys.argv[3], 0) if len(sys.argv) > 3 else None
        served = []
        def run():
            s = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60, source_address=source))
            s.sendall(b'ping')
            if s.recv(4) == b'ping': served.append(s)
        start = time.monotonic()
        threads = [threading.Thread(target=run) for _ in range(int(sys.argv[2]))]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print('SERVED', len(served), time.monotonic() - start, flush=True)
        """

    /// Connects until a connection is reset.
    private static let resetText = """
        import select, socket, sys
        all = []
        while True:
            try: all.append(socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60))
            except ConnectionResetError: print('RESET', flush=True)
            for s in select.select(all, [], [], 0)[0]:
                try: s.recv(1)
                except ConnectionResetError: print('RESET', flush=True)
                sys.exit()
            if len(all) > 500: sys.exit('none is reset')
        """

    /// Sends bytes and reads them back; says whether they agreed, and within how many seconds.
    private static let bulkText = """
        import os, socket, ssl, sys, threading, time
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        s = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60))
        size, start, received = int(sys.argv[2]), time.monotonic(), b''
        # Never more under way than the sockets take, so that one thread can do both.
        data = os.urandom(size)
        for position in range(0, size, 8192):
            s.sendall(data[position:position + 8192])
            if position == 0: print('STARTED', flush=True)
            while len(received) < position: received += s.recv(65536)
        while len(received) < size: received += s.recv(65536)
        print('WHOLE' if received == data else 'BROKEN', time.monotonic() - start, flush=True)
        """
}
