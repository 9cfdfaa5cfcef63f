import BatonCore
import Testing

@testable import TLSRecords

/// What we send ourselves, record by record: the other half of each rule for receivers.
@Suite("The records we send")
struct EmittedRecordTests {
    struct Emitted {
        var header: RecordHeader
        var type: UInt8
        var content: [UInt8]
        var innerLength: Int
        /// Bytes behind the content and its type.
        var padding: [UInt8]
    }

    /// Everything that `connection` has queued, opened with its own key.
    private func records(
        _ connection: inout Connection, suite: CipherSuite, secret: borrowing SecretBytes
    ) throws -> [Emitted] {
        var wire = connection.takeOutgoing()
        var reader = RecordProtection(suite: suite, state: DirectionState(secret: secret.copy()))
        var emitted: [Emitted] = []
        while !wire.isEmpty {
            let header = try #require(wire.withUnsafeBytes { RecordHeader($0) })
            let opened = wire.withUnsafeMutableBytes { reader.open($0.baseAddress!, header: header) }
            let place = try #require(opened)
            let end = place.offset + place.count
            let inner = place.offset + place.innerLength
            emitted.append(
                Emitted(
                    header: header, type: place.type, content: Array(wire[place.offset..<end]),
                    innerLength: place.innerLength, padding: suite.version == .tls13 ? Array(wire[end + 1..<inner]) : []
                ))
            if place.type == 22, suite.version == .tls13 { reader.updateSecret() }
            wire.removeFirst(RecordHeader.length + header.length)
        }
        return emitted
    }

    private func check(_ emitted: [Emitted], _ suite: CipherSuite) {
        for record in emitted {
            #expect(record.header.version == 0x0303)
            #expect(record.header.type == (suite.version == .tls13 ? 23 : record.type))
            #expect(record.innerLength <= RecordLimits.largest(suite.version))
            #expect(record.padding.isEmpty)
            switch record.type {
            case 21: #expect(record.content.count == 2)
            case 22: #expect(record.content == [24, 0, 0, 1, 0] || record.content == [24, 0, 0, 1, 1])
            default: #expect(record.type == 23)
            }
        }
    }

    @Test("data, key updates and the close_notify have the form that is due", arguments: CipherSuite.allCases)
    func inOrder(suite: CipherSuite) throws {
        let secrets = SecretPair(suite)
        var server = Connection(resuming: secrets.snapshot(.server))
        try server.send(pattern(40_000))
        if suite.version == .tls13 {
            try server.updateKeys(requestingPeer: true)
            try server.updateKeys()
        }
        try server.send([1])
        server.close()
        server.close()
        let emitted = try records(&server, suite: suite, secret: secrets.server)
        check(emitted, suite)
        #expect(emitted.filter { $0.type == 21 }.map(\.content) == [[1, 0]])
        #expect(emitted.last?.type == 21)
        #expect(emitted.filter { $0.type == 23 }.flatMap(\.content) == pattern(40_000) + [1])
        #expect(throws: TLSError(.writeClosed)) { try server.send([2]) }
    }

    @Test("an error is one fatal alert, and nothing after it", arguments: CipherSuite.allCases)
    func error(suite: CipherSuite) throws {
        let secrets = SecretPair(suite)
        var server = Connection(resuming: secrets.snapshot(.server))
        server.receive([99, 3, 3, 0, 1, 1])
        #expect(expectedFailure(&server)?.alert == .unexpectedMessage)
        server.close()
        #expect(throws: TLSError.self) { try server.send([2]) }
        server.receive([99, 3, 3, 0, 1, 1])
        _ = expectedFailure(&server)
        let emitted = try records(&server, suite: suite, secret: secrets.server)
        check(emitted, suite)
        #expect(emitted.map(\.content) == [[2, 10]])
    }

    @Test("TLS 1.2: renegotiation is refused by a warning")
    func warning() throws {
        let suite = CipherSuite.ecdheRSAWithAES128GCM
        let secrets = SecretPair(suite)
        var forger = secrets.forger(against: .server)
        var server = Connection(resuming: secrets.snapshot(.server))
        server.receive(forger.record(.handshake, [1, 0, 0, 2, 3, 3]))
        _ = try server.readAll()
        let emitted = try records(&server, suite: suite, secret: secrets.server)
        check(emitted, suite)
        #expect(emitted.map(\.content) == [[1, 100]])
    }
}
