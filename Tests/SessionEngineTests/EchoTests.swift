import BatonCore
import Glibc
import SampleArena
import SessionEngine
import TLSRecords
import Testing

@Suite("An echo session")
struct EchoTests {
    private static let suites: [CipherSuite?] = [nil, .aes128GCM, .ecdheRSAWithAES256GCM]

    private static func place(_ suite: CipherSuite?, total: UInt64 = .max, isUnix: Bool = false) throws -> Place {
        try Place(TestSession(echo: suite, total: total, isUnix: isUnix))
    }

    @Test("ends when its peer has ended, behind all that it sends back", arguments: suites, [false, true])
    func halfClosed(suite: CipherSuite?, isUnix: Bool) throws {
        let place = try EchoTests.place(suite, isUnix: isUnix)
        // Much is on its way when the peer ends.
        place.session.peer.end.isPaused = true
        try place.settle()
        place.session.peer.end.total = place.session.peer.end.sent
        try place.settle()
        try place.succeed()
        #expect(place.lost == [])
        place.session.peer.end.isPaused = false
        let sent = place.session.peer.end.sent
        #expect(try place.run { place.session.peer.end.isDone })
        #expect(place.session.peer.end.fault == nil)
        #expect(place.session.peer.end.received == sent)
        #expect(try place.run { place.sessionCount == 0 })
        #expect(place.withEngine { $0.takeEvents() }.ended == [.inOrder])
    }

    @Test("leaves its engine and comes back at any moment, and loses and doubles no byte", arguments: suites, [1, 17])
    func moves(suite: CipherSuite?, every: Int) throws {
        let place = try EchoTests.place(suite, total: 300_000)
        var (moves, steps) = (0, 0)
        let isDone = try place.run {
            steps += 1
            if steps % every == 0 {
                place.withEngine { engine in
                    let parcels = engine.extract([1]).parcels
                    moves += parcels.count
                    let refused = engine.begin(parcels)
                    #expect(refused.isEmpty)
                }
            }
            return place.session.peer.end.isDone
        }
        #expect(isDone)
        #expect(place.session.peer.end.fault == nil)
        #expect(place.session.peer.end.received == 300_000)
        #expect(moves > 1)
    }

    @Test("begins with plaintext that nobody has read, and is its end's")
    func unread() throws {
        let (outer, client) = try TCPPair.make()
        let memory = try Arena.make(slotCount: 1, extentCount: 8)
        defer { for descriptor in [outer, memory] { close(descriptor) } }
        var pair = TLSPair(.aes128GCM)
        var peer = Connection(resuming: pair.client.take()!)
        var mine = Connection(resuming: pair.server.take()!)
        try peer.send(Array("read by nobody, ".utf8).span.bytes)
        try peer.send(Array("and not opened".utf8).span.bytes)
        peer.withOutgoing { mine.receive($0) }
        #expect(try mine.nextEvent() == .applicationData(16))
        var engine = try Engine(taking: Arena(mapping: memory), as: 1)
        _ = try engine.begin(
            SessionAtRest(number: 1, echoTo: SessionLeg(descriptor: client, snapshot: mine.suspend())))
        var bytes = [UInt8](repeating: 0, count: 1_000)
        let count = recv(outer, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        try #require(count > 0)
        #expect(try peer.open(bytes.prefix(count)) == Array("read by nobody, and not opened".utf8))
    }

    @Test("reads no further than its limit while its peer does not read", arguments: suites)
    func backpressure(suite: CipherSuite?) throws {
        let place = try EchoTests.place(suite)
        place.withEngine { $0.setLimits(SessionLimits(bufferSize: 10_000), moveEvery: 0) }
        place.session.limitClientOutput()
        place.session.peer.end.isPaused = true
        try place.settle()
        let counts = try #require(place.withEngine { $0.list(after: nil, limit: 1) }.first).counts
        // The kernel has what is written, and the arena one extent of input and the limit with one record more of output.
        #expect(counts.receivedFromClient > counts.writtenToClient)
        #expect(counts.receivedFromClient - counts.writtenToClient < 65_536 + 10_000 + 17_000)
        #expect(counts.writtenToUpstream == 0)
        place.session.peer.end.total = place.session.peer.end.sent
        place.session.peer.end.isPaused = false
        #expect(try place.run { place.session.peer.end.isDone })
        #expect(place.session.peer.end.received == place.session.peer.end.sent)
        #expect(place.session.peer.end.fault == nil)
    }

    @Test(
        "sends its alert behind all that it sends back, also where a new owner does",
        arguments: [CipherSuite.aes128GCM, .ecdheRSAWithAES256GCM], [false, true])
    func protocolError(suite: CipherSuite, succeeds: Bool) throws {
        let place = try EchoTests.place(suite)
        #expect(try place.run { place.session.peer.end.received > 50_000 })
        place.session.peer.end.isSilent = true
        #expect(try place.run { place.session.peer.end.received == place.session.peer.end.sent })
        let garbage: [UInt8] = [23, 3, 3, 0, 40] + Array(repeating: 9, count: 40)
        #expect(send(place.session.peer.end.descriptor, garbage, garbage.count, 0) == garbage.count)
        place.session.peer.end.isPaused = true
        for _ in 0..<20 { place.step() }
        if succeeds {
            try place.succeed()
            #expect(place.lost == [])
        }
        // The peer's own end is waited for, so that no reset destroys the alert.
        #expect(place.sessionCount == 1)
        place.session.peer.end.isPaused = false
        #expect(try place.run { place.session.peer.end.fault != nil })
        #expect(place.session.peer.end.error == TLSError(.peerAlert, alert: .badRecordMAC))
        shutdown(place.session.peer.end.descriptor, Int32(SHUT_WR))
        #expect(try place.run { place.sessionCount == 0 })
        guard case .protocolError(.client, _)? = place.withEngine({ $0.takeEvents() }).ended.first else {
            Issue.record("the outcome is not told")
            return
        }
    }

    @Test(
        "is reset behind what it sends back when TLS is cut off without close_notify",
        arguments: [CipherSuite.aes128GCM, .ecdheRSAWithAES256GCM], [false, true])
    func truncated(suite: CipherSuite, succeeds: Bool) throws {
        let place = try EchoTests.place(suite)
        #expect(try place.run { place.session.peer.end.received > 50_000 })
        place.session.peer.end.isSilent = true
        #expect(try place.run { place.session.peer.end.received == place.session.peer.end.sent })
        shutdown(place.session.peer.end.descriptor, Int32(SHUT_WR))
        if succeeds { try place.succeed() }
        #expect(place.lost == [])
        #expect(try place.run { place.session.peer.end.fault != nil })
        #expect(place.session.peer.end.fault?.contains("errno \(ECONNRESET)") == true)
        #expect(try place.run { place.sessionCount == 0 })
        #expect(place.withEngine { $0.takeEvents() }.ended == [.reset(.client)])
    }

    @Test("is over when its peer resets it, also where a new owner finds that", arguments: suites, [false, true])
    func reset(suite: CipherSuite?, succeeds: Bool) throws {
        let place = try EchoTests.place(suite)
        #expect(try place.run { place.session.peer.end.received > 50_000 })
        if succeeds { place.drop() }
        TCPPair.reset(place.session.peer.end.descriptor)
        place.session.peer.end.isPaused = true
        place.session.peer.end.isSilent = true
        if succeeds { try place.succeed() }
        #expect(place.lost == [])
        #expect(try place.run { place.sessionCount == 0 })
        #expect(place.withEngine { $0.takeEvents() }.ended == [.reset(.client)])
    }

    @Test("is over when its peer on a Unix socket closes and leaves bytes that it could not take")
    func closedUnix() throws {
        let (outer, inner) = try UnixPair.make()
        let memory = try Arena.make(slotCount: 1, extentCount: 8)
        defer { close(memory) }
        var engine = try Engine(taking: Arena(mapping: memory), as: 1)
        _ = try engine.begin(SessionAtRest(number: 1, echoTo: SessionLeg(descriptor: inner)))
        let block = [UInt8](repeating: 7, count: 8_192)
        var (idle, sent) = (0, 0)
        while idle < 20 {
            let count = send(outer, block, block.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            (idle, sent) = (count > 0 ? 0 : idle + 1, sent + max(0, count))
            engine.step(waiting: 0)
        }
        #expect(sent > 100_000)
        close(outer)
        let deadline = ContinuousClock.now + .seconds(30)
        while engine.sessionCount > 0, ContinuousClock.now < deadline { engine.step(waiting: 10) }
        #expect(engine.takeEvents().ended == [.reset(.client)])
    }

    @Test("without a byte for its limit ends in order")
    func limits() throws {
        let place = try EchoTests.place(.aes128GCM)
        #expect(try place.run { place.session.peer.end.received > 300_000 })
        place.withEngine { $0.setIdleLimit(1, 300) }
        place.session.peer.end.isSilent = true
        #expect(try place.run { place.session.peer.end.hasEnded || place.session.peer.end.fault != nil })
        shutdown(place.session.peer.end.descriptor, Int32(SHUT_WR))
        #expect(try place.run { place.sessionCount == 0 })
        #expect(place.withEngine { $0.takeEvents() }.ended == [.idle])
        #expect(place.session.peer.end.received == place.session.peer.end.sent)
        #expect(place.session.peer.end.fault == nil)
    }

    @Test(
        "ends in order behind what it sends back when its owner ends all, also where a new owner does it",
        arguments: suites, [false, true])
    func closed(suite: CipherSuite?, succeeds: Bool) throws {
        let place = try EchoTests.place(suite)
        place.session.limitClientOutput()
        place.session.peer.end.isPaused = true
        // Less than is read of a peer that has been told our end.
        #expect(try place.run { place.session.peer.end.sent > 300_000 })
        place.session.peer.end.isSilent = true
        try place.settle()
        place.withEngine { $0.closeAll() }
        // It has no place to go to from here.
        #expect(place.withEngine { $0.extract([1]).left.map(\.1) } == [.ending])
        #expect(place.sessionCount == 1)
        let written = try #require(place.withEngine { $0.list(after: nil, limit: 1) }.first).counts.writtenToClient
        if succeeds {
            try place.succeed()
            #expect(place.lost == [])
        }
        place.session.peer.end.isPaused = false
        #expect(try place.run { place.session.peer.end.hasEnded || place.session.peer.end.fault != nil })
        #expect(place.session.peer.end.fault == nil)
        // The peer's end is waited for, so that no reset destroys ours.
        #expect(place.sessionCount == 1)
        shutdown(place.session.peer.end.descriptor, Int32(SHUT_WR))
        #expect(place.session.peer.end.received > written / 2)
        #expect(try place.run { place.sessionCount == 0 })
        #expect(place.withEngine { $0.takeEvents() }.ended == [succeeds ? .protocolError(.client, nil) : .closed])
    }

    @Test("that is idle is its slot, and nothing is left in that after its end")
    func memory() throws {
        let place = try EchoTests.place(.aes256GCM)
        #expect(try place.run { place.session.peer.end.received > 500_000 })
        place.session.peer.end.isSilent = true
        #expect(try place.run { place.session.peer.end.received == place.session.peer.end.sent })
        try place.succeed()
        #expect(place.lost == [])
        #expect(place.footprint <= 3 * 4096)  // the header and four slots
        #expect(place.slotBytes[64] == 2)
        place.withEngine { $0.reset([1]) }
        var left = place.slotBytes
        left.replaceSubrange(16..<24, with: repeatElement(0, count: 8))  // the count of sessions that were here
        #expect(left.allSatisfy { $0 == 0 })
    }

    @Test("cannot be taken over when its slot names anything of a second leg, or is of no kind")
    func impossible() throws {
        for (offset, byte) in [
            // The second leg's extents, count, flags, and the bit that it is on a Unix socket.
            (120 + 208 + 32, 0), (120 + 208 + 36, 0), (120 + 208 + 40, 0), (120 + 208 + 44, 1), (120 + 208 + 48, 2),
            (104, 2), (64, 4),
        ] as [(Int, UInt8)] {
            let place = try EchoTests.place(nil)
            place.session.peer.end.isSilent = true
            try place.settle()
            place.drop()
            let current = Int(place.slotBytes[4])
            let isOfState = offset >= 120
            place.damage(at: offset + (isOfState ? 440 * current : 0), [byte] + (byte == 0 ? [0, 0, 0] : []))
            try place.succeed()
            #expect(place.lost == [.impossible], "at \(offset)")
        }
    }
}

extension [SessionEvent] {
    fileprivate var ended: [SessionOutcome] {
        compactMap { if case .ended(_, let why) = $0 { why } else { nil } }
    }
}
