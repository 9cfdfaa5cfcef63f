import BatonCore
import Glibc
import SampleArena
import SessionEngine
import TLSRecords
import Testing

@Suite("An engine and its successor")
struct EngineTests {
    @Test("a message that comes in pieces is whole for the owner that gets its last one", arguments: [1, 3, 1_000])
    func fragments(life: Int) throws {
        let suite = CipherSuite.aes128GCM
        let (outer, client) = try TCPPair.make()
        let (upstream, backend) = try TCPPair.make()
        let memory = try Arena.make(slotCount: 1, extentCount: 8)
        defer { for descriptor in [outer, client, upstream, backend, memory] { close(descriptor) } }
        func secret(_ byte: UInt8) -> SecretBytes {
            SecretBytes(count: 32) { $0.initializeMemory(as: UInt8.self, repeating: byte) }
        }
        var toSession = RecordProtection(
            suite: suite, state: DirectionState(secret: secret(1)))
        var fromSession = RecordProtection(
            suite: suite, state: DirectionState(secret: secret(2)))
        let snapshot = Snapshot(
            established: ConnectionInfo(role: .client, suite: suite),
            read: DirectionState(secret: secret(1)),
            write: DirectionState(secret: secret(2)), exporter: nil)
        var engine: Engine? = try Engine(taking: Arena(mapping: memory), as: 1)
        _ = try engine!.begin(
            SessionAtRest(
                number: 1, client: SessionLeg(descriptor: dup(client)),
                upstream: SessionLeg(descriptor: dup(upstream), snapshot: snapshot)))
        var owner: UInt64 = 1

        func deliver(_ type: ContentType, _ content: [UInt8]) throws {
            var record = [UInt8](repeating: 0, count: content.count + 64)
            let count = record.withUnsafeMutableBytes { output in
                content.withUnsafeBytes { toSession.seal(type, $0, to: output.baseAddress!) }
            }
            #expect(send(backend, record, count, 0) == count)
            engine!.step(waiting: 1_000)
            owner += 1
            guard owner % UInt64(life) == 0 else { return }
            engine = nil
            engine = try Engine(taking: Arena(mapping: memory), as: owner) { _ in (dup(client), dup(upstream)) }
            #expect(engine.lost == [])
        }

        // A NewSessionTicket (RFC 8446 section 4.6.1), one byte in each record, and another, half of it with a third.
        let ticket: [UInt8] =
            [4, 0, 1, 44] + [0, 0, 14, 16] + [1, 2, 3, 4] + [1, 9] + [1, 30] + Array(repeating: 5, count: 286) + [0, 0]
        for byte in ticket { try deliver(.handshake, [byte]) }
        try deliver(.handshake, Array(ticket[..<100]))
        try deliver(.handshake, Array(ticket[100...]) + ticket[..<50])
        try deliver(.handshake, Array(ticket[50...]))
        // A KeyUpdate that asks for one, in two pieces.
        try deliver(.handshake, [24, 0])
        try deliver(.handshake, [0, 1, 1])
        toSession.updateSecret()
        try deliver(.applicationData, Array("under the next key".utf8))

        var read = [UInt8](repeating: 0, count: 100)
        let count = recv(outer, &read, read.count, Int32(MSG_DONTWAIT))
        #expect(Array(read.prefix(max(0, count))) == Array("under the next key".utf8))
        var answer = [UInt8](repeating: 0, count: 100)
        #expect(recv(backend, &answer, answer.count, Int32(MSG_DONTWAIT)) == 5 + 5 + 1 + 16)
        let opened = answer.withUnsafeMutableBytes {
            fromSession.open($0.baseAddress!, header: RecordHeader(UnsafeRawBufferPointer($0))!)
        }
        #expect(opened?.type == ContentType.handshake.rawValue)
        #expect(Array(answer[5..<10]) == [24, 0, 0, 1, 0])
    }

    @Test(
        "a peer that breaks the protocol gets its alert behind all that is for it, and the other side a reset",
        arguments: [CipherSuite.aes128GCM, .ecdheRSAWithAES256GCM], [false, true])
    func protocolError(suite: CipherSuite, succeeds: Bool) throws {
        let place = try Place(client: suite, upstream: nil, total: .max)
        place.session.peer.end.isSilent = true
        place.session.peer.end.isPaused = true
        // The kernel takes no more for the peer, so that the alert has to wait too.
        place.session.limitClientOutput()
        try place.settle()
        let garbage: [UInt8] = [23, 3, 3, 0, 40] + Array(repeating: 9, count: 40)
        #expect(send(place.session.peer.end.descriptor, garbage, garbage.count, 0) == garbage.count)
        #expect(try place.run { place.session.backend.end.fault != nil })
        #expect(place.session.backend.end.fault?.contains("errno \(ECONNRESET)") == true)
        if succeeds {
            try place.succeed()
            #expect(place.lost == [])
        }
        #expect(place.sessionCount == 1)
        place.session.peer.end.isPaused = false
        #expect(try place.run { place.session.peer.end.fault != nil })
        #expect(place.session.peer.end.error == TLSError(.peerAlert, alert: .badRecordMAC))
        #expect(place.session.peer.end.received > 0)
        // Its own end is waited for, so that no reset destroys the alert.
        #expect(place.sessionCount == 1)
        shutdown(place.session.peer.end.descriptor, Int32(SHUT_WR))
        #expect(try place.run { place.sessionCount == 0 })
    }

    @Test(
        "a record that cannot be right is answered at its header, and the rest of it is not waited for",
        arguments: [false, true])
    func wrongHeader(isEcho: Bool) throws {
        let cases: [(CipherSuite, [UInt8], Alert)] = [
            (.aes128GCM, [23, 3, 3, 0x41, 1], .recordOverflow), (.aes128GCM, [22, 3, 3, 1, 0], .unexpectedMessage),
            (.ecdheRSAWithAES256GCM, [23, 3, 3, 0x48, 1], .recordOverflow),
            (.ecdheRSAWithAES256GCM, [23, 3, 1, 1, 0], .protocolVersion),
        ]
        for (suite, header, alert) in cases {
            let place = try Place(
                isEcho
                    ? TestSession(echo: suite, total: .max)
                    : TestSession(client: suite, upstream: .aes128GCM, total: .max))
            for box in place.ends { box.end.isSilent = true }
            try place.settle()
            #expect(send(place.session.peer.end.descriptor, header, header.count, 0) == header.count)
            #expect(try place.run { place.session.peer.end.fault != nil })
            #expect(place.session.peer.end.error == TLSError(.peerAlert, alert: alert))
        }
    }

    @Test("a reset of one side resets the other, also where a new owner finds it", arguments: [false, true])
    func reset(succeeds: Bool) throws {
        let place = try Place(client: nil, upstream: .aes128GCM, total: .max)
        #expect(try place.run { place.session.backend.end.received > 100_000 })
        if succeeds { place.drop() }
        TCPPair.reset(place.session.peer.end.descriptor)
        if succeeds {
            try place.succeed()
            #expect(place.lost == [])
        }
        place.session.peer.end.isPaused = true
        place.session.peer.end.isSilent = true
        #expect(try place.run { place.session.backend.end.fault != nil })
        #expect(place.session.backend.end.fault?.contains("errno") == true)
        #expect(place.sessionCount == 0)
    }

    @Test("a side that has closed both ways gets its bytes through to one that reads late")
    func closedBothWays() throws {
        let place = try Place(client: nil, upstream: nil, total: 50_000)
        // The upstream ends first, and takes the client's bytes only after the client's connection has closed.
        place.session.backend.end.isPaused = true
        place.session.peer.end.total = 8_000_000
        try place.settle()
        place.session.peer.end.total = place.session.peer.end.sent
        #expect(try place.run { place.session.peer.end.isDone })
        try place.succeed()
        #expect(place.lost == [])
        place.session.backend.end.isPaused = false
        #expect(try place.run(life: 3) { place.session.backend.end.isDone })
        #expect(place.session.backend.end.received == place.session.peer.end.sent)
        #expect(place.ends.map { $0.end.fault } == [nil, nil])
    }

    @Test("an idle session is its slot, and the next owner gives back the memory of all that is not in use")
    func memory() throws {
        let place = try Place(client: .aes256GCM, upstream: .chaCha20Poly1305, total: .max)
        #expect(try place.run { place.ends.allSatisfy { $0.end.received > 500_000 } })
        #expect(place.footprint > 64 * 1024)
        for box in place.ends { box.end.isSilent = true }
        try place.settle()
        try place.succeed()
        #expect(place.lost == [])
        #expect(place.footprint <= 3 * 4096)  // the header and four slots
        for box in place.ends {
            box.end.isSilent = false
            box.end.total = box.end.sent + 100_000
        }
        #expect(try place.run(life: 5) { place.ends.allSatisfy { $0.end.isDone } })
        #expect(place.ends.map { $0.end.fault } == [nil, nil])
    }

    @Test("nothing of a session is left in its slot after its end, also if its owner dies at erasing it")
    func erased() throws {
        let place = try Place(client: .aes256GCM, upstream: .chaCha20Poly1305, total: .max)
        #expect(try place.run { place.ends.allSatisfy { $0.end.received > 100_000 } })
        place.drop()
        // As a death in the midst of arena_erase leaves it: phase 2.
        place.damage(at: 0, [2, 0, 0, 0])
        #expect(place.slotBytes.count { $0 != 0 } > 100)
        try place.succeed()
        #expect(place.sessionCount == 0)
        var left = place.slotBytes
        left.replaceSubrange(16..<24, with: repeatElement(0, count: 8))  // the count of sessions that were here
        #expect(left.allSatisfy { $0 == 0 })
    }
}
