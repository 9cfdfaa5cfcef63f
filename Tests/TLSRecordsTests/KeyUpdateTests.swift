import Testing

@testable import TLSRecords

@Suite("Key updates (RFC 8446 section 4.6.3)")
struct KeyUpdateTests {
    @Test(
        "either end changes its key and the other follows",
        arguments: [CipherSuite.aes128GCM, .aes256GCM, .chaCha20Poly1305])
    func update(suite: CipherSuite) throws {
        var ends = Endpoints(suite)
        for round in 0..<4 {
            try ends.client.updateKeys()
            try ends.client.send([UInt8(round)])
            ends.flushToServer()
            let got = try ends.server.readAll()
            #expect(got.events == [.keyUpdate(requested: false)])
            #expect(got.data == [UInt8(round)])
            try ends.server.updateKeys()
            try ends.server.send([UInt8(round), 9])
            ends.flushToClient()
            #expect(try ends.client.readAll().data == [UInt8(round), 9])
        }
    }

    @Test("a requested update is answered at once when nothing waits to be written")
    func answered() throws {
        var ends = Endpoints(.aes128GCM)
        try ends.client.updateKeys(requestingPeer: true)
        ends.flushToServer()
        #expect(try ends.server.readAll().events == [.keyUpdate(requested: true)])
        ends.flushToClient()
        #expect(try ends.client.readAll().events == [.keyUpdate(requested: false)])
    }

    @Test("an owed answer waits for earlier ciphertext, is owed once, and survives a move")
    func owed() throws {
        var ends = Endpoints(.aes256GCM)
        try ends.server.send(pattern(100))
        for _ in 0..<5 {
            try ends.client.updateKeys(requestingPeer: true)
            ends.flushToServer()
            _ = try ends.server.readAll()
            ends.moveServer()
        }
        #expect(ends.server.progress.owesKeyUpdate == true)
        ends.flushToClient()
        ends.flushToClient()
        let got = try ends.client.readAll()
        #expect(got.data == pattern(100))
        #expect(got.events == [.keyUpdate(requested: false)])
    }

    @Test("an owed answer goes out before the next application data")
    func owedBeforeData() throws {
        var ends = Endpoints(.aes128GCM)
        try ends.server.send([1])
        try ends.client.updateKeys(requestingPeer: true)
        ends.flushToServer()
        _ = try ends.server.readAll()
        ends.moveServer()
        try ends.server.send([2])
        ends.flushToClient()
        var order: [Event] = []
        while let event = try ends.client.nextEvent() {
            order.append(event)
            ends.client.consumeUnread(ends.client.unreadCount)
        }
        #expect(order == [.applicationData(1), .keyUpdate(requested: false), .applicationData(1)])
    }

    @Test("a request after our close_notify is owed nothing, and the connection can still move")
    func requestedAfterClose() throws {
        var ends = Endpoints(.aes128GCM)
        ends.server.close()
        try ends.client.updateKeys(requestingPeer: true)
        try ends.client.send([1])
        ends.flushToServer()
        ends.moveServer()
        let got = try ends.server.readAll()
        #expect(got.events == [.keyUpdate(requested: true)])
        ends.moveServer()
        #expect(ends.server.progress.owesKeyUpdate == false)
    }

    @Test("the key changes by itself before the AEAD's limit, and the count goes on across moves")
    func limit() throws {
        let limits = RecordLimits(.tls13, blocksPerKey: 20)
        var ends = Endpoints(.aes128GCM, serverLimits: limits)
        var updates = 0
        for round in 0..<40 {
            try ends.server.send([UInt8(round)])
            ends.moveServer()
            ends.flushToClient()
            let got = try ends.client.readAll()
            #expect(got.data == [UInt8(round)])
            updates += got.events.count
        }
        #expect(updates == 3)
    }

    @Test("TLS 1.2 sends nothing beyond the limit, because it cannot change its key, and can still be read and closed")
    func limitTLS12() throws {
        var ends = Endpoints(.ecdheRSAWithAES128GCM, serverLimits: RecordLimits(.tls12, blocksPerKey: 20))
        #expect(throws: TLSError(.keyExhausted)) { try ends.server.send(pattern(1000)) }
        #expect(ends.server.outgoingCount == 0)
        var sent = 0
        let error = #expect(throws: TLSError.self) {
            while sent < 100 {
                try ends.server.send([1])
                sent += 1
                ends.moveServer()
            }
        }
        #expect(error == TLSError(.keyExhausted))
        #expect(sent == 10)
        try ends.client.send([7])
        ends.flushToServer()
        #expect(try ends.server.readAll().data == [7])
        ends.server.close()
        ends.flushToClient()
        let got = try ends.client.readAll()
        #expect(got.data.count == sent)
        #expect(got.events == [.closeNotify])
    }

    @Test("an application cannot raise the limit above the AEAD's")
    func limitCannotBeRaised() throws {
        let secrets = SecretPair(.aes128GCM)
        var snapshot = secrets.snapshot(.server, limits: RecordLimits(.tls13, blocksPerKey: 1 << 60))
        snapshot.write = DirectionState(secret: secrets.server.copy(), sequence: 1 << 30, blocks: 1 << 34)
        var server = Connection(resuming: snapshot)
        try server.send([1])
        #expect(server.writer.state.sequence == 1)
    }

    @Test("TLS 1.2 refuses to update")
    func refused() throws {
        var ends = Endpoints(.ecdheECDSAWithAES256GCM)
        #expect(throws: TLSError(.noKeyUpdate)) { try ends.client.updateKeys() }
    }

    @Test("the default limit of AES-GCM is below 2^24.5 full records, and ChaCha20-Poly1305 has none")
    func defaults() {
        let fullRecord = RecordProtection.blocks(16_384)
        #expect(AEAD.aes128GCM.defaultBlockLimit / fullRecord <= 23_726_566)
        #expect(AEAD.aes256GCM.defaultBlockLimit / fullRecord >= 1 << 23)
        #expect(AEAD.chaCha20Poly1305.defaultBlockLimit == .max)
    }
}
