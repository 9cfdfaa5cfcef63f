import Foundation
import SelfSigned
import StockPeers
import TLSHandshake
import TLSRecords
import Testing

/// Handshakes in both roles with programs that people run, then data both ways, before and after a move.
@Suite("With a stock peer", .serialized)
struct StockPeerTests {
    let credentials = Credentials.shared
    let files: TemporaryFiles
    let roots: String

    init() throws {
        files = try TemporaryFiles()
        roots = try files.write(credentials.authority.certificatePEM, "roots.pem")
    }

    private func converse(_ session: consuming Session, with peer: PeerProcess) throws {
        var session = session
        try session.send("greetings from here\n")
        try peer.expect("greetings from here")
        try peer.send("greetings from there\n")
        try session.expect("greetings from there\n")
        session = try session.moved()
        try session.send("still here\n")
        try peer.expect("still here")
        try peer.send("still there\n")
        try session.expect("still there\n")
        try session.close()
    }

    private func version(_ suite: CipherSuite) -> String { suite.version == .tls13 ? "-tls1_3" : "-tls1_2" }

    private func ciphers(_ suite: CipherSuite) -> [String] {
        [suite.version == .tls13 ? "-ciphersuites" : "-cipher", suite.opensslName]
    }

    // MARK: We are the server

    @Test("openssl s_client: every suite", arguments: CipherSuite.allCases)
    func openSSLClient(_ suite: CipherSuite) throws {
        let (listener, port) = try Wire.listen()
        let peer = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-quiet", "-verify_return_error"]
                + ["-CAfile", roots, "-servername", "localhost", "-verify_hostname", "localhost", version(suite)]
                + ciphers(suite))
        let session = try Session(listener.accept(), Handshake(server: credentials.server()))
        let info = session.connection.info
        #expect(info.suite == suite)
        #expect(info.serverName == "localhost")
        try converse(session, with: peer)
    }

    @Test("openssl s_client: a HelloRetryRequest, and a certificate of its own")
    func openSSLClientCertificate() throws {
        let (listener, port) = try Wire.listen()
        let certificate = try files.write(credentials["client"].certificatePEM, "client.pem")
        let key = try files.write(credentials["client"].privateKeyPEM, "client.key")
        let peer = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-quiet", "-tls1_3", "-groups", "X25519:P-384"]
                + ["-cert", certificate, "-key", key])
        let server = try credentials.server(
            ProtocolOptions(groups: ["P-384"]), clients: .required(authorities: credentials.roots))
        let session = try Session(listener.accept(), Handshake(server: server))
        let subject = session.connection.info.peerCertificate?.subject
        #expect(subject == "CN=device-17")
        try converse(session, with: peer)
    }

    @Test("openssl s_client resumes at another server, and after a rotation", arguments: [TLSVersion.tls12, .tls13])
    func openSSLResumption(_ version: TLSVersion) throws {
        let keys = TicketKeys.random()
        let stored = files.path("session.pem")
        func connect(_ server: ServerContext, _ arguments: [String]) throws -> Bool {
            let (listener, port) = try Wire.listen()
            let peer = try PeerProcess(
                ["openssl", "s_client", "-connect", "127.0.0.1:\(port)", version == .tls13 ? "-tls1_3" : "-tls1_2"]
                    + arguments)
            let session = try Session(listener.accept(), Handshake(server: server))
            let isResumed = session.connection.info.isResumed
            try converse(session, with: peer)
            try peer.endInput()
            try peer.expect(nil)
            return isResumed
        }
        let first = try credentials.server(ticketKeys: keys.copy())
        #expect(try !connect(first, ["-sess_out", stored]))
        #expect(FileManager.default.fileExists(atPath: stored))
        #expect(try connect(credentials.server(ticketKeys: keys.copy()), ["-sess_in", stored]))
        #expect(try connect(credentials.server(ticketKeys: keys.rotated()), ["-sess_in", stored]))
        #expect(try !connect(credentials.server(), ["-sess_in", stored]))
    }

    @Test("gnutls-cli: both versions", arguments: ["1.2", "1.3"])
    func gnuTLSClient(_ version: String) throws {
        let (listener, port) = try Wire.listen()
        let peer = try PeerProcess(
            ["gnutls-cli", "--x509cafile", roots, "--verify-hostname", "localhost", "-p", "\(port)", "127.0.0.1"]
                + ["--priority", "NORMAL:-VERS-ALL:+VERS-TLS\(version)"])
        let session = try Session(listener.accept(), Handshake(server: credentials.server()))
        let agreed = session.connection.info.version.description
        #expect(agreed == version)
        try converse(session, with: peer)
    }

    @Test("Python's ssl: both versions, with ALPN", arguments: ["TLSv1_2", "TLSv1_3"])
    func pythonClient(_ version: String) throws {
        let (listener, port) = try Wire.listen()
        let script = """
            import socket, ssl, sys
            context = ssl.create_default_context(cafile=sys.argv[2])
            context.minimum_version = context.maximum_version = ssl.TLSVersion.\(version)
            context.set_alpn_protocols(['chat', 'other'])
            with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as s:
                with context.wrap_socket(s, server_hostname='localhost') as t:
                    for _ in range(2):
                        print(t.recv(100).decode(), end='', flush=True)
                        t.sendall(sys.stdin.readline().encode())
            """
        let peer = try PeerProcess(["python3", "-c", script, "\(port)", roots])
        let server = try credentials.server(ProtocolOptions(applicationProtocols: ["chat"]))
        let session = try Session(listener.accept(), Handshake(server: server))
        let chosen = session.connection.info.applicationProtocol
        #expect(chosen == "chat")
        try converse(session, with: peer)
    }

    @Test("curl fetches a page", arguments: [["--tls-max", "1.2"], ["--tlsv1.3"]])
    func curl(_ arguments: [String]) throws {
        let (listener, port) = try Wire.listen()
        let peer = try PeerProcess(
            ["curl", "-sS", "--http1.1", "--cacert", roots, "https://localhost:\(port)/", "--resolve"]
                + ["localhost:\(port):127.0.0.1"] + arguments)
        let server = try credentials.server(ProtocolOptions(applicationProtocols: ["http/1.1"]))
        var session = try Session(listener.accept(), Handshake(server: server))
        try session.expect("\r\n\r\n")
        session = try session.moved()
        try session.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        try session.close()
        try peer.expect(nil)
        #expect(peer.text == "hello")
    }

    // MARK: We are the client

    @Test("openssl s_server: every suite", arguments: CipherSuite.allCases)
    func openSSLServer(_ suite: CipherSuite) throws {
        let name = suite.description.contains("_RSA_") ? "rsa" : "p256"
        let peer = try PeerProcess(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", version(suite)] + (try certificateFiles(name))
                + ciphers(suite))
        try peer.expect("ACCEPT 127.0.0.1:")
        let port = try port(after: "ACCEPT 127.0.0.1:", in: peer)
        let session = try Session(
            Wire.connect(port), Handshake(client: credentials.client(), serverName: "localhost"))
        let info = session.connection.info
        #expect(info.suite == suite)
        #expect(info.verifyResult == 0)
        try converse(session, with: peer)
    }

    @Test("gnutls-serv: both versions", arguments: ["1.2", "1.3"])
    func gnuTLSServer(_ version: String) throws {
        let port = try Wire.freePort()
        let certificate = try files.write(credentials["p256"].certificatePEM, "server.pem")
        let key = try files.write(credentials["p256"].privateKeyPEM, "server.key")
        let peer = try PeerProcess(
            ["gnutls-serv", "--echo", "-p", "\(port)", "--x509certfile", certificate, "--x509keyfile", key]
                + ["--priority", "NORMAL:-VERS-ALL:+VERS-TLS\(version)"])
        try peer.expect("IPv4 0.0.0.0 port \(port)...done")
        var session = try Session(
            Wire.connect(port), Handshake(client: credentials.client(), serverName: "localhost"))
        let agreed = session.connection.info.version.description
        #expect(agreed == version)
        try session.send("to and fro\n")
        try session.expect("to and fro\n")
        session = try session.moved()
        try session.send("again\n")
        try session.expect("again\n")
    }

    @Test("Python's ssl as the server, with ALPN")
    func pythonServer() throws {
        let script = """
            import socket, ssl, sys
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sys.argv[1], sys.argv[2])
            context.set_alpn_protocols(['chat'])
            with socket.create_server(('127.0.0.1', 0)) as l:
                print('PORT', l.getsockname()[1], '.', flush=True)
                with context.wrap_socket(l.accept()[0], server_side=True) as t:
                    for _ in range(2):
                        print(t.recv(100).decode(), end='', flush=True)
                        t.sendall(sys.stdin.readline().encode())
            """
        let certificate = try files.write(credentials["rsa"].certificatePEM, "server.pem")
        let key = try files.write(credentials["rsa"].privateKeyPEM, "server.key")
        let peer = try PeerProcess(["python3", "-c", script, certificate, key])
        try peer.expect(" .")
        let client = try credentials.client(ProtocolOptions(applicationProtocols: ["other", "chat"]))
        let session = try Session(
            Wire.connect(port(after: "PORT ", in: peer)), Handshake(client: client, serverName: "localhost"))
        let chosen = session.connection.info.applicationProtocol
        #expect(chosen == "chat")
        try converse(session, with: peer)
    }

    // MARK: What does not fit

    @Test(
        "a client that is too old or knows only CBC or RC4 is told why",
        arguments: [
            (
                ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "alert protocol version",
                HandshakeError.Code.unsupportedVersion
            ),
            (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"], "handshake failure", .noCommonCipherSuite),
            (["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "handshake failure", .noCommonCipherSuite),
            (["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"], "handshake failure", .noCommonCipherSuite),
        ])
    func misfits(_ arguments: [String], _ words: String, _ code: HandshakeError.Code) throws {
        let (listener, port) = try Wire.listen()
        let peer = try PeerProcess(["openssl", "s_client", "-connect", "127.0.0.1:\(port)"] + arguments)
        let error = #expect(throws: HandshakeError.self) {
            _ = try Session(listener.accept(), Handshake(server: credentials.server()))
        }
        #expect(error?.code == code)
        #expect(error?.fault == .peer)
        try peer.expect(words)
    }

    @Test("curl with http:// learns that the port speaks HTTPS")
    func plainHTTP() throws {
        let (listener, port) = try Wire.listen()
        let peer = try PeerProcess(["curl", "-sS", "http://127.0.0.1:\(port)/"])
        let error = #expect(throws: HandshakeError.self) {
            _ = try Session(listener.accept(), Handshake(server: credentials.server()))
        }
        #expect(error?.code == .plainHTTP)
        try peer.expect("use https://")
    }

    private func certificateFiles(_ name: String) throws -> [String] {
        [
            "-cert", try files.write(credentials[name].certificatePEM, "server.pem"),
            "-key", try files.write(credentials[name].privateKeyPEM, "server.key"),
        ]
    }

    private func port(after words: String, in peer: PeerProcess) throws -> UInt16 {
        let digits = peer.text.components(separatedBy: words).last?.prefix { $0.isNumber } ?? ""
        return try #require(UInt16(digits))
    }
}
