import BatonCore
import Glibc
import SampleArena
import SessionEngine
import TLSRecords
import Testing

@Suite("A session that comes and goes")
struct MovingTests {
    private static let kinds: [(client: CipherSuite?, upstream: CipherSuite?)] = [
        (nil, nil), (.aes128GCM, nil), (nil, .chaCha20Poly1305), (.ecdheRSAWithAES128GCM, .aes256GCM),
    ]

    @Test(
        "leaves its engine and comes back at any moment, and loses and doubles no byte", arguments: 0..<4, [1, 3, 17])
    func anyMoment(kind: Int, every: Int) throws {
        let (client, upstream) = MovingTests.kinds[kind]
        let place = try Place(client: client, upstream: upstream, total: 150_000)
        // One side ends long before the other, so that it is moved half-closed.
        place.session.backend.end.total = 400_000
        var moves = 0
        var steps = 0
        let isDone = try place.run {
            steps += 1
            if steps % every == 0 {
                place.withEngine { engine in
                    let parcels = engine.extract([1]).parcels
                    moves += parcels.count
                    let count = engine.sessionCount
                    let refused = engine.begin(parcels)
                    #expect(count == 0)
                    #expect(refused.isEmpty)
                }
            }
            return place.ends.allSatisfy { $0.end.isDone }
        }
        #expect(isDone)
        #expect(place.ends.map { $0.end.fault } == [nil, nil])
        #expect(place.ends.map { $0.end.received } == [400_000, 150_000])
        #expect(moves > 1)
        #expect(try place.run { place.sessionCount == 0 })
        let events = place.withEngine { $0.takeEvents() }
        #expect(events.ended == [.inOrder])
    }

    @Test("is in no arena any more once somebody has its parcel, and keeps note, limits and idle time")
    func parcel() throws {
        let place = try Place(client: .aes128GCM, upstream: nil, total: .max)
        #expect(try place.run { place.session.backend.end.received > 100_000 })
        place.withEngine { engine in
            let isSet = engine.setNote(1, [1, 2, 3])
            #expect(isSet)
            engine.setIdleLimit(1, 60_000)
            engine.setLimits(SessionLimits(), moveEvery: 7)
        }
        let parcels = place.withEngine { $0.extract(upTo: 5) }
        #expect(parcels.map(\.number) == [1])
        let released = place.withEngine { $0.takeReleased() }
        #expect(released == [SlotName(slot: place.slot, generation: 1)])
        #expect(place.slotBytes[..<16].allSatisfy { $0 == 0 })
        #expect(place.slotBytes[24...].allSatisfy { $0 == 0 })
        let left = place.withEngine { $0.extract([1]).left.map(\.1) }
        #expect(left == [.unknown])
        guard let session = parcels[0].take() else { throw Fault("no session") }
        if parcels[0].take() != nil { Issue.record("a parcel gives its session once") }
        let (note, limit, every) = (session.note, session.idleLimit, session.moveEvery)
        #expect(note == [1, 2, 3])
        #expect(limit == 60_000)
        #expect(every == 7)
        close(session.client.descriptor)
        close(session.upstream.descriptor)
    }

    @Test("begins with plaintext that nobody has read", arguments: [CipherSuite?.none, .aes256GCM])
    func unread(upstream suite: CipherSuite?) throws {
        let (outer, client) = try TCPPair.make()
        let (upstream, backend) = try TCPPair.make()
        let memory = try Arena.make(slotCount: 1, extentCount: 8)
        defer { for descriptor in [outer, backend, memory] { close(descriptor) } }
        var pair = TLSPair(.aes128GCM)
        var far = TLSPair(suite)
        var peer = Connection(resuming: pair.client.take()!)
        var mine = Connection(resuming: pair.server.take()!)
        try peer.send(Array("read by nobody, ".utf8).span.bytes)
        try peer.send(Array("and not opened".utf8).span.bytes)
        peer.withOutgoing { mine.receive($0) }
        #expect(try mine.nextEvent() == .applicationData(16))
        mine.consumeUnread(5)
        var engine = try Engine(taking: Arena(mapping: memory), as: 1)
        _ = try engine.begin(
            SessionAtRest(
                number: 1, client: SessionLeg(descriptor: client, snapshot: mine.suspend()),
                upstream: SessionLeg(descriptor: upstream, snapshot: far.client.take())))
        var bytes = [UInt8](repeating: 0, count: 1_000)
        let count = recv(backend, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        try #require(count > 0)
        guard let snapshot = far.server.take() else {
            #expect(Array(bytes.prefix(count)) == Array("by nobody, and not opened".utf8))
            return
        }
        var reader = Connection(resuming: snapshot)
        #expect(try reader.open(bytes.prefix(count)) == Array("by nobody, and not opened".utf8))
    }

    @Test("that cannot begin is the caller's again, as it was")
    func refused() throws {
        let place = try Place(client: .aes128GCM, upstream: nil, total: .max)
        let out = place.withEngine { $0.extract([1]).parcels }
        let parcel = try #require(out.first)
        guard var session = parcel.take() else { throw Fault("no session") }
        session.upstream.unsent = Array(repeating: 1, count: 70_000)
        let second = SessionParcel(session)
        let refused = place.withEngine { $0.begin([second]) }
        #expect(refused.map(\.1) == [.tooMuch])
        guard var again = second.take() else { throw Fault("no session") }
        let count = again.upstream.unsent.count
        #expect(count == 70_000)
        again.upstream.unsent = []
        let third = SessionParcel(again)
        let refusedAgain = place.withEngine { $0.begin([third]) }
        #expect(refusedAgain.isEmpty)
        #expect(try place.run { place.session.backend.end.received > 100_000 })
        #expect(place.ends.map { $0.end.fault } == [nil, nil])
    }

    /// Makes an engine's session due.
    private static func due(_ session: TestSession) throws -> Place {
        let place = try Place(session)
        place.withEngine { $0.setLimits(SessionLimits(), moveEvery: 5) }
        #expect(try place.run { place.hasBecomeDue })
        return place
    }

    private static func sessions() throws -> [TestSession] {
        try [
            TestSession(client: .aes128GCM, upstream: nil, total: .max), TestSession(echo: .aes128GCM, total: .max),
            TestSession(echo: nil, total: .max),
        ]
    }

    @Test("stands still once it is due to move, until it goes on, and then is due again after as many records")
    func due() throws {
        for session in try MovingTests.sessions() {
            let place = try MovingTests.due(session)
            let before = place.withEngine { $0.list(after: nil, limit: 1) }.first?.counts
            try place.settle()
            #expect(place.withEngine { $0.list(after: nil, limit: 1) }.first?.counts == before)
            #expect(!place.hasBecomeDue)
            for _ in 0..<3 {
                place.withEngine { $0.goOn([1]) }
                #expect(try place.run { place.hasBecomeDue })
            }
            place.withEngine {
                $0.setLimits(SessionLimits(), moveEvery: 0)
                $0.goOn([1])
            }
            let received = place.session.backend.end.received
            #expect(try place.run { place.session.backend.end.received > received + 300_000 })
            #expect(!place.hasBecomeDue)
            #expect(place.ends.allSatisfy { $0.end.fault == nil })
        }
    }

    @Test("leaves when it is due, and no byte of what came meanwhile is lost, also where a new owner has it")
    func leavesDue() throws {
        for session in try MovingTests.sessions() {
            let place = try MovingTests.due(session)
            try place.settle()
            let refused = place.withEngine { engine in
                let parcels = engine.extract([1]).parcels
                return parcels.count == 1 ? engine.begin(parcels).count : -1
            }
            #expect(refused == 0)
            #expect(try place.run { place.hasBecomeDue })
            try place.settle()
            try place.succeed()
            #expect(place.lost == [])
            let received = place.session.backend.end.received
            #expect(try place.run { place.session.backend.end.received > received })
            #expect(place.ends.allSatisfy { $0.end.fault == nil })
        }
    }

    @Test("ends when its owner ends all although it is due to move")
    func endsDue() throws {
        for session in try MovingTests.sessions() {
            let place = try MovingTests.due(session)
            place.session.peer.end.isSilent = true
            place.withEngine { $0.closeAll() }
            #expect(try place.run { place.ends.allSatisfy { $0.end.hasEnded || $0.end.fault != nil } })
            shutdown(place.session.peer.end.descriptor, Int32(SHUT_WR))
            #expect(try place.run { place.sessionCount == 0 })
        }
    }
}

@Suite("The end of a session")
struct EndingTests {
    @Test(
        "a reset goes to the other side behind the bytes that were on their way",
        arguments: [CipherSuite?.none, .aes128GCM], [false, true])
    func behindBytes(suite: CipherSuite?, succeeds: Bool) throws {
        let place = try Place(client: nil, upstream: suite, total: .max)
        place.session.backend.end.isPaused = true
        place.session.backend.end.isSilent = true
        try place.settle()
        TCPPair.reset(place.session.peer.end.descriptor)
        place.session.peer.end.isPaused = true
        place.session.peer.end.isSilent = true
        for _ in 0..<20 { place.step() }
        #expect(place.sessionCount == 1)
        let sent = try #require(place.withEngine { $0.list(after: nil, limit: 1) }.first).counts.receivedFromClient
        if succeeds { try place.succeed() }
        #expect(place.lost == [])
        place.session.backend.end.isPaused = false
        #expect(try place.run { place.session.backend.end.fault != nil })
        // The kernel still gives what it had when the reset came. A new owner gives up what was read and not used.
        let received = place.session.backend.end.received
        #expect(received <= place.session.peer.end.sent)
        #expect(received >= (succeeds ? sent - 65_536 : sent))
        #expect(place.session.backend.end.fault?.contains("errno \(ECONNRESET)") == true)
        let hasEnded = place.session.backend.end.hasEnded
        #expect(!hasEnded)
        #expect(try place.run { place.sessionCount == 0 })
        let events = place.withEngine { $0.takeEvents() }
        #expect(events.ended == [.reset(.client)])
    }

    @Test("a session without a byte for its limit is reset on both sides, and one with bytes is not")
    func idle() throws {
        let place = try Place(client: .aes128GCM, upstream: nil, total: .max)
        place.withEngine { $0.setIdleLimit(1, 700) }
        let start = ContinuousClock.now
        #expect(try place.run { ContinuousClock.now - start > .seconds(2) })
        #expect(place.sessionCount == 1)
        for box in place.ends { box.end.isSilent = true }
        #expect(try place.run { place.sessionCount == 0 })
        let events = place.withEngine { $0.takeEvents() }
        #expect(events.ended == [.idle])
        #expect(try place.run { place.ends.allSatisfy { $0.end.fault?.contains("errno") == true } })
    }

    @Test("one that is reset by its owner looks whole to nobody")
    func closed() throws {
        let place = try Place(client: nil, upstream: .aes128GCM, total: .max)
        #expect(try place.run { place.session.backend.end.received > 10_000 })
        place.withEngine { $0.reset([1, 2]) }
        let events = place.withEngine { $0.takeEvents() }
        #expect(events.ended == [.closed])
        #expect(try place.run { place.ends.allSatisfy { $0.end.fault?.contains("errno") == true } })
    }

    @Test(
        "a session is lost at the second owner that ended by its own fault at work on it, and not at those that were killed"
    )
    func poison() throws {
        let place = try Place(client: .aes128GCM, upstream: nil, total: .max)
        let isNoted = place.withEngine { $0.setNote(1, Array("which".utf8)) }
        #expect(isNoted)
        for faulty in [false, false, true] {
            place.drop()
            place.damage(at: 8, [1])  // at_work
            try place.succeed(faulty: faulty)
            #expect(place.lost == [])
            #expect(place.slotBytes[8] == 0)
        }
        place.drop()
        place.damage(at: 8, [1])
        try place.succeed(faulty: true)
        let lost = place.withEngine { $0.lost }
        #expect(lost.map(\.reason) == [.poisoned])
        #expect(lost.map(\.number) == [1])
        #expect(lost.map(\.note) == [Array("which".utf8)])
        #expect(try place.run { place.ends.allSatisfy { $0.end.fault != nil } })
    }

    @Test("a session that has been well since is not blamed for an owner that ended long ago")
    func pardoned() throws {
        let place = try Place(client: .aes128GCM, upstream: nil, total: .max)
        for _ in 0..<4 {
            place.drop()
            place.damage(at: 8, [1])  // at_work
            try place.succeed(faulty: true)
            #expect(place.lost == [])
            #expect(place.slotBytes[12] == 1)  // deaths
            // Not yet.
            let received = place.session.backend.end.received
            #expect(try place.run { place.session.backend.end.received > received + 10_000 })
            #expect(place.slotBytes[12] == 1)
            place.withEngine { $0.setLimits(SessionLimits(blameTime: 0), moveEvery: 0) }
            #expect(try place.run { place.slotBytes[12] == 0 })
        }
    }
}

extension EndingTests {
    @Test("a marked session that ends at its first turn leaves one free slot")
    func markedEnd() throws {
        let place = try Place(client: nil, upstream: nil, total: .max)
        for box in place.ends { box.end.isSilent = true }
        try place.settle()
        place.drop()
        for box in place.ends { TCPPair.reset(box.end.descriptor) }
        place.damage(at: 8, [1])
        try place.succeed()
        #expect(place.sessionCount == 0)
        let others = try (0..<5).map { _ in try TestSession(client: nil, upstream: nil, total: .max) }
        defer { for other in others { other.close() } }
        var slots: [Int] = []
        place.withEngine { engine in
            for number in 0..<4 {
                if let slot = try? others[number].begin(in: &engine, number: UInt64(number + 2)) { slots.append(slot) }
            }
        }
        #expect(slots.sorted() == [0, 1, 2, 3])
        #expect(throws: BeginError.noRoom) {
            try place.withEngine { engine in _ = try others[4].begin(in: &engine, number: 9) }
        }
    }
}

@Suite("A session's note")
struct NoteTests {
    @Test("lies in the slot or an extent, is replaced at any length, and is there for the next owner")
    func lengths() throws {
        let place = try Place(client: .aes128GCM, upstream: .ecdheECDSAWithAES128GCM, total: 400_000)
        for (round, length) in [0, 10, 300, 299, 5_000, 32_768, 31_000, 32_000, 20, 0, 400, 400, 400, 2_000]
            .enumerated()
        {
            let note = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ round) }
            let isSet = place.withEngine { $0.setNote(1, note) }
            #expect(isSet)
            let listed = place.withEngine { $0.list(after: nil, limit: 1) }
            #expect(listed.first?.note == note)
            try place.succeed()
            #expect(place.lost == [])
            let inherited = place.withEngine { $0.list(after: 0, limit: 1) }
            #expect(inherited.first?.note == note)
            for _ in 0..<5 {
                StreamEnd.step(place.ends, milliseconds: 0)
                place.step()
            }
        }
        let isLongSet = place.withEngine { $0.setNote(1, Array(repeating: 0, count: 32_769)) }
        #expect(!isLongSet)
        let isUnknownSet = place.withEngine { $0.setNote(2, []) }
        #expect(!isUnknownSet)
        #expect(try place.run { place.ends.allSatisfy { $0.end.isDone } })
        #expect(place.ends.map { $0.end.fault } == [nil, nil])
    }
}

extension [SessionEvent] {
    fileprivate var ended: [SessionOutcome] {
        compactMap { if case .ended(_, let why) = $0 { why } else { nil } }
    }
}
