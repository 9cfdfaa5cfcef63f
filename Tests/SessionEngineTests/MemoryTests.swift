import Glibc
import SampleArena
import SessionEngine
import TLSRecords
import Testing

@Suite("The memory of sessions")
struct MemoryTests {
    private static let extent = 65_536
    private static let page = 4_096

    // MARK: Rest

    @Test("a session that rests is its slot, and goes on under its keys when something comes, here or elsewhere")
    func rest() throws {
        let place = try Place(client: .aes256GCM, upstream: .ecdheRSAWithAES128GCM, total: .max)
        for round in 0..<2 {
            for box in place.ends { box.end.isSilent = false }
            let goal = place.ends.map { $0.end.received + 100_000 }
            #expect(try place.run { zip(place.ends, goal).allSatisfy { $0.0.end.received > $0.1 } })
            for box in place.ends { box.end.isSilent = true }
            #expect(try place.run { place.withEngine { $0.restingCount } == 1 })
            guard round == 1 else { continue }
            place.withEngine { engine in
                let refused = engine.begin(engine.extract([1]).parcels)
                #expect(refused.isEmpty)
            }
        }
        for box in place.ends {
            box.end.isSilent = false
            box.end.total = box.end.sent + 100_000
        }
        #expect(try place.run { place.ends.allSatisfy { $0.end.isDone } })
        #expect(place.ends.map { $0.end.fault } == [nil, nil])
        #expect(place.ends.map { $0.end.received } == place.ends.reversed().map { $0.end.sent })
    }

    @Test("a session whose slot has been damaged while it rested is reset, and nothing worse")
    func damagedAtRest() throws {
        let place = try Place(client: .aes128GCM, upstream: nil, total: .max)
        #expect(try place.run { place.ends.allSatisfy { $0.end.received > 10_000 } })
        for box in place.ends { box.end.isSilent = true }
        #expect(try place.run { place.withEngine { $0.restingCount } == 1 })
        place.damage(at: 1_004, [0, 0, 0, 0])  // what the client's facts begin with
        place.session.backend.end.isSilent = false
        #expect(try place.run { place.ends.allSatisfy { $0.end.fault != nil } })
        #expect(place.sessionCount == 0)
    }

    @Test("an engine without anything due sleeps, having given back what it does not need")
    func quiet() throws {
        let place = try Place(client: .aes128GCM, upstream: nil, total: .max)
        #expect(try place.run { place.ends.allSatisfy { $0.end.received > 100_000 } })
        for box in place.ends { box.end.isSilent = true }
        #expect(try place.run { place.withEngine { $0.restingCount } == 1 && !place.holdsExtents })
        // With what was due behind it, nothing ends the engine's own wait but the time that was asked for: that it lasts is
        // what is tested.
        place.step()
        let start = ContinuousClock.now
        place.withEngine { $0.step(waiting: 1_000) }
        #expect(ContinuousClock.now - start > .milliseconds(900))
        place.session.peer.end.isSilent = false
        StreamEnd.step(place.ends, milliseconds: 0)
        let sent = place.session.peer.end.sent
        place.withEngine { $0.step(waiting: 30_000) }
        #expect(try place.run { place.session.backend.end.received >= sent })
    }

    // MARK: Limits

    @Test(
        "a peer that does not read makes a session keep as much as the limit says, and no more than an extent each way",
        arguments: [16 << 10, 64 << 10, 1 << 20], [CipherSuite?.none, .aes128GCM])
    func slowPeer(limit: Int, suite: CipherSuite?) throws {
        let place = try Place(client: suite, upstream: nil, total: .max)
        place.withEngine { $0.setLimits(SessionLimits(bufferSize: limit), moveEvery: 0) }
        place.session.limitClientOutput()
        place.session.peer.end.isPaused = true
        place.session.peer.end.isSilent = true
        try place.settle()
        // What the upstream has sent stands still, at one extent of input and one of output.
        #expect(place.footprint > Self.extent)
        #expect(place.footprint <= 3 * Self.page + 2 * Self.extent)
        let counts = try #require(place.withEngine { $0.list(after: nil, limit: 1) }.first).counts
        let waiting = Int(counts.receivedFromUpstream) - Int(counts.writtenToClient)
        // What is over the limit is at most one piece or record.
        if suite == nil { #expect(waiting <= min(limit + 16_384, Self.extent) + Self.extent) }
        try place.finish()
    }

    @Test(
        "an arena that is full has no room for new sessions, and nothing worse: the others go on, and then there is room"
    )
    func full() throws {
        let memory = try Arena.make(slotCount: 16, extentCount: 8)
        defer { close(memory) }
        let sessions = try (0..<7).map { (number: Int) -> TestSession in
            let suite: CipherSuite? = number % 2 == 0 ? .aes128GCM : nil
            return try TestSession(client: suite, upstream: nil, seed: UInt64(2 * number + 1), total: .max)
        }
        defer { for session in sessions { session.close() } }
        var engine = try Engine(taking: Arena(mapping: memory), as: 1)
        for number in 0..<6 {
            sessions[number].limitClientOutput()
            sessions[number].peer.end.isPaused = true
            _ = try sessions[number].begin(in: &engine, number: UInt64(number + 1))
        }
        let ends = sessions.prefix(6).flatMap { [$0.peer, $0.backend] }
        func work(_ engine: inout Engine, until isDone: (inout Engine) -> Bool) -> Bool {
            let deadline = ContinuousClock.now + .seconds(30)
            while !isDone(&engine) {
                guard ContinuousClock.now < deadline else { return false }
                StreamEnd.step(ends, milliseconds: 0)
                engine.step(waiting: 0)
            }
            return true
        }
        var before: [UInt64] = []
        var quiet = 0
        let standsStill = work(&engine) { _ in
            let sent = ends.map { $0.end.sent + $0.end.received }
            quiet = sent == before ? quiet + 1 : 0
            before = sent
            return quiet == 200
        }
        #expect(standsStill)
        #expect(throws: BeginError.noRoom) { _ = try sessions[6].begin(in: &engine, number: 7) }
        for end in ends {
            end.end.isPaused = false
            end.end.total = end.end.sent + 100_000
        }
        #expect(work(&engine) { _ in ends.allSatisfy { $0.end.isDone } })
        let faults = ends.compactMap { $0.end.fault }
        #expect(faults == [])
        let slot = try sessions[6].begin(in: &engine, number: 7)
        #expect(slot >= 0)
    }

    @Test("slots come back, and all memory but theirs")
    func comeBack() throws {
        let (slots, extents) = (8, 64)
        let memory = try Arena.make(slotCount: slots, extentCount: extents)
        defer { close(memory) }
        var engine = try Engine(taking: Arena(mapping: memory), as: 1)
        for round in 0..<4 {
            let sessions = try (0..<slots).map { (number: Int) -> TestSession in
                let client: CipherSuite? = number % 2 == 0 ? .aes128GCM : nil
                let upstream: CipherSuite? = number % 3 == 0 ? .aes256GCM : nil
                return try TestSession(
                    client: client, upstream: upstream, seed: UInt64(2 * number + 1), total: 200_000)
            }
            defer { for session in sessions { session.close() } }
            var taken: Set<Int> = []
            for (number, session) in sessions.enumerated() {
                taken.insert(try session.begin(in: &engine, number: UInt64(round * slots + number)))
            }
            let deadline = ContinuousClock.now + .seconds(60)
            let ends = sessions.flatMap { [$0.peer, $0.backend] }
            while engine.sessionCount > 0 || !ends.allSatisfy({ $0.end.isDone }), ContinuousClock.now < deadline {
                StreamEnd.step(ends, milliseconds: 0)
                engine.step(waiting: 0)
            }
            #expect(ends.allSatisfy { $0.end.received == 200_000 })
            let released = engine.takeReleased()
            #expect(Set(released.map(\.slot)) == Set(0..<slots))
            #expect(Set(released.map(\.generation)) == [UInt64(round + 1)])
        }
        let slotsEnd = (4_096 + slots * 2_048 + 4_095) / 4_096 * 4_096
        let deadline = ContinuousClock.now + .seconds(60)
        func dataBehindSlots() -> Bool { lseek(memory, slotsEnd, 3) >= 0 }  // SEEK_DATA
        while dataBehindSlots(), ContinuousClock.now < deadline { engine.step(waiting: 1_000) }
        #expect(!dataBehindSlots())
        var status = stat()
        fstat(memory, &status)
        #expect(Int(status.st_blocks) * 512 <= slotsEnd)
    }
}

extension Place {
    /// Whether any extent holds memory: there is more than the header and four slots.
    fileprivate var holdsExtents: Bool { footprint > 3 * 4_096 }
}
