import BatonConfiguration
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct RoleTests {
    private let files: TemporaryFiles
    private let certificate: String
    private let key: String

    init() throws {
        files = try TemporaryFiles()
        certificate = files.path("peer.pem")
        key = files.path("peer.key")
        let made = try PeerProcess(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
                + ["-subj", "/CN=peer.test", "-addext", "subjectAltName=DNS:peer.test", "-out", certificate]
                + ["-keyout", key])
        try made.expect(nil)
    }

    /// Connects, and is the TLS server there; sends pieces to the echo and says whether they came back.
    private func connectingServer(_ port: Int, _ version: String = "TLSv1_3") throws -> PeerProcess {
        try PeerProcess(["python3", "-c", Self.serverText, "\(port)", certificate, key, version])
    }

    @Test(
        "role client: the peer that connects is the TLS server, and its connection moves",
        arguments: ["TLSv1_2", "TLSv1_3"])
    func client(version: String) throws {
        let server = try Server(["--upstream", "echo", "--listeners.default.role", "client", "--move-every", "2"])
        let peer = try connectingServer(server.port, version)
        try peer.expect("SAME 20 of 20")
        #expect(peer.text.contains(version == "TLSv1_2" ? "TLSv1.2" : "TLSv1.3"))
        _ = try server.waitUntil { $0.moves.handoff >= 9 }
    }

    @Test("role client: a peer is verified by its authority and name, if that is asked for")
    func verified() throws {
        let arguments = [
            "--upstream", "echo", "--listeners.default.role", "client", "--listeners.default.client-auth", "require",
            "--listeners.default.client-ca", certificate, "--listeners.default.peer-name",
        ]
        let right = try Server(arguments + ["peer.test"])
        try connectingServer(right.port).expect("SAME 20 of 20")
        let wrong = try Server(arguments + ["other.test"] + ["--log-level", "debug"])
        let refused = try connectingServer(wrong.port)
        try refused.expect("FAILED")
        try wrong.log("a connection failed")
    }

    @Test("role detect: one port serves peers that speak first and peers that wait")
    func detect() throws {
        // Long enough for a client that speaks first to speak, however busy the machine.
        let server = try Server(
            ["--upstream", "echo", "--listeners.default.role", "detect", "--listeners.default.detect-time", "4s"])
        let silent = try connectingServer(server.port)
        let speaking = try Clients.exchange(server.port)
        try speaking.expect("STARTED")
        #expect(!silent.text.contains("SAME"))
        try silent.expect("SAME 20 of 20")
        let stranger = try Wire.connect(UInt16(server.port))
        try stranger.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        #expect(try stranger.read().isEmpty)
        try server.log("it speaks first, and no TLS")
        try speaking.endInput()
        try speaking.expect("WHOLE 1 of 1")
    }

    private static let serverText = """
        import os, socket, ssl, sys
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, sys.argv[4])
        raw = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60)
        try:
            s = context.wrap_socket(raw, server_side=True)
            same = 0
            for _ in range(20):
                piece, answer = os.urandom(1000), b''
                s.sendall(piece)
                while len(answer) < len(piece):
                    got = s.recv(65536)
                    if not got: raise EOFError('closed')
                    answer += got
                same += answer == piece
            print(s.version(), 'SAME', same, 'of 20', flush=True)
        except Exception as error:
            print('FAILED', repr(error), flush=True)
        """
}
