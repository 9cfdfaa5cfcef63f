import BatonCore
import COpenSSL
import StockPeers
import TLSRecords
import Testing

@testable import TLSHandshake

@Suite("The observer of a handshake")
struct HandshakeObserverTests {
    let credentials = Credentials.shared

    private func pair(_ suite: CipherSuite, size: Int, groups: [String] = []) throws -> LibraryPair {
        let server = try credentials.server(ProtocolOptions(cipherSuites: [suite], groups: groups))
        let client = try credentials.client(
            ProtocolOptions(cipherSuites: [suite], groups: groups.isEmpty ? [] : ["X25519"] + groups))
        return try LibraryPair(server, client, size: size)
    }

    @Test("takes both ends over right after the handshake, fed a byte at a time", arguments: CipherSuite.allCases)
    func bytewise(_ suite: CipherSuite) throws {
        var pair = try pair(suite, size: 1)
        try pair.handshake()
        var connections = try pair.connections()
        try connections.exchange("taken over")
        connections = connections.moved()
        try connections.exchange("and moved")
    }

    @Test("finds the next record in mid-stream", arguments: CipherSuite.allCases, [3, 100_000])
    func midStream(_ suite: CipherSuite, _ size: Int) throws {
        var pair = try pair(suite, size: size)
        try pair.handshake()
        for round in 0..<5 { try pair.exchange("through the library \(round)") }
        var connections = try pair.connections()
        try connections.exchange("through the connection")
    }

    @Test("follows key updates", arguments: [CipherSuite.aes128GCM, .aes256GCM, .chaCha20Poly1305])
    func keyUpdates(_ suite: CipherSuite) throws {
        var pair = try pair(suite, size: 7)
        try pair.handshake()
        try pair.exchange("before")
        #expect(SSL_key_update(pair.client.ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
        try pair.exchange("behind a requested update")
        #expect(SSL_key_update(pair.server.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
        try pair.exchange("behind an unrequested one")
        var connections = try pair.connections()
        try connections.exchange("taken over")
    }

    @Test("does not give a connection away while the library owes a key update")
    func owedKeyUpdate() throws {
        var pair = try pair(.aes128GCM, size: 64)
        try pair.handshake()
        try pair.exchange("before")
        #expect(SSL_key_update(pair.client.ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
        #expect(SSL_write(pair.client.ssl, "x", 1) == 1)
        try pair.deliver()
        let observer = pair.serverObserver
        var failure: HandshakeObserverError?
        do { _ = try observer.snapshot() } catch { failure = error }
        #expect(failure == .keyUpdateOwed)
    }

    @Test("survives a HelloRetryRequest", arguments: [1, 1_000])
    func helloRetryRequest(_ size: Int) throws {
        var pair = try pair(.aes128GCM, size: size, groups: ["P-384"])
        try pair.handshake()
        var connections = try pair.connections()
        try connections.exchange("after a second hello")
    }

    @Test("keeps the beginning of a record for the connection")
    func partialRecord() throws {
        var pair = try pair(.aes128GCM, size: 1_000)
        try pair.handshake()
        #expect(SSL_write(pair.client.ssl, "half", 4) == 4)
        var produced = ByteQueue()
        pair.client.moveOutput(to: &produced)
        let record = produced.withBytes { Array($0) }
        try pair.clientObserver.sawSent(record.span.bytes)
        try pair.serverObserver.sawReceived(Array(record[..<9]).span.bytes)
        var connections = try pair.connections()
        connections.server.receive(Array(record[9...]).span.bytes)
        let event = try connections.server.nextEvent()
        #expect(event == .applicationData(4))
    }

    @Test("has nothing to give before the handshake is done, or without the key log")
    func incomplete() throws {
        let fresh = HandshakeObserver(role: .server)
        var failure: HandshakeObserverError?
        do { _ = try fresh.snapshot() } catch { failure = error }
        #expect(failure == .incomplete)

        var unlogged = HandshakeObserver(role: .server)
        let hello = try clientHello()
        try unlogged.sawReceived(hello.span.bytes)
        failure = nil
        do { _ = try unlogged.snapshot() } catch { failure = error }
        #expect(failure == .incomplete)
    }

    @Test("ignores log lines that are malformed, unknown, or of another connection")
    func logLines() throws {
        var pair = try pair(.aes128GCM, size: 1_000)
        let zeros = String(repeating: "00", count: 32)
        let strange = [
            "", " ", "# comment", "CLIENT_RANDOM", "CLIENT_RANDOM x y", "CLIENT_TRAFFIC_SECRET_0 \(zeros) \(zeros)",
            "SERVER_TRAFFIC_SECRET_0 \(zeros) 0", "EXPORTER_SECRET \(zeros) " + String(repeating: "zz", count: 32),
            "NO_SUCH_LABEL \(zeros) \(zeros)", "CLIENT_RANDOM \(zeros) " + String(repeating: "0", count: 1_000),
        ]
        for line in strange { try pair.serverObserver.keyLog(Array(line.utf8).span.bytes) }
        try pair.handshake()
        for line in strange { try pair.serverObserver.keyLog(Array(line.utf8).span.bytes) }
        var connections = try pair.connections()
        try connections.exchange("undisturbed")
    }

    @Test("refuses what it cannot follow, and never traps on random bytes")
    func hostile() throws {
        var observer = HandshakeObserver(role: .server)
        var failure: HandshakeObserverError?
        do { try observer.sawReceived([0, 0, 0, 0, 0].span.bytes) } catch { failure = error }
        #expect(failure == .malformed("record type"))
        let hello = try clientHello()
        for round in 0..<2_000 {
            var observer = HandshakeObserver(role: round % 2 == 0 ? .server : .client, maximumLength: 4_096)
            var bytes = hello
            for _ in 0..<(round % 5) { bytes[Int.random(in: 0..<bytes.count)] = UInt8.random(in: 0...255) }
            bytes += (0..<32).map { _ in UInt8.random(in: 0...255) }
            do {
                try observer.sawReceived(bytes.span.bytes)
                try observer.sawSent(bytes.span.bytes)
            } catch { continue }
        }
    }

    @Test("keeps no more than its limit of records it has no key for")
    func limit() throws {
        var observer = HandshakeObserver(role: .server, maximumLength: 10_000)
        let hello = try clientHello()
        try observer.sawReceived(hello.span.bytes)
        let record: [UInt8] = [23, 3, 3, 4, 0] + [UInt8](repeating: 0, count: 1_024)
        var failure: HandshakeObserverError?
        for _ in 0..<20 where failure == nil {
            do { try observer.sawReceived(record.span.bytes) } catch { failure = error }
        }
        #expect(failure == .tooLong)
    }

    private func clientHello() throws -> [UInt8] {
        var client = try Handshake(client: credentials.client(), serverName: "localhost")
        _ = try client.advance()
        return client.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
    }
}
