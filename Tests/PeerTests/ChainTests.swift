import StockPeers
import TLSHandshake
import TLSRecords
import Testing

/// Five moves in a chain, with data both ways after each, under one nonce witness: every suite, both versions, both
/// roles, and every kind of peer.
@Suite("Five moves in a chain", .serialized)
struct ChainTests {
    let credentials = Credentials.shared
    let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    private func only(_ suite: CipherSuite) -> ProtocolOptions {
        ProtocolOptions(minimumVersion: suite.version, maximumVersion: suite.version, cipherSuites: [suite])
    }

    private func move(_ session: consuming Session, with peer: StockPeer) throws {
        var session = session
        try peer.converse("before any move", with: &session)
        for move in 1...5 {
            session = try session.moved()
            try peer.converse("after move \(move)", with: &session)
        }
        try session.close()
    }

    /// Runs `body`, whose owners together may use no (key, nonce) twice.
    private func witnessed(_ body: () throws -> Void) throws {
        let witness = NonceWitness()
        try NonceWitness.$current.withValue(witness, operation: body)
        // Six times data, and the close_notify.
        #expect(witness.count >= 7)
        #expect(witness.repeated == 0)
    }

    @Test("our server keeps a client through every suite", arguments: StockPeer.Kind.allCases, CipherSuite.allCases)
    func server(_ kind: StockPeer.Kind, _ suite: CipherSuite) throws {
        try witnessed {
            let (listener, port) = try Wire.listen()
            let peer = try StockPeer.client(kind, port: port, suite.version, in: files)
            let session = try Session(listener.accept(), Handshake(server: credentials.server(only(suite))))
            let agreed = session.connection.info.suite
            #expect(agreed == suite)
            try move(session, with: peer)
        }
    }

    @Test("our client keeps a server through every suite", arguments: StockPeer.Kind.allCases, CipherSuite.allCases)
    func client(_ kind: StockPeer.Kind, _ suite: CipherSuite) throws {
        try witnessed {
            let certificate = suite.description.contains("_RSA_") ? "rsa" : "p256"
            let (peer, port) = try StockPeer.server(kind, suite.version, certificate: certificate, in: files)
            let session = try Session(
                Wire.connect(port), Handshake(client: credentials.client(only(suite)), serverName: "localhost"))
            let info = session.connection.info
            #expect(info.suite == suite)
            #expect(info.verifyResult == 0)
            try move(session, with: peer)
        }
    }

    @Test("curl asks six times on one connection", arguments: CipherSuite.allCases)
    func curl(_ suite: CipherSuite) throws {
        try witnessed {
            let (listener, port) = try Wire.listen()
            let roots = try credentials.rootsFile(in: files)
            let peer = try PeerProcess(
                ["curl", "-sS", "--http1.1", "--cacert", roots, "--resolve", "localhost:\(port):127.0.0.1"]
                    + (suite.version == .tls13 ? ["--tlsv1.3"] : ["--tls-max", "1.2"])
                    + ["--data", "which owner?", "https://localhost:\(port)/[0-5]"])
            var session = try Session(listener.accept(), Handshake(server: credentials.server(only(suite))))
            let agreed = session.connection.info.suite
            #expect(agreed == suite)
            for move in 0...5 {
                if move > 0 { session = try session.moved() }
                try session.expect("POST /\(move) HTTP/1.1\r\n")
                try session.expect("which owner?")
                try session.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nowner \(move)\n")
                try peer.expect("owner \(move)\n")
            }
            try session.close()
            try peer.expect(nil)
        }
    }
}
