import BatonCore
import Testing

@testable import TLSRecords

@Suite("Records")
struct RecordTests {
    @Test("what one end sends the other reads", arguments: CipherSuite.allCases, [0, 1, 63, 16_384, 16_385, 100_000])
    func roundTrip(suite: CipherSuite, size: Int) throws {
        var ends = Endpoints(suite)
        let up = pattern(size)
        let down = pattern(size, seed: 9)
        try ends.client.send(up)
        try ends.server.send(down)
        ends.flushToServer()
        ends.flushToClient()
        #expect(try ends.server.readAll().data == up)
        #expect(try ends.client.readAll().data == down)
    }

    @Test("the application records of RFC 8448 section 3 open and seal byte for byte")
    func rfc8448() throws {
        let secret = bytes("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5")
        let expected = bytes(
            """
            1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b6297\
            4e1f5a6292a2977014bd1e3deae63aeebb21694915e4
            """)
        var forger = RecordForger(suite: .aes128GCM, secret: SecretBytes(copying: secret.span.bytes))
        #expect(forger.record(.applicationData, (0..<50).map { UInt8($0) }) == expected)
    }

    @Test("records arrive in pieces of any size", arguments: CipherSuite.allCases, [1, 2, 3, 5, 7, 21, 1000])
    func pieces(suite: CipherSuite, size: Int) throws {
        var ends = Endpoints(suite)
        for count in [10, 0, 300, 17] { try ends.client.send(pattern(count)) }
        let wire = ends.client.takeOutgoing()
        var got: [UInt8] = []
        for start in stride(from: 0, to: wire.count, by: size) {
            ends.server.receive(Array(wire[start..<min(start + size, wire.count)]))
            got += try ends.server.readAll().data
        }
        #expect(got == pattern(10) + pattern(300) + pattern(17))
    }

    @Test("plaintext can be read a byte at a time, and nothing behind it is opened before")
    func partialReads() throws {
        var ends = Endpoints(.aes128GCM)
        try ends.client.send([1, 2, 3])
        try ends.client.send([4])
        ends.flushToServer()
        var got: [UInt8] = []
        while let event = try ends.server.nextEvent() {
            guard case .applicationData(let count) = event else { break }
            #expect(ends.server.unreadCount == count)
            got += [UInt8](unsafeUninitializedCapacity: 1) { buffer, filled in
                var output = OutputRawSpan(buffer: UnsafeMutableRawBufferPointer(buffer), initializedCount: 0)
                ends.server.read(into: &output)
                filled = output.finalize(for: UnsafeMutableRawBufferPointer(buffer))
            }
        }
        #expect(got == [1, 2, 3, 4])
    }

    @Test("a sender keeps to the peer's record size limit", arguments: [CipherSuite.aes128GCM, .ecdheRSAWithAES128GCM])
    func sizeLimit(suite: CipherSuite) throws {
        let limits = RecordLimits(sending: 512, receiving: RecordLimits.largest(suite.version))
        var ends = Endpoints(suite, clientLimits: limits)
        try ends.client.send(pattern(2000))
        let wire = ends.client.takeOutgoing()
        var position = 0
        while position < wire.count {
            let length = Int(wire[position + 3]) << 8 | Int(wire[position + 4])
            #expect(length - 16 - (suite.usesExplicitNonce ? 8 : 0) <= 512)
            position += 5 + length
        }
        ends.server.receive(wire)
        #expect(try ends.server.readAll().data == pattern(2000))
    }

    @Test("a record longer than our own limit is refused", arguments: [CipherSuite.aes128GCM, .ecdheRSAWithAES128GCM])
    func ownLimit(suite: CipherSuite) throws {
        let limits = RecordLimits(sending: RecordLimits.largest(suite.version), receiving: 512)
        var ends = Endpoints(suite, serverLimits: limits)
        try ends.client.send(pattern(513))
        ends.flushToServer()
        #expect(expectedFailure(&ends.server) == TLSError(.recordTooLong, alert: .recordOverflow))
        ends.flushToClient()
        #expect(expectedFailure(&ends.client) == TLSError(.peerAlert, alert: .recordOverflow))
    }

    @Test("padding is taken off, and counts against the limit")
    func padding() throws {
        let secrets = SecretPair(.aes256GCM)
        var server = Connection(resuming: secrets.snapshot(.server))
        let forger = secrets.forger(against: .server)
        server.receive(forger.record(inner: [7, 8, 23] + [UInt8](repeating: 0, count: 1000), sequence: 0))
        #expect(try server.readAll().data == [7, 8])
        server.receive(forger.record(inner: [23] + [UInt8](repeating: 0, count: 16_385), sequence: 1))
        #expect(expectedFailure(&server) == TLSError(.recordTooLong, alert: .recordOverflow))
    }

    @Test("an idle connection gives its contexts back and goes on", arguments: CipherSuite.allCases)
    func idle(suite: CipherSuite) throws {
        var ends = Endpoints(suite)
        for round in 0..<3 {
            try ends.client.send([UInt8(round)])
            ends.client.releaseIdleMemory()
            ends.flushToServer()
            ends.client.releaseIdleMemory()
            ends.server.releaseIdleMemory()
            #expect(try ends.server.readAll().data == [UInt8(round)])
        }
    }

    @Test("both ends export the same keying material", arguments: CipherSuite.allCases)
    func exporter(suite: CipherSuite) throws {
        let secrets = SecretPair(suite)
        let snapshot = secrets.snapshot(.server)
        let written = snapshot.written()
        let first = Connection(resuming: snapshot)
        let second = Connection(resuming: try Snapshot(decoding: written.span.bytes))
        let a = first.exportKeyingMaterial(label: "EXPORTER-test", context: [1], length: 32)
        let b = second.exportKeyingMaterial(label: "EXPORTER-test", context: [1], length: 32)
        let c = second.exportKeyingMaterial(label: "EXPORTER-test", context: [2], length: 32)
        #expect(a?.array() != nil)
        #expect(a?.array() == b?.array())
        #expect(a?.array() != c?.array())
        let long = first.exportKeyingMaterial(label: "EXPORTER-test", context: [1], length: 255 * suite.hash.length)
        #expect(long?.count == 255 * suite.hash.length)
        #expect(first.exportKeyingMaterial(label: "EXPORTER-test", context: nil, length: 1 << 20)?.array() == nil)
    }
}

func bytes(_ hex: String) -> [UInt8] {
    var output: [UInt8] = []
    var digits = hex.makeIterator()
    while let high = digits.next(), let low = digits.next() {
        output.append(UInt8(high.hexDigitValue! << 4 | low.hexDigitValue!))
    }
    return output
}
