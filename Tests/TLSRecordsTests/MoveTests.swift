import Testing

@testable import TLSRecords

@Suite("Moves in mid-stream")
struct MoveTests {
    /// What a peer sends: data, a key update in the middle (TLS 1.3), data under the new key, a close_notify.
    private static func stream(_ suite: CipherSuite, _ secrets: borrowing SecretPair) throws -> [UInt8] {
        var client = Connection(resuming: secrets.snapshot(.client))
        try client.send(pattern(40))
        try client.send(pattern(3, seed: 1))
        if suite.version == .tls13 { try client.updateKeys() }
        try client.send(pattern(25, seed: 2))
        client.close()
        return client.takeOutgoing()
    }

    @Test("at every byte of a stream of records, a key update and an alert", arguments: CipherSuite.allCases)
    func everyOffset(suite: CipherSuite) throws {
        let secrets = SecretPair(suite)
        let wire = try MoveTests.stream(suite, secrets)
        let expected = pattern(40) + pattern(3, seed: 1) + pattern(25, seed: 2)
        for offset in 0...wire.count {
            for readsBefore in [true, false] {
                var server = Connection(resuming: secrets.snapshot(.server))
                var data: [UInt8] = []
                var events: [Event] = []
                server.receive(Array(wire[..<offset]))
                if readsBefore {
                    let got = try server.readAll()
                    data += got.data
                    events += got.events
                }
                server = server.movedThroughBytes()
                server.receive(Array(wire[offset...]))
                let got = try server.readAll()
                #expect(data + got.data == expected, "moved at byte \(offset)")
                #expect((events + got.events).last == .closeNotify)
            }
        }
    }

    @Test("with a key update split over records at every byte of it")
    func splitKeyUpdate() throws {
        for cut in 1..<5 {
            let secrets = SecretPair(.aes256GCM)
            var forger = secrets.forger(against: .server)
            let message = RecordForger.keyUpdate(0)
            let wire =
                forger.record(.handshake, Array(message[..<cut])) + forger.record(.handshake, Array(message[cut...]))
            for offset in 0...wire.count {
                var server = Connection(resuming: secrets.snapshot(.server))
                server.receive(Array(wire[..<offset]))
                var events = try server.readAll().events
                server = server.movedThroughBytes()
                server.receive(Array(wire[offset...]))
                events += try server.readAll().events
                #expect(events == [.keyUpdate(requested: false)])
            }
        }
    }

    @Test("with plaintext read up to every byte", arguments: [CipherSuite.chaCha20Poly1305, .ecdheECDSAWithAES128GCM])
    func unreadPlaintext(suite: CipherSuite) throws {
        for read in 0...30 {
            var ends = Endpoints(suite)
            try ends.client.send(pattern(30))
            try ends.client.send(pattern(10, seed: 5))
            ends.flushToServer()
            _ = try ends.server.nextEvent()
            ends.server.consumeUnread(read)
            ends.moveServer()
            ends.moveServer()
            #expect(try ends.server.readAll().data == Array(pattern(30)[read...]) + pattern(10, seed: 5))
        }
    }

    @Test("unsent ciphertext is written later byte for byte, cut at every byte", arguments: CipherSuite.allCases)
    func unsentCiphertext(suite: CipherSuite) throws {
        let witness = NonceWitness()
        try NonceWitness.$current.withValue(witness) {
            var ends = Endpoints(suite)
            try ends.server.send(pattern(50))
            let before = ends.server.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
            for written in 0..<before.count {
                #expect(ends.server.outgoingCount == before.count - written)
                let byte = ends.server.withOutgoing { span in span.withUnsafeBytes { $0[0] } }
                #expect(byte == before[written])
                ends.client.receive([byte])
                ends.server.didWrite(1)
                ends.moveServer()
            }
            #expect(try ends.client.readAll().data == pattern(50))
            #expect(witness.count == 1)
        }
    }

    @Test("with an alert still to be written")
    func pendingAlert() throws {
        var ends = Endpoints(.aes128GCM)
        ends.server.receive([23, 3, 3, 0, 17] + [UInt8](repeating: 1, count: 17))
        #expect(expectedFailure(&ends.server)?.code == .badRecord)
        ends.moveServer()
        #expect(ends.server.failure == TLSError(.badRecord, alert: .badRecordMAC))
        #expect(throws: TLSError(.badRecord, alert: .badRecordMAC)) { try ends.server.send([1]) }
        ends.flushToClient()
        #expect(expectedFailure(&ends.client) == TLSError(.peerAlert, alert: .badRecordMAC))
    }

    @Test("half-closed either way", arguments: CipherSuite.allCases)
    func halfClosed(suite: CipherSuite) throws {
        var ends = Endpoints(suite)
        ends.client.close()
        ends.flushToServer()
        #expect(try ends.server.readAll().events == [.closeNotify])
        ends.moveServer()
        #expect(ends.server.isReadClosed == true)
        try ends.server.send(pattern(9))
        ends.server.close()
        ends.moveServer()
        #expect(ends.server.isWriteClosed == true)
        #expect(throws: TLSError(.writeClosed)) { try ends.server.send([1]) }
        ends.flushToClient()
        let got = try ends.client.readAll()
        #expect(got.data == pattern(9))
        #expect(got.events == [.closeNotify])
    }

    @Test("no key and nonce seal twice along a chain of a hundred owners", arguments: CipherSuite.allCases)
    func noNonceTwice(suite: CipherSuite) throws {
        let witness = NonceWitness()
        try NonceWitness.$current.withValue(witness) {
            var ends = Endpoints(
                suite, serverLimits: RecordLimits(suite.version, blocksPerKey: suite.version == .tls13 ? 50 : nil))
            for round in 0..<100 {
                try ends.client.send(pattern(round))
                try ends.server.send(pattern(round, seed: 3))
                if suite.version == .tls13, round % 7 == 0 { try ends.client.updateKeys(requestingPeer: true) }
                ends.flushToServer()
                #expect(try ends.server.readAll().data == pattern(round))
                ends.moveServer()
                ends.flushToClient()
                #expect(try ends.client.readAll().data == pattern(round, seed: 3))
            }
            #expect(witness.repeated == 0)
            #expect(witness.count >= 198)
        }
    }

    @Test("the witness does see a nonce used twice, when a copy of a snapshot is resumed against all rules")
    func witnessWorks() throws {
        let witness = NonceWitness()
        try NonceWitness.$current.withValue(witness) {
            let secrets = SecretPair(.aes128GCM)
            for _ in 0..<2 {
                var connection = Connection(resuming: secrets.snapshot(.server))
                try connection.send([1])
            }
        }
        #expect(witness.repeated == 1)
    }

    @Test("ciphertext a front has read goes in front of what the new owner reads")
    func appendedInbound() throws {
        let secrets = SecretPair(.aes128GCM)
        var client = Connection(resuming: secrets.snapshot(.client))
        try client.send(pattern(100))
        let wire = client.takeOutgoing()
        var snapshot = secrets.snapshot(.server)
        wire[..<50].withUnsafeBytes { snapshot.appendInbound($0) }
        var server = Connection(resuming: snapshot)
        server.receive(Array(wire[50...]))
        #expect(try server.readAll().data == pattern(100))
    }
}
