import StockPeers
import Testing

@Suite(.timeLimit(.minutes(2)))
struct EitherRoleTests {
    private let files: TemporaryFiles
    private let program: PeerProcess
    private let port: Int

    init() throws {
        files = try TemporaryFiles()
        let (certificate, key, _) = try Credentials.shared.write("p256", in: files)
        // A client has to speak within this time; a peer that is the TLS server waits for the end of it, and so does the test.
        program = try PeerProcess(
            ["stdbuf", "-oL", try BuiltProgram.path("EitherRole"), "0", certificate, key]
                + [try Credentials.shared.rootsFile(in: files), "localhost", "12"])
        port = try program.number(behind: "listens at port ")
    }

    @Test("one port serves openssl s_client, which speaks first, and a peer that connects and is the TLS server")
    func either() throws {
        let server = try tlsServer("p256")
        try server.expect("CONNECTED")
        let client = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-quiet", "-nocommands"])
        try client.expect("you are the TLS client\n")
        try client.send("from the client\n")
        try client.expect("from the client\n")
        try server.expect("you are the TLS server\n")
        try server.send("from the server\n")
        try server.expect("from the server\n")
        try client.send("both at once\n")
        try client.expect("both at once\n")
    }

    @Test("a peer that speaks first, and no TLS, is closed; one whose certificate is for another name is refused")
    func strangers() throws {
        let stranger = try Wire.connect(UInt16(port))
        try stranger.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        #expect(try stranger.read().isEmpty)
        try program.expect("a peer speaks first, and no TLS\n")
        let other = try tlsServer("exact")
        try other.expect("FAILED")
        try program.expect("a connection has failed: ")
    }

    /// Connects, and is the TLS server there. What it is told it sends; what it hears it prints.
    private func tlsServer(_ name: String) throws -> PeerProcess {
        let (certificate, key, _) = try Credentials.shared.write(name, in: files)
        return try PeerProcess(["python3", "-c", Self.serverText, "\(port)", certificate, key])
    }

    private static let serverText = """
        import socket, ssl, sys
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        raw = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60)
        print('CONNECTED', flush=True)
        try:
            with context.wrap_socket(raw, server_side=True) as s:
                print(s.recv(100).decode(), end='', flush=True)
                for line in sys.stdin:
                    s.sendall(line.encode())
                    print(s.recv(100).decode(), end='', flush=True)
        except OSError as error:
            print('FAILED', error, flush=True)
        """
}
