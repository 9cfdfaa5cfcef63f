import Testing

@testable import TLSRecords

@Suite("A peer that breaks the protocol")
struct ViolationTests {
    /// Feeds a TLS 1.3 server what `forge` makes and returns how the connection ended, checking that the peer was told.
    private func outcome(
        _ suite: CipherSuite = .aes128GCM, _ role: Role = .server, _ forge: (inout RecordForger) -> [UInt8]
    ) throws -> TLSError? {
        let secrets = SecretPair(suite)
        var forger = secrets.forger(against: role)
        var connection = Connection(resuming: secrets.snapshot(role))
        connection.receive(forge(&forger))
        let error = expectedFailure(&connection)
        if let error, let alert = error.alert, error.code != .peerAlert {
            var peer = Connection(resuming: secrets.snapshot(role == .server ? .client : .server))
            transfer(&connection, &peer)
            #expect(expectedFailure(&peer) == TLSError(.peerAlert, alert: alert))
            #expect(connection.isWriteClosed == true)
        }
        return error
    }

    @Test("a change_cipher_spec after the handshake", arguments: [CipherSuite.aes128GCM, .ecdheRSAWithAES128GCM])
    func changeCipherSpec(suite: CipherSuite) throws {
        let error = try outcome(suite) { _ in [20, 3, 3, 0, 1, 1] }
        #expect(error == TLSError(.unexpectedRecord, alert: .unexpectedMessage))
    }

    @Test("a record type that does not exist", arguments: [UInt8(0), 19, 24, 25, 255])
    func unknownType(type: UInt8) throws {
        #expect(try outcome { _ in [type, 3, 3, 0, 1] }?.code == .unexpectedRecord)
        #expect(try outcome(.ecdheRSAWithAES128GCM) { _ in [type, 3, 3, 0, 1] }?.code == .unexpectedRecord)
    }

    @Test("an unprotected alert or handshake record in TLS 1.3", arguments: [UInt8(21), 22])
    func unprotected(type: UInt8) throws {
        #expect(try outcome { _ in [type, 3, 3, 0, 2, 1, 0] }?.code == .unexpectedRecord)
    }

    @Test("another version in a TLS 1.2 header; TLS 1.3 ignores it for parsing but authenticates it")
    func version() throws {
        #expect(
            try outcome(.ecdheRSAWithAES128GCM) { _ in [23, 3, 1, 0, 1] }
                == TLSError(.wrongRecordVersion, alert: .protocolVersion))
        let error = try outcome { forger in
            var record = forger.record(.applicationData, [1])
            record[2] = 1
            return record
        }
        #expect(error == TLSError(.badRecord, alert: .badRecordMAC))
    }

    @Test("any changed byte of a record", arguments: CipherSuite.allCases)
    func tampering(suite: CipherSuite) throws {
        for index in 5..<60 {
            let error = try outcome(suite) { forger in
                var record = forger.record(.applicationData, pattern(40))
                if index < record.count { record[index] ^= 0x40 } else { record[record.count - 1] ^= 1 }
                return record
            }
            #expect(error == TLSError(.badRecord, alert: .badRecordMAC))
        }
    }

    @Test("records too short to hold a tag", arguments: CipherSuite.allCases)
    func tooShort(suite: CipherSuite) throws {
        for length in 0...24 {
            let error = try outcome(suite) { _ in [23, 3, 3, 0, UInt8(length)] + [UInt8](repeating: 0, count: length) }
            #expect(error?.code == .badRecord)
        }
    }

    @Test("a record announced longer than allowed is refused before it is waited for")
    func overflow() throws {
        #expect(try outcome { _ in [23, 3, 3, 0x41, 0x01] } == TLSError(.recordTooLong, alert: .recordOverflow))
        #expect(try outcome { _ in [23, 3, 3, 0x41, 0x00] } == nil)
        #expect(
            try outcome(.ecdheRSAWithAES128GCM) { _ in [23, 3, 3, 0x48, 0x01] }
                == TLSError(.recordTooLong, alert: .recordOverflow))
    }

    @Test("a record that holds only zeros, and empty handshake fragments and alerts")
    func empty() throws {
        #expect(try outcome { $0.record(inner: [0, 0, 0], sequence: 0) }?.code == .emptyRecord)
        #expect(try outcome { $0.record(.handshake, []) }?.code == .emptyRecord)
        #expect(try outcome { $0.record(.alert, []) } == TLSError(.emptyRecord, alert: .unexpectedMessage))
        #expect(try outcome { $0.record(.alert, [1]) }?.code == .malformedAlert)
        #expect(try outcome { $0.record(.alert, [1, 0, 1, 0]) }?.code == .malformedAlert)
        #expect(try outcome { $0.record(.changeCipherSpec, [1]) }?.code == .unexpectedRecord)
    }

    @Test("empty records are allowed, but not more than thirty-two in a row", arguments: CipherSuite.allCases)
    func manyEmpty(suite: CipherSuite) throws {
        func empties(_ count: Int, _ forger: inout RecordForger) -> [UInt8] {
            (0..<count).flatMap { _ in forger.record(.applicationData, []) }
        }
        #expect(try outcome(suite) { empties(32, &$0) + $0.record(.applicationData, [1]) + empties(32, &$0) } == nil)
        #expect(try outcome(suite) { empties(33, &$0) }?.code == .tooManyEmptyRecords)
    }

    @Test("warnings are ignored, but not many in a row")
    func warnings() throws {
        func warnings(_ count: Int, _ alert: Alert, _ forger: inout RecordForger) -> [UInt8] {
            (0..<count).flatMap { _ in forger.record(.alert, [1, alert.rawValue]) }
        }
        #expect(try outcome { warnings(4, .userCanceled, &$0) } == nil)
        #expect(try outcome { warnings(5, .userCanceled, &$0) }?.code == .tooManyWarnings)
        #expect(try outcome(.ecdheRSAWithAES128GCM) { warnings(4, .noRenegotiation, &$0) } == nil)
        #expect(try outcome(.ecdheRSAWithAES128GCM) { warnings(5, .noRenegotiation, &$0) }?.code == .tooManyWarnings)
        // In TLS 1.3 the level says nothing (RFC 8446 section 6).
        #expect(
            try outcome { warnings(1, .noRenegotiation, &$0) } == TLSError(.peerAlert, alert: .noRenegotiation))
    }

    @Test("a fatal alert ends the connection and is not answered")
    func fatalAlert() throws {
        for suite in [CipherSuite.aes128GCM, .ecdheRSAWithAES128GCM] {
            let secrets = SecretPair(suite)
            var forger = secrets.forger(against: .server)
            var server = Connection(resuming: secrets.snapshot(.server))
            server.receive(forger.record(.alert, [2, 48]))
            #expect(expectedFailure(&server) == TLSError(.peerAlert, alert: .unknownCA))
            #expect(server.outgoingCount == 0)
            #expect(expectedFailure(&server) == TLSError(.peerAlert, alert: .unknownCA))
        }
    }

    @Test("a key update that is malformed, inside its record, or out of range")
    func keyUpdates() throws {
        #expect(
            try outcome { $0.record(.handshake, [24, 0, 0, 1, 2]) }
                == TLSError(.malformedMessage, alert: .illegalParameter))
        #expect(
            try outcome { $0.record(.handshake, [24, 0, 0, 2, 0, 0]) }
                == TLSError(.malformedMessage, alert: .decodeError))
        #expect(try outcome { $0.record(.handshake, [24, 0, 0, 0]) }?.code == .malformedMessage)
        let error = try outcome { $0.record(.handshake, RecordForger.keyUpdate(0) + [24]) }
        #expect(error == TLSError(.keyUpdateInsideRecord, alert: .unexpectedMessage))
        #expect(
            try outcome(.ecdheRSAWithAES128GCM) { $0.record(.handshake, RecordForger.keyUpdate(0)) }?.code
                == .unexpectedMessage)
    }

    @Test("key updates without end")
    func manyKeyUpdates() throws {
        var ends = Endpoints(.aes128GCM)
        try ends.expectFloodOfKeyUpdatesToEnd()
    }

    @Test("a peer that only listens may change its key again and again while we send")
    func keyUpdatesOfAListener() throws {
        var ends = Endpoints(.aes128GCM)
        for _ in 0..<100 {
            try ends.server.send([1])
            ends.flushToClient()
            _ = try ends.client.readAll()
            try ends.client.updateKeys()
            ends.flushToServer()
            #expect(try ends.server.readAll().events.count == 1)
        }
    }

    @Test(
        "TLS 1.3: data, a warning or a close_notify inside a handshake message that spans records (RFC 8446 section 5.1)",
        arguments: [[23, 1], [23], [21, 1, 90], [21, 1, 0]] as [[UInt8]])
    func interleaved(record: [UInt8]) throws {
        let error = try outcome { forger in
            forger.record(.handshake, [24, 0])
                + forger.record(ContentType(rawValue: record[0])!, Array(record.dropFirst()))
        }
        #expect(error == TLSError(.interleavedMessage, alert: .unexpectedMessage))
    }

    @Test("a peer that gives up inside a message of its own is not told that this, too, is wrong")
    func fatalAlertInsideMessage() throws {
        let error = try outcome { $0.record(.handshake, [24, 0]) + $0.record(.alert, [2, 80]) }
        #expect(error == TLSError(.peerAlert, alert: .internalError))
    }

    @Test("TLS 1.2: data and warnings inside a handshake message are processed (RFC 5246 section 6.2.1)")
    func interleavedTLS12() throws {
        let secrets = SecretPair(.ecdheRSAWithAES128GCM)
        var forger = secrets.forger(against: .server)
        var server = Connection(resuming: secrets.snapshot(.server))
        server.receive(
            forger.record(.handshake, [1, 0, 0, 2, 3]) + forger.record(.applicationData, [7])
                + forger.record(.alert, [1, 90]) + forger.record(.handshake, [3]))
        #expect(try server.readAll().data == [7])
        var client = Connection(resuming: secrets.snapshot(.client))
        transfer(&server, &client)
        _ = try client.readAll()
        #expect(client.progress.counters.warnings == 1)
    }

    @Test("a TLS 1.2 alert of a level that does not exist")
    func alertLevel() throws {
        for level: UInt8 in [0, 3, 255] {
            #expect(
                try outcome(.ecdheRSAWithAES128GCM) { $0.record(.alert, [level, 90]) }
                    == TLSError(.malformedAlert, alert: .illegalParameter))
        }
        #expect(try outcome { $0.record(.alert, [0, 90]) } == nil)
    }

    @Test("an alert that nobody has defined ends the connection in TLS 1.3, at any level", arguments: [UInt8(1), 2])
    func unknownAlert(level: UInt8) throws {
        let error = try outcome { $0.record(.alert, [level, 200]) }
        #expect(error == TLSError(.peerAlert, alert: Alert(rawValue: 200)))
    }

    @Test("a key update in pieces is one; a ticket before it in its record is none of its business")
    func keyUpdateInPieces() throws {
        let secrets = SecretPair(.aes128GCM)
        var forger = secrets.forger(against: .client)
        var client = Connection(resuming: secrets.snapshot(.client))
        let ticket: [UInt8] = [4, 0, 0, 16, 0, 0, 0, 60, 1, 2, 3, 4, 1, 9, 0, 2, 7, 7, 0, 0]
        client.receive(forger.record(.handshake, ticket + [24]))
        client.receive(forger.record(.handshake, [0, 0, 1]))
        client.receive(forger.record(.handshake, [0]))
        forger.protection.updateSecret()
        client.receive(forger.record(.applicationData, [5]))
        let got = try client.readAll()
        #expect(got.data == [5])
        #expect(got.events.last == .keyUpdate(requested: false))
    }

    @Test("a record under the new key before the KeyUpdate that announces it (RFC 8446 section 4.6.3)")
    func newKeyTooEarly() throws {
        let error = try outcome { forger in
            forger.protection.updateSecret()
            return forger.record(.applicationData, [1])
        }
        #expect(error == TLSError(.badRecord, alert: .badRecordMAC))
    }

    @Test("a message that announces more than any message may have")
    func longMessage() throws {
        let error = try outcome(.aes128GCM, .client) { $0.record(.handshake, [4, 0xFF, 0xFF, 0xFF]) }
        #expect(error == TLSError(.messageTooLong, alert: .decodeError))
        #expect(try outcome { $0.record(.handshake, [24, 0, 0, 2]) }?.code == .malformedMessage)
        #expect(try outcome { $0.record(.handshake, [4, 0, 1, 0]) }?.code == .unexpectedMessage)
    }

    @Test("handshake messages that do not belong after a handshake", arguments: UInt8(0)...25)
    func unexpectedMessages(kind: UInt8) throws {
        if kind != 24 {
            let error = try outcome { $0.record(.handshake, [kind, 0, 0, 0]) }
            #expect(error == TLSError(.unexpectedMessage, alert: .unexpectedMessage))
        }
        if kind != 1 {
            let error = try outcome(.ecdheRSAWithAES128GCM) { $0.record(.handshake, [kind, 0, 0, 0]) }
            #expect(error == TLSError(.unexpectedMessage, alert: .unexpectedMessage))
        }
    }

    @Test("renegotiation is answered with no_renegotiation, and only so often")
    func renegotiation() throws {
        for (role, message) in [(Role.server, [UInt8(1), 0, 0, 2, 3, 3]), (.client, [0, 0, 0, 0])] {
            let secrets = SecretPair(.ecdheRSAWithAES256GCM)
            var forger = secrets.forger(against: role)
            var connection = Connection(resuming: secrets.snapshot(role))
            var peer = Connection(resuming: secrets.snapshot(role == .server ? .client : .server))
            for _ in 0..<4 {
                connection.receive(forger.record(.handshake, message))
                _ = try connection.readAll()
                transfer(&connection, &peer)
                #expect(try peer.readAll().events.isEmpty)
            }
            #expect(peer.progress.counters.warnings == 4)
            connection.receive(forger.record(.handshake, message))
            #expect(expectedFailure(&connection)?.code == .tooManyRenegotiations)
        }
    }

    @Test("a transport that ends without a close_notify is told from one that ends with it")
    func truncation() throws {
        var ends = Endpoints(.aes128GCM)
        ends.server.receiveEnd()
        #expect(expectedFailure(&ends.server) == TLSError(.truncated))
        var others = Endpoints(.aes128GCM)
        others.client.close()
        others.flushToServer()
        others.server.receiveEnd()
        #expect(try others.server.readAll().events == [.closeNotify])
        #expect(try others.server.readAll().events.isEmpty)
    }

    @Test("what arrived before the end of the transport is read before the end is told")
    func readBeforeEnd() throws {
        for closes in [true, false] {
            var ends = Endpoints(.aes128GCM)
            try ends.client.send(pattern(20_000))
            if closes { ends.client.close() }
            ends.flushToServer()
            _ = try ends.server.nextEvent()
            ends.server.receiveEnd()
            var data: [UInt8] = []
            var error: TLSError?
            do {
                while let event = try ends.server.nextEvent(), event != .closeNotify {
                    ends.server.withUnread { span in span.withUnsafeBytes { data += $0 } }
                    ends.server.consumeUnread(ends.server.unreadCount)
                }
            } catch let failure {
                error = failure
            }
            #expect(data == pattern(20_000))
            #expect(error == (closes ? nil : TLSError(.truncated)))
        }
    }

    @Test("what follows a close_notify is dropped")
    func afterClose() throws {
        let secrets = SecretPair(.aes128GCM)
        var forger = secrets.forger(against: .server)
        var server = Connection(resuming: secrets.snapshot(.server))
        server.receive(forger.record(.alert, [1, 0]) + forger.record(.applicationData, [1]))
        let got = try server.readAll()
        #expect(got.data.isEmpty && got.events == [.closeNotify])
        server.receive([1, 2, 3])
        #expect(server.inboundCount == 0)
    }

    @Test("several messages in one record, and tickets split over records, reach a client")
    func tickets() throws {
        let secrets = SecretPair(.aes128GCM)
        var forger = secrets.forger(against: .client)
        var client = Connection(resuming: secrets.snapshot(.client))
        let message: [UInt8] = [4, 0, 0, 16, 0, 0, 0, 60, 1, 2, 3, 4, 1, 9, 0, 2, 7, 7, 0, 0]
        client.receive(forger.record(.handshake, message + message + Array(message[..<6])))
        client.receive(forger.record(.handshake, Array(message[6...])))
        let events = try client.readAll().events
        #expect(events.count == 3)
        guard case .sessionTicket(let ticket) = events[2] else {
            Issue.record("not a ticket")
            return
        }
        #expect(ticket.lifetime == 60 && ticket.nonce == [9] && ticket.ticket == [7, 7])
        client.receive(forger.record(.handshake, [4, 0, 0, 3, 0, 0, 0]))
        #expect(expectedFailure(&client) == TLSError(.malformedMessage, alert: .decodeError))
    }

    @Test("random bytes never trap", arguments: CipherSuite.allCases)
    func random(suite: CipherSuite) throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let secrets = SecretPair(suite)
            var server = Connection(resuming: secrets.snapshot(.server))
            var garbage = (0..<Int.random(in: 0...80, using: &generator)).map { _ in generator.next() as UInt8 }
            if garbage.count > 5, Bool.random() {
                garbage.replaceSubrange(0..<5, with: [23, 3, 3, 0, UInt8(garbage.count - 5)])
            }
            server.receive(garbage)
            _ = expectedFailure(&server)
        }
    }
}
