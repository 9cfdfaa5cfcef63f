import BatonCore
import Testing

@testable import TLSRecords

@Suite("Snapshots written down")
struct SnapshotTests {
    /// A connection with something in every field that a TLS version can have.
    private func full(_ suite: CipherSuite, keepsCertificates: Bool = true, of peer: PeerCertificate? = nil) -> Snapshot
    {
        var info = ConnectionInfo(
            role: .server, suite: suite, serverName: "example.org", applicationProtocol: "http/1.1",
            peerCertificate: PeerCertificate(
                sha256: pattern(32), subject: "CN=client",
                alternativeNames: [.email("a@example.org"), .dns("*.example.org"), .uri("urn:x"), .address("::1")],
                chain: [pattern(300), pattern(200, seed: 2)], verifiedChain: [pattern(300)]), verifyResult: 0,
            isResumed: true, usesExtendedMasterSecret: suite.version == .tls12, ticketKeyName: pattern(16, seed: 4))
        if !keepsCertificates { info.peerCertificate = PeerCertificate(sha256: pattern(32), subject: "CN=client") }
        if let peer { info.peerCertificate = peer }
        let secrets = SecretPair(suite)
        var snapshot = Snapshot(
            established: info, limits: RecordLimits(sending: 600, receiving: 700, blocksPerKey: 1 << 30),
            read: DirectionState(secret: secrets.client.copy(), sequence: 11),
            write: DirectionState(
                secret: secrets.server.copy(), sequence: 12, explicitNonce: suite.usesExplicitNonce ? 99 : 0,
                blocks: 900),
            exporter: .random(suite.version == .tls13 ? suite.hash.length : TLS12Exporter.length),
            resumption: .random(suite.hash.length))!
        snapshot.progress.inbound.append(pattern(70))
        snapshot.progress.unread = UnreadPlaintext(recordLength: 30, offset: 5, count: 9)
        snapshot.progress.handshake.append([24, 0])
        snapshot.progress.outgoing.append(pattern(33, seed: 8))
        snapshot.progress.counters = Counters(emptyRecords: 1, warnings: 2, messages: 3, renegotiations: 4)
        if suite.version == .tls13 { snapshot.progress.counters.paidKeyUpdates = 5 }
        snapshot.progress.owesKeyUpdate = suite.version == .tls13
        return snapshot
    }

    @Test("what lasts fits where an owner keeps it: long chains stay behind, names do not")
    func lastingFacts() throws {
        for length in [300, 60_000] {
            let names = (0..<64).map { AlternativeName.dns(String(repeating: "a", count: 50) + "\($0)") }
            let certificate = PeerCertificate(
                sha256: pattern(32), subject: String(repeating: "s", count: PeerCertificate.subjectLimit),
                alternativeNames: names, chain: [pattern(length)], verifiedChain: [pattern(length), pattern(300)])
            let facts = full(.aes256GCM, of: certificate).lastingFacts()
            #expect(facts.count <= Snapshot.longestLastingFacts)
            let read = try facts.withUnsafeBytes { try Snapshot(decoding: $0.bytes) }
            let peer = try #require(read.info.peerCertificate)
            #expect(peer.alternativeNames == names && peer.sha256 == pattern(32) && peer.subject.utf8.count == 1_024)
            #expect(peer.chain == (length == 300 ? [pattern(length)] : []))
            #expect(peer.verifiedChain.count == (length == 300 ? 2 : 0))
        }
    }

    @Test("everything that is written is read again", arguments: CipherSuite.allCases)
    func roundTrip(suite: CipherSuite) throws {
        let first = full(suite)
        let written = first.written()
        let second = try Snapshot(decoding: written.span.bytes)
        #expect(second.written() == written)
        #expect(second.info == first.info)
        #expect(second.limits == first.limits)
        #expect(second.read.sequence == 11)
        #expect(second.write.sequence == 12)
        #expect(second.write.blocks == 900)
        #expect(second.progress.unread.count == 9)
        #expect(second.progress.counters == first.progress.counters)
        #expect(second.progress.owesKeyUpdate == first.progress.owesKeyUpdate)
    }

    @Test("names and chains beyond their limits are refused, written or read")
    func certificateLimits() throws {
        let names = { (count: Int, length: Int) in
            [AlternativeName](repeating: .dns(String(repeating: "n", count: length)), count: count)
        }
        for wrong in [names(65, 1), names(1, 1_025), names(1, 0), names(5, 1_000), [.dns("a b")], [.dns("ä.example")]] {
            var certificate = PeerCertificate(sha256: pattern(32), subject: "CN=client", alternativeNames: wrong)
            #expect(written(certificate) == nil)
            // As a former owner would have written it.
            certificate.alternativeNames = [.dns("right")]
            let right = try #require(written(certificate))
            let field = AlternativeName.encode([.dns("right")])
            let start = try #require(right.firstRange(of: field)).lowerBound
            let new = AlternativeName.encode(wrong)
            let length = withUnsafeBytes(of: UInt32(new.count).bigEndian) { Array($0) }
            let bytes = Array(right[..<(start - 4)]) + length + new
            #expect(throws: SnapshotError.invalidField(130)) { _ = try Snapshot(decoding: bytes.span.bytes) }
        }
        for chain in [[pattern(40_000), pattern(30_000)], [[]]] {
            #expect(written(PeerCertificate(sha256: pattern(32), subject: "CN=client", chain: chain)) == nil)
        }
        let largest = PeerCertificate(
            sha256: pattern(32), subject: "CN=client", alternativeNames: names(4, 1_024),
            chain: [pattern(PeerCertificate.chainLimit)], verifiedChain: [pattern(PeerCertificate.chainLimit)])
        let bytes = try #require(written(largest))
        #expect(try Snapshot(decoding: bytes.span.bytes).info.peerCertificate == largest)
    }

    private func written(_ certificate: PeerCertificate) -> [UInt8]? {
        let secrets = SecretPair(.aes128GCM)
        let snapshot = Snapshot(
            established: ConnectionInfo(role: .server, suite: .aes128GCM, peerCertificate: certificate),
            limits: RecordLimits(.tls13), read: DirectionState(secret: secrets.client.copy(), sequence: 0),
            write: DirectionState(secret: secrets.server.copy(), sequence: 0), exporter: nil, resumption: nil)
        return snapshot?.written()
    }

    @Test("a failure is written with its alert")
    func failure() throws {
        let secrets = SecretPair(.aes128GCM)
        var snapshot = secrets.snapshot(.server)
        snapshot.progress.isWriteClosed = true
        snapshot.progress.failure = TLSError(.peerAlert, alert: .unknownCA)
        let second = try Snapshot(decoding: snapshot.written().span.bytes)
        #expect(second.progress.failure == TLSError(.peerAlert, alert: .unknownCA))
    }

    @Test(
        "an idle TLS 1.3 connection with SNI and ALPN takes at most 400 bytes",
        arguments: [CipherSuite.aes128GCM, .aes256GCM, .chaCha20Poly1305])
    func size(suite: CipherSuite) {
        let info = ConnectionInfo(
            role: .server, suite: suite, serverName: "a-rather-long-name.of-some-service.example.org",
            applicationProtocol: "http/1.1", verifyResult: 0, ticketKeyName: pattern(16))
        let secrets = SecretPair(suite)
        let snapshot = Snapshot(
            established: info, read: DirectionState(secret: secrets.client.copy(), sequence: 1 << 40),
            write: DirectionState(secret: secrets.server.copy(), sequence: 1 << 40, blocks: 1 << 41),
            exporter: .random(suite.hash.length), resumption: .random(suite.hash.length))!
        #expect(snapshot.written().count <= 400)
    }

    @Test("cut off after every byte it is an error", arguments: [CipherSuite.aes256GCM, .ecdheRSAWithAES128GCM])
    func truncation(suite: CipherSuite) {
        let written = full(suite).written()
        for count in 0..<written.count {
            let part = Array(written[..<count])
            // Cut between two optional fields it is a whole, smaller snapshot; anywhere else it must fail.
            if let error = decodingError(part) {
                #expect(error != .tooLong)
            } else {
                #expect(fieldBoundaries(written).contains(count))
            }
        }
    }

    @Test("a length off by one in any field is an error", arguments: [CipherSuite.aes256GCM, .ecdheRSAWithAES128GCM])
    func lengths(suite: CipherSuite) {
        let written = full(suite).written()
        for start in fieldBoundaries(written).dropLast() {
            for delta in [-1, 1] {
                var changed = written
                let length = (1...4).reduce(0) { $0 << 8 | Int(changed[start + $1]) } + delta
                for index in 0..<4 {
                    changed[start + 1 + index] = UInt8(truncatingIfNeeded: length >> (24 - 8 * index))
                }
                #expect(decodingError(changed) != nil, "field \(written[start]), \(delta)")
            }
            var huge = written
            huge.replaceSubrange(start + 1..<start + 5, with: [255, 255, 255, 255])
            #expect(decodingError(huge) == .cutOff)
        }
    }

    @Test("trailing bytes, another version, another beginning")
    func envelope() {
        let written = full(.aes128GCM).written()
        #expect(decodingError(written + [0]) == .cutOff)
        #expect(
            decodingError(full(.ecdheRSAWithAES128GCM, keepsCertificates: false).written() + [26, 0, 0, 0, 0])
                == .unknownField(26))
        #expect(decodingError(written + [129, 0, 0, 0, 4, 0, 0, 0, 1]) == .fieldOutOfOrder(129))
        for version: UInt8 in [0, 2, 255] {
            var changed = written
            changed[4] = version
            #expect(decodingError(changed) == .unsupportedVersion(version))
        }
        var changed = written
        changed[0] ^= 1
        #expect(decodingError(changed) == .notASnapshot)
        #expect(decodingError([]) == .notASnapshot)
    }

    @Test("a field that may be ignored is skipped")
    func ignorable() {
        let written = full(.ecdheRSAWithAES128GCM, keepsCertificates: false).written()
        #expect(decodingError(written + [0x80, 0, 0, 0, 2, 1, 2] + [0xFF, 0, 0, 0, 0]) == nil)
    }

    @Test("each field that must be there is missed")
    func missing() {
        let written = full(.ecdheRSAWithAES128GCM).written()
        for (tag, range) in fields(written) where [1, 2, 3, 5, 7, 13, 14].contains(tag) {
            var changed = written
            changed.removeSubrange(range)
            #expect(decodingError(changed) == .missingField(tag))
        }
    }

    @Test("values that contradict each other are refused")
    func contradictions() throws {
        func refused(_ suite: CipherSuite = .aes128GCM, _ change: (inout Snapshot) -> Void) throws -> SnapshotError? {
            let secrets = SecretPair(suite)
            var snapshot = secrets.snapshot(.server)
            change(&snapshot)
            return decodingError(snapshot.written())
        }
        #expect(try refused { _ in } == nil)
        #expect(try refused { $0.read = DirectionState(secret: .random(48)) } == .contradiction(3))
        #expect(try refused { $0.write = DirectionState(secret: .random(31)) } == .contradiction(5))
        #expect(try refused { $0.read = DirectionState(secret: .random(32), sequence: .max) } == .contradiction(4))
        #expect(
            try refused {
                $0.progress.isWriteClosed = true; $0.progress.owesKeyUpdate = true
            } == .contradiction(16))
        #expect(try refused(.ecdheRSAWithAES128GCM) { $0.progress.owesKeyUpdate = true } == .contradiction(16))
        #expect(
            try refused {
                $0.progress.isReadClosed = true; $0.progress.inbound.append([1])
            } == .contradiction(23))
        #expect(try refused { $0.progress.failure = TLSError(.badRecord) } == .contradiction(21))
        #expect(try refused { $0.progress.counters.emptyRecords = 33 } == .contradiction(20))
        #expect(try refused { $0.progress.counters.paidKeyUpdates = .max } == .contradiction(20))
        #expect(
            try refused(.ecdheRSAWithAES128GCM) { $0.progress.counters.paidKeyUpdates = 1 } == .contradiction(129))
    }

    @Test(
        "a connection at the highest possible count still says goodbye",
        arguments: [CipherSuite.chaCha20Poly1305, .ecdheRSAWithAES128GCM])
    func highestCount(suite: CipherSuite) throws {
        let secrets = SecretPair(suite)
        var snapshot = secrets.snapshot(.server)
        let high = RecordProtection.highestCount
        snapshot.write = DirectionState(
            secret: secrets.server.copy(), sequence: high, explicitNonce: suite.usesExplicitNonce ? .max : 0,
            blocks: high)
        var connection = Connection(resuming: try Snapshot(decoding: snapshot.written().span.bytes))
        try? connection.send([1])
        connection.close()
        #expect(connection.outgoingCount > 0)
    }

    @Test("random changes are errors or snapshots, never traps")
    func mutations() {
        var generator = SystemRandomNumberGenerator()
        let originals = [full(.aes256GCM).written(), full(.ecdheRSAWithAES128GCM).written()]
        for _ in 0..<20_000 {
            var changed = originals.randomElement(using: &generator)!
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                changed[Int.random(in: 0..<changed.count, using: &generator)] = generator.next()
            }
            if decodingError(changed) == nil {
                // What was accepted must also run.
                var connection = Connection(resuming: try! Snapshot(decoding: changed.span.bytes))
                connection.receive([23, 3, 3, 0, 17])
                _ = expectedFailure(&connection)
                try? connection.send([1])
                connection.close()
                _ = connection.suspend().written()
            }
        }
    }

    @Test("golden bytes of version 1 are read and written as they were", arguments: GoldenSnapshot.version1)
    func golden(golden: GoldenSnapshot) throws {
        let written = bytes(golden.hex)
        let snapshot = try Snapshot(decoding: written.span.bytes)
        #expect(snapshot.written() == written)
        #expect(snapshot.info.suite == golden.suite)
        #expect(snapshot.info.serverName == "example.org")
        var connection = Connection(resuming: snapshot)
        let got = try connection.readAll()
        #expect(got.data == Array("unread".utf8))
        try connection.send(Array("hello".utf8))
        #expect(connection.takeOutgoing() == bytes(golden.sealed))
    }

    private func decodingError(_ bytes: [UInt8]) -> SnapshotError? {
        do {
            _ = try Snapshot(decoding: bytes.span.bytes)
            return nil
        } catch {
            return error
        }
    }

    private func fields(_ written: [UInt8]) -> [(tag: UInt8, range: Range<Int>)] {
        var output: [(UInt8, Range<Int>)] = []
        var position = 5
        while position < written.count {
            let length = (1...4).reduce(0) { $0 << 8 | Int(written[position + $1]) }
            output.append((written[position], position..<position + 5 + length))
            position += 5 + length
        }
        return output
    }

    private func fieldBoundaries(_ written: [UInt8]) -> [Int] {
        fields(written).map(\.range.lowerBound) + [written.count]
    }
}

extension ByteQueue {
    mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }
}
