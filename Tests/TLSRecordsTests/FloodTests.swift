import Testing

@testable import TLSRecords

/// Legal records that carry nothing: how many a peer may send in a row, and what begins the row anew.
@Suite("Floods, and peers that only look like one")
struct FloodTests {
    /// Records that carry nothing, each with the most that may come in a row.
    enum Kind: CaseIterable, CustomTestStringConvertible {
        case emptyRecord, warning, keyUpdate, ticket, renegotiation

        var testDescription: String { "\(self)" }
        var suite: CipherSuite { self == .warning || self == .renegotiation ? .ecdheRSAWithAES128GCM : .aes128GCM }
        var role: Role { self == .ticket ? .client : .server }
        var most: Int { self == .warning || self == .renegotiation ? 4 : 32 }

        var error: TLSError.Code {
            switch self {
            case .emptyRecord: .tooManyEmptyRecords
            case .warning: .tooManyWarnings
            case .keyUpdate: .tooManyKeyUpdates
            case .ticket: .tooManyTickets
            case .renegotiation: .tooManyRenegotiations
            }
        }

        func record(_ forger: inout RecordForger) -> [UInt8] {
            switch self {
            case .emptyRecord: return forger.record(.applicationData, [])
            case .warning: return forger.record(.alert, [1, Alert.userCanceled.rawValue])
            case .keyUpdate:
                let record = forger.record(.handshake, RecordForger.keyUpdate(0))
                forger.protection.updateSecret()
                return record
            case .ticket:
                return forger.record(
                    .handshake, [4, 0, 0, 16, 0, 0, 0, 60, 1, 2, 3, 4, 1, 9, 0, 2, 7, 7, 0, 0])
            case .renegotiation: return forger.record(.handshake, [1, 0, 0, 2, 3, 3])
            }
        }
    }

    @Test("so many in a row and not one more, also when the connection moves in between", arguments: Kind.allCases)
    func flood(kind: Kind) throws {
        let secrets = SecretPair(kind.suite)
        var forger = secrets.forger(against: kind.role)
        var connection = Connection(resuming: secrets.snapshot(kind.role))
        for _ in 0..<kind.most {
            connection.receive(kind.record(&forger))
            _ = try connection.readAll()
            connection = connection.movedThroughBytes()
        }
        connection.receive(kind.record(&forger))
        #expect(expectedFailure(&connection) == TLSError(kind.error, alert: .unexpectedMessage))
    }

    @Test("one an hour for years", arguments: Kind.allCases)
    func idle(kind: Kind) throws {
        let secrets = SecretPair(kind.suite)
        var forger = secrets.forger(against: kind.role)
        var connection = Connection(resuming: secrets.snapshot(kind.role))
        for hour in 0..<2_000 as Range<UInt64> {
            connection.noteTime(hour * 3_600_000)
            connection.receive(kind.record(&forger))
            _ = try connection.readAll()
            _ = connection.takeOutgoing()
        }
    }

    @Test("each second begins the row anew, a part of one does not", arguments: Kind.allCases)
    func seconds(kind: Kind) throws {
        let secrets = SecretPair(kind.suite)
        var forger = secrets.forger(against: kind.role)
        var connection = Connection(resuming: secrets.snapshot(kind.role))
        for second in 0..<10 as Range<UInt64> {
            for piece in 0..<UInt64(kind.most) {
                connection.noteTime(second * 1_000 + piece * 999 / UInt64(kind.most))
                connection.receive(kind.record(&forger))
                _ = try connection.readAll()
            }
        }
        connection.noteTime(9_999)
        connection.receive(kind.record(&forger))
        #expect(expectedFailure(&connection)?.code == kind.error)
    }

    @Test("data that comes, and data that goes, begins the row anew", arguments: Kind.allCases, [true, false])
    func data(kind: Kind, comes: Bool) throws {
        // Renegotiation is no part of a conversation: only time counts.
        guard kind != .renegotiation else { return }
        let secrets = SecretPair(kind.suite)
        var forger = secrets.forger(against: kind.role)
        var connection = Connection(resuming: secrets.snapshot(kind.role))
        for _ in 0..<20 {
            for _ in 0..<kind.most { connection.receive(kind.record(&forger)) }
            if comes {
                connection.receive(forger.record(.applicationData, [1]))
                #expect(try connection.readAll().data == [1])
            } else {
                _ = try connection.readAll()
                try connection.send([1])
            }
        }
    }

    @Test("a clock that goes back lets nobody begin anew")
    func clockGoesBack() throws {
        let secrets = SecretPair(.aes128GCM)
        var forger = secrets.forger(against: .server)
        var server = Connection(resuming: secrets.snapshot(.server))
        for turn in 0..<32 as Range<UInt64> {
            server.noteTime(turn % 2 == 0 ? .max : 0)
            server.receive(Kind.emptyRecord.record(&forger))
            _ = try server.readAll()
        }
        server.receive(Kind.emptyRecord.record(&forger))
        #expect(expectedFailure(&server)?.code == .tooManyEmptyRecords)
    }

    /// What a JDK does beyond its key limit: a KeyUpdate for every record that it reads, until it has our answer.
    @Test("a listener may answer every record that was under way with a KeyUpdate", arguments: [40, 5_000])
    func listener(records: Int) throws {
        var ends = Endpoints(.aes128GCM)
        for _ in 0..<records { try ends.server.send([1]) }
        ends.flushToClient()
        ends.moveServer()
        #expect(try ends.client.readAll().data.count == records)
        for index in 0..<records {
            try ends.client.updateKeys(requestingPeer: true)
            ends.flushToServer()
            if index == records / 2 { ends.moveServer() }
            #expect(try ends.server.readAll().events == [.keyUpdate(requested: true)])
        }
        // From here on it is a flood like any other.
        try ends.expectFloodOfKeyUpdatesToEnd()
    }

    @Test("requests that come together are answered together (RFC 8446 section 4.6.3)")
    func oneAnswer() throws {
        var ends = Endpoints(.aes128GCM)
        for _ in 0..<400 { try ends.server.send([1]) }
        ends.flushToClient()
        _ = try ends.client.readAll()
        for _ in 0..<400 { try ends.client.updateKeys(requestingPeer: true) }
        ends.flushToServer()
        #expect(try ends.server.readAll().events.count == 400)
        try ends.server.send([2])
        ends.flushToClient()
        let got = try ends.client.readAll()
        #expect(got.data == [2])
        #expect(got.events.count <= 2)
        ends.flushToClient()
        #expect(try ends.client.readAll().events.isEmpty)
    }

    @Test("a reader that does not know the account of key updates takes the snapshot all the same")
    func accountMayBeIgnored() {
        #expect(SnapshotField.paidKeyUpdates.rawValue & SnapshotField.ignorable != 0)
    }
}
