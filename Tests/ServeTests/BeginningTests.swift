import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// What is spoken before TLS: STARTTLS and the PROXY protocol.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct BeginningTests {
    @Test("openssl s_client reaches TLS by the protocol's own way", arguments: ["smtp", "imap", "postgres"])
    func startTLS(kind: String) throws {
        let server = try Server(["--listeners.default.starttls", kind, "--upstream", "echo", "--move-every", "1"])
        let client = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-starttls", kind, "-quiet", "-nocommands"])
        for round in 1...5 {
            try client.send("line \(round)\n")
            try client.expect("line \(round)\n")
        }
        _ = try server.waitUntil { $0.moves.handoff >= 3 }
    }

    @Test(
        "smtp: what is sent before the way to TLS is refused, and what is injected behind it is not taken for TLS' own")
    func injection() throws {
        let server = try Server(["--listeners.default.starttls", "smtp", "--upstream", "echo"])
        let wire = try Wire.connect(UInt16(server.port))
        #expect(try wire.read().starts(with: Array("220 ".utf8)))
        try wire.write(Array("MAIL FROM:<a@b>\r\n".utf8))
        #expect(try wire.read().starts(with: Array("530 ".utf8)))
        try wire.write(Array("EHLO a\r\n".utf8))
        #expect(try wire.read().starts(with: Array("250-".utf8)))
        try wire.write(Array("STARTTLS\r\nRSET\r\n".utf8))
        // A command behind STARTTLS must not be answered within TLS (CVE-2011-0411): the connection ends.
        var answer: [UInt8] = []
        while case let more = try wire.read(), !more.isEmpty { answer += more }
        #expect(!String(decoding: answer, as: UTF8.self).contains("530"))
    }

    @Test(
        "the PROXY protocol comes in from a load balancer, in either version, and goes out to the upstream",
        arguments: [("v1", "v2"), ("v2", "v1"), ("any", "v2")], [true, false])
    func proxyProtocol(versions: (String, String), isTLS: Bool) throws {
        let upstream = try PeerProcess(["python3", "-c", Self.upstreamText])
        let port = try upstream.number(behind: "PORT ")
        let server = try Server(
            ["--upstream", "127.0.0.1:\(port)", "--listeners.default.proxy-protocol", versions.0]
                + ["--listeners.default.tls", "\(isTLS)", "--upstreams.default.proxy-protocol", versions.1])
        let client = try PeerProcess(
            ["python3", "-c", Self.clientText, "\(server.port)", versions.0 == "v2" ? "v2" : "v1", "\(isTLS)"])
        try client.expect("ANSWER hello")
        try upstream.expect("HEADER \(versions.1) 192.0.2.7:1234 198.51.100.9:443")
    }

    @Test(
        "without a load balancer the upstream is told of the client itself, and a connection without its header is closed"
    )
    func ownHeader() throws {
        let upstream = try PeerProcess(["python3", "-c", Self.upstreamText])
        let port = try upstream.number(behind: "PORT ")
        let server = try Server(["--upstream", "127.0.0.1:\(port)", "--upstreams.default.proxy-protocol", "v1"])
        let client = try PeerProcess(["python3", "-c", Self.clientText, "\(server.port)", "none", "true"])
        try client.expect("ANSWER hello")
        let own = try client.number(behind: "OWN ")
        try upstream.expect("HEADER v1 127.0.0.1:\(own) 127.0.0.1:\(server.port)")
        let strict = try Server(["--listeners.default.proxy-protocol", "any"])
        let bare = try PeerProcess(["python3", "-c", Self.clientText, "\(strict.port)", "none", "true"])
        try bare.expect("FAILED")
        try strict.log("its PROXY protocol header")
    }

    /// Sends a PROXY protocol header as a load balancer does, then hello; says what comes back.
    private static let clientText = """
        import socket, ssl, struct, sys
        raw = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60)
        print('OWN', raw.getsockname()[1], flush=True)
        source, destination = ('192.0.2.7', 1234), ('198.51.100.9', 443)
        if sys.argv[2] == 'v1':
            raw.sendall(b'PROXY TCP4 192.0.2.7 198.51.100.9 1234 443\\r\\n')
        elif sys.argv[2] == 'v2':
            # With a TLV that nobody knows.
            tail = bytes([0xE7, 0, 3]) + b'abc'
            body = socket.inet_aton(source[0]) + socket.inet_aton(destination[0]) + struct.pack('!HH', 1234, 443) + tail
            raw.sendall(b'\\r\\n\\r\\n\\0\\r\\nQUIT\\n' + bytes([0x21, 0x11]) + struct.pack('!H', len(body)) + body)
        try:
            s = raw
            if sys.argv[3] == 'true':
                context = ssl.create_default_context()
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                s = context.wrap_socket(raw)
            s.sendall(b'hello')
            print('ANSWER', s.recv(100).decode(), flush=True)
        except OSError as error:
            print('FAILED', repr(error), flush=True)
        """

    /// Reads a PROXY protocol header of either version and says what is in it, then echoes.
    private static let upstreamText = """
        import socket, struct, sys
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        s = listener.accept()[0]
        s.settimeout(60)
        data = b''
        while len(data) < 16: data += s.recv(1)
        if data.startswith(b'PROXY '):
            while not data.endswith(b'\\r\\n'): data += s.recv(1)
            _, family, source, destination, sport, dport = data.decode().split()
            assert family == 'TCP4'
            print('HEADER v1 %s:%s %s:%s' % (source, sport, destination, dport), flush=True)
        else:
            assert data[:12] == b'\\r\\n\\r\\n\\0\\r\\nQUIT\\n' and data[12:14] == bytes([0x21, 0x11])
            length = struct.unpack('!H', data[14:16])[0]
            body = b''
            while len(body) < length: body += s.recv(length - len(body))
            ports = struct.unpack('!HH', body[8:12])
            print('HEADER v2 %s:%d %s:%d' % (socket.inet_ntoa(body[:4]), ports[0], socket.inet_ntoa(body[4:8]), ports[1]),
                flush=True)
        while True:
            piece = s.recv(65536)
            if not piece: break
            s.sendall(piece)
        """
}
