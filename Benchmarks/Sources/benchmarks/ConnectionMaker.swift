import TLSHandshake
import TLSRecords

/// Makes connections by handshakes in memory, all with the same contexts.
struct ConnectionMaker {
    private let server: ServerContext
    private let client: ClientContext

    init(_ suite: CipherSuite, _ credentials: Credentials) throws {
        let options = ProtocolOptions(
            minimumVersion: .tls13, cipherSuites: [suite], applicationProtocols: ["http/1.1"])
        let identity = ServerConfiguration.Identity(
            certificateChain: .text(credentials.certificate), privateKey: .text(credentials.key))
        server = try ServerContext(ServerConfiguration(identities: [identity], options: options))
        client = try ClientContext(ClientConfiguration(verification: .none, options: options))
    }

    /// Both ends of a new connection.
    func pair() throws -> ConnectedPair {
        var server = Handshake(server: server)
        var client = try Handshake(client: client, serverName: "benchmarks.example")
        while server.info == nil || client.info == nil {
            _ = try client.advance()
            carry(from: &client, to: &server)
            _ = try server.advance()
            carry(from: &server, to: &client)
        }
        carry(from: &client, to: &server)
        return try ConnectedPair(client: client.connection(), server: server.connection())
    }

    /// The server's end of a new connection that has been used and is idle now.
    func usedServer() throws -> Connection {
        var pair = try pair()
        try pair.exchange()
        var server = pair.intoServer()
        server.releaseIdleMemory()
        return server
    }

    private func carry(from source: inout Handshake, to target: inout Handshake) {
        source.withOutgoing { target.receive($0) }
        source.didWrite(source.outgoingCount)
    }
}
