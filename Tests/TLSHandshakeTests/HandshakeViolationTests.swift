import BatonCore
import COpenSSL
import StockPeers
import TLSRecords
import Testing

@testable import TLSHandshake

/// Clients that break the protocol between the server's flight and their own Finished, where OpenSSL is who refuses.
@Suite("Violations during the handshake")
struct HandshakeViolationTests {
    /// What a client has after the server's flight: the key that its next record is under, and its Finished message.
    struct Client: ~Copyable {
        private let suite: CipherSuite
        private let secret: [UInt8]
        private var writer: RecordProtection
        /// What it would send: a change_cipher_spec, and the record with its Finished message.
        let flight: [UInt8]

        init(suite: CipherSuite, secret: [UInt8], flight: [UInt8]) {
            self.suite = suite
            self.secret = secret
            self.flight = flight
            writer = RecordProtection(
                suite: suite, state: DirectionState(secret: SecretBytes(copying: secret.span.bytes)))
        }

        mutating func record(_ type: ContentType, _ content: [UInt8]) -> [UInt8] {
            var output = [UInt8](repeating: 0, count: content.count + 64)
            let length = content.withUnsafeBytes { content in
                output.withUnsafeMutableBytes { writer.seal(type, content, to: $0.baseAddress!) }
            }
            return Array(output[..<length])
        }

        /// The Finished message, taken out of its record.
        func finished() throws -> [UInt8] {
            var record = Array(flight.dropFirst(6))
            var reader = RecordProtection(
                suite: suite, state: DirectionState(secret: SecretBytes(copying: secret.span.bytes)))
            let opened = record.withUnsafeMutableBytes { bytes in
                RecordHeader(UnsafeRawBufferPointer(bytes)).flatMap { reader.open(bytes.baseAddress!, header: $0) }
            }
            let place = try #require(opened)
            return Array(record[place.offset..<place.offset + place.count])
        }
    }

    struct Outcome {
        var alert: Alert?
        var isEstablished = false
    }

    /// What a TLS 1.3 server makes of a client that answers its flight with what `forge` returns.
    private func outcome(_ forge: (inout Client) throws -> [UInt8]) throws -> Outcome {
        let credentials = Credentials.shared
        let context = try credentials.client(ProtocolOptions(minimumVersion: .tls13, cipherSuites: [.aes128GCM]))
        let library = try #require(LibrarySession(context.library))
        SSL_set_connect_state(library.ssl)
        try library.expect("localhost", isVerified: true)
        var server = Handshake(server: try credentials.server())
        _ = library.handshake()
        let hello = takeOutput(of: library)
        server.receive(hello.span.bytes)
        _ = try server.advance()
        let flight = server.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
        _ = flight.withUnsafeBytes { library.write($0) }
        _ = library.handshake()
        let answer = takeOutput(of: library)
        let secret = try handshakeSecret(library)
        let forged = try forged(Client(suite: .aes128GCM, secret: secret, flight: answer), forge)
        server.receive(forged.span.bytes)
        let progress = Result { () throws(HandshakeError) in try server.advance() }
        switch progress {
        case .failure(let error): return Outcome(alert: error.alert)
        case .success(.needsInput): return Outcome()
        case .success(.established):
            return Outcome(alert: alert(of: try server.connection()), isEstablished: true)
        }
    }

    private func forged(_ client: consuming Client, _ forge: (inout Client) throws -> [UInt8]) throws -> [UInt8] {
        var client = client
        return try forge(&client)
    }

    private func takeOutput(of library: LibrarySession) -> [UInt8] {
        var queue = ByteQueue()
        library.moveOutput(to: &queue)
        return queue.withBytes { Array($0) }
    }

    private func handshakeSecret(_ library: LibrarySession) throws -> [UInt8] {
        let lines = library.takeKeyLog().withBytes { String(decoding: $0, as: UTF8.self) }
        let line = lines.split(separator: "\n").first { $0.hasPrefix("CLIENT_HANDSHAKE_TRAFFIC_SECRET ") }
        let digits = Array(try #require(line?.split(separator: " ").last).utf8)
        return stride(from: 0, to: digits.count, by: 2).map { index in
            UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) ?? 0
        }
    }

    /// The alert by which the connection ends with what has arrived behind the handshake.
    private func alert(of connection: consuming Connection) -> Alert? {
        var connection = connection
        var alert: Alert?
        do throws(TLSError) {
            while try connection.nextEvent() != nil { connection.consumeUnread(connection.unreadCount) }
        } catch {
            alert = error.alert
        }
        return alert
    }

    @Test(
        "the handshake as it is, with any number of change_cipher_specs before the Finished message", arguments: 0...5)
    func changeCipherSpecs(count: Int) throws {
        let outcome = try outcome { client in
            (0..<count).flatMap { _ in [20, 3, 3, 0, 1, 1] as [UInt8] } + client.flight.dropFirst(6)
        }
        #expect(outcome.isEstablished && outcome.alert == nil)
    }

    @Test(
        "a change_cipher_spec of another content",
        arguments: [[20, 3, 3, 0, 1, 2], [20, 3, 3, 0, 2, 1, 1]] as [[UInt8]])
    func otherChangeCipherSpec(record: [UInt8]) throws {
        #expect(try outcome { record + $0.flight }.alert == .unexpectedMessage)
    }

    @Test(
        "a change_cipher_spec between a HelloRetryRequest and what follows it",
        arguments: [[20, 3, 3, 0, 1, 1], [20, 3, 3, 0, 1, 2]] as [[UInt8]], [Role.client, .server])
    func changeCipherSpecAfterRetry(record: [UInt8], receiver: Role) throws {
        let credentials = Credentials.shared
        var server = Handshake(
            server: try credentials.server(ProtocolOptions(minimumVersion: .tls13, groups: ["P-384"])))
        var client = try Handshake(
            client: credentials.client(ProtocolOptions(groups: ["X25519", "P-384"])), serverName: "localhost")
        _ = try client.advance()
        ConnectedPair.move(&client, to: &server)
        _ = try server.advance()
        var alert: Alert?
        do throws(HandshakeError) {
            switch receiver {
            case .server:
                server.receive(record.span.bytes)
                _ = try server.advance()
            case .client:
                ConnectedPair.move(&server, to: &client)
                client.receive(record.span.bytes)
                _ = try client.advance()
            }
        } catch {
            alert = error.alert
        }
        #expect(alert == (record[5] == 1 ? nil : .unexpectedMessage))
    }

    @Test("a protected change_cipher_spec")
    func protectedChangeCipherSpec() throws {
        #expect(try outcome { $0.record(.changeCipherSpec, [1]) }.alert == .unexpectedMessage)
    }

    @Test("a change_cipher_spec behind the Finished message")
    func lateChangeCipherSpec() throws {
        let outcome = try outcome { $0.flight + [20, 3, 3, 0, 1, 1] }
        #expect(outcome.isEstablished && outcome.alert == .unexpectedMessage)
    }

    @Test("a KeyUpdate before the Finished message (RFC 8446 section 4.6.3)")
    func earlyKeyUpdate() throws {
        #expect(try outcome { $0.record(.handshake, [24, 0, 0, 1, 0]) }.alert == .unexpectedMessage)
    }

    @Test("application data before the Finished message")
    func earlyData() throws {
        #expect(try outcome { $0.record(.applicationData, [1]) }.alert == .unexpectedMessage)
    }

    @Test("an empty handshake record and an empty alert", arguments: [ContentType.handshake, .alert])
    func empty(type: ContentType) throws {
        #expect(try outcome { $0.record(type, []) }.alert == .unexpectedMessage)
    }

    @Test("a Finished message in pieces is one, but not with something between them", arguments: [UInt8(1), 2])
    func fragments(level: UInt8) throws {
        let whole = try outcome { client in
            let finished = try client.finished()
            return client.record(.handshake, Array(finished.prefix(7)))
                + client.record(.handshake, Array(finished.dropFirst(7)))
        }
        #expect(whole.isEstablished)
        let interleaved = try outcome { client in
            let finished = try client.finished()
            return client.record(.handshake, Array(finished.prefix(7))) + client.record(.alert, [level, 90])
                + client.record(.handshake, Array(finished.dropFirst(7)))
        }
        #expect(interleaved.alert == .unexpectedMessage)
    }

    @Test("a Finished message that does not end its record (RFC 8446 section 5.1)")
    func finishedInsideRecord() throws {
        let outcome = try outcome { client in
            let finished = try client.finished()
            return client.record(.handshake, finished + [24])
        }
        #expect(outcome.alert == .unexpectedMessage)
    }

    @Test("records without protection, and of a type that nobody has defined", arguments: [UInt8(22), 23, 99])
    func unprotected(type: UInt8) throws {
        let outcome = try outcome { _ in [type, 3, 3, 0, 24] + [UInt8](repeating: 1, count: 24) }
        #expect(outcome.alert == (type == 23 ? .badRecordMAC : .unexpectedMessage))
    }

    @Test("a record that is too long")
    func tooLong() throws {
        let outcome = try outcome { _ in [23, 3, 3, 0x41, 0x01] + [UInt8](repeating: 1, count: 0x4101) }
        #expect(outcome.alert == .recordOverflow)
    }
}
