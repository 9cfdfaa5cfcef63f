import BatonCore
import COpenSSL
import TLSRecords
import Testing

@testable import TLSHandshake

/// A client and a server of the library alone, with an observer beside each, as under any other library: the bytes are
/// shown in pieces of `size`, the key log line by line, and nothing else is known.
struct LibraryPair: ~Copyable {
    let client: LibrarySession
    let server: LibrarySession
    var clientObserver: HandshakeObserver
    var serverObserver: HandshakeObserver
    let size: Int

    init(_ server: ServerContext, _ client: ClientContext, size: Int) throws {
        let (theirs, ours) = (LibrarySession(client.library), LibrarySession(server.library, server: server))
        let (client, server) = (try #require(theirs), try #require(ours))
        SSL_set_connect_state(client.ssl)
        SSL_set_accept_state(server.ssl)
        try client.expect("localhost", isVerified: true)
        self.client = client
        self.server = server
        self.size = size
        clientObserver = HandshakeObserver(role: .client)
        serverObserver = HandshakeObserver(role: .server)
    }

    mutating func handshake() throws {
        for _ in 0..<20 {
            let outcomes = (client.handshake(), server.handshake())
            try deliver()
            if case (.done, .done) = outcomes { return }
        }
        Issue.record("the handshake did not end")
    }

    /// Moves what waits both ways, past the observers.
    mutating func deliver() throws {
        var produced = ByteQueue()
        client.moveOutput(to: &produced)
        let fromClient = produced.withBytes { Array($0) }
        produced.removeAll()
        server.moveOutput(to: &produced)
        let fromServer = produced.withBytes { Array($0) }
        for piece in pieces(fromClient) {
            try clientObserver.sawSent(piece.span.bytes)
            try serverObserver.sawReceived(piece.span.bytes)
        }
        for piece in pieces(fromServer) {
            try serverObserver.sawSent(piece.span.bytes)
            try clientObserver.sawReceived(piece.span.bytes)
        }
        try log()
        _ = fromClient.withUnsafeBytes { $0.isEmpty || server.write($0) }
        _ = fromServer.withUnsafeBytes { $0.isEmpty || client.write($0) }
    }

    private mutating func log() throws {
        for line in lines(client) { try clientObserver.keyLog(line.span.bytes) }
        for line in lines(server) { try serverObserver.keyLog(line.span.bytes) }
    }

    private func lines(_ session: LibrarySession) -> [[UInt8]] {
        let log = session.takeKeyLog().withBytes { Array($0) }
        return log.split(separator: UInt8(ascii: "\n")).map { Array($0) }
    }

    private func pieces(_ bytes: [UInt8]) -> [[UInt8]] {
        stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
    }

    /// Sends `text` through the library both ways.
    mutating func exchange(_ text: String) throws {
        let bytes = Array(text.utf8)
        for (from, to) in [(client, server), (server, client)] {
            #expect(SSL_write(from.ssl, bytes, Int32(bytes.count)) == Int32(bytes.count))
            try deliver()
            var buffer = [UInt8](repeating: 0, count: bytes.count)
            #expect(SSL_read(to.ssl, &buffer, Int32(buffer.count)) == Int32(bytes.count))
            #expect(buffer == bytes)
            try deliver()
        }
    }

    consuming func connections() throws -> ConnectedPair {
        ConnectedPair(
            client: Connection(resuming: try clientObserver.snapshot()),
            server: Connection(resuming: try serverObserver.snapshot()))
    }
}
