import Glibc
import SampleArena
import SessionEngine
import TLSRecords
import Testing

/// An owner may have died of a wild write: its arena may hold anything.
@Suite("A damaged arena")
struct DamagedArenaTests {
    private static let kinds: [(client: CipherSuite?, upstream: CipherSuite?)] = [
        (nil, nil), (.aes128GCM, nil), (.ecdheECDSAWithAES128GCM, .chaCha20Poly1305),
    ]

    private struct Damage {
        var random: UInt64

        mutating func next(_ bound: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % bound
        }

        /// A few bytes at random, or a whole field of an extreme value, in a slot.
        mutating func strike(_ place: Place) {
            for _ in 0...next(3) {
                switch next(3) {
                case 0:
                    place.damage(at: next(1_300), [UInt8(next(256))])
                case 1:
                    let values: [UInt64] = [0, 1, .max, 1 << 63, 1 << 62, 65_536, 65_537, UInt64(next(100_000))]
                    let value = values[next(values.count)]
                    place.damage(at: 8 * next(125), withUnsafeBytes(of: value) { Array($0) })
                default:
                    let values: [UInt32] = [0, 1, 2, 15, 16, .max, .max - 1, 65_536, UInt32(next(64))]
                    place.damage(at: 4 * next(250), withUnsafeBytes(of: values[next(values.count)]) { Array($0) })
                }
            }
        }

        /// A send under way of any leg, from any position, of which any part was taken.
        mutating func strikeSending(_ place: Place) {
            func words(_ values: [UInt32]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }
            let extremes: [UInt32] = [0, 1, 2, 9, 100, .max, .max - 1, 1 << 31]
            place.damageSending(at: 0, words((0..<4).map { _ in extremes[next(extremes.count)] }))
            place.damageSending(at: 72, words([extremes[next(extremes.count)]]))
        }
    }

    @Test("is taken over without a trap, whatever a slot says")
    func anySlot() throws {
        var damage = Damage(random: 1)
        var lost = 0
        for round in 0..<600 {
            let kind = DamagedArenaTests.kinds[round % DamagedArenaTests.kinds.count]
            let place =
                round % 4 == 3
                ? try Place(TestSession(page: kind.client, total: .max, isUnix: round % 8 == 7))
                : try Place(
                    client: kind.client, upstream: kind.upstream, total: .max, unix: UnixLegs(rawValue: round / 3 % 4))
            for _ in 0..<damage.next(6) {
                StreamEnd.step(place.ends, milliseconds: 0)
                place.step()
            }
            place.drop()
            damage.strike(place)
            if round % 5 == 0 { damage.strikeSending(place) }
            try place.succeed()
            lost += place.lost.count
            for _ in 0..<4 {
                StreamEnd.step(place.ends, milliseconds: 0)
                place.step()
            }
        }
        #expect(lost > 100)
    }

    @Test("is adopted or refused, and what is adopted is sound for the owner after", arguments: 0..<4)
    func anyByte(part: Int) throws {
        var adopted = 0
        var lost = 0
        for seed in 0..<500 {
            let (outcome, later) = try ArenaDamage(seed: UInt64(part * 500 + seed)).strike(seed: UInt64(seed))
            #expect(later == [], "seed \(part * 500 + seed)")
            switch outcome {
            case .adopted(let sessions, let others): (adopted, lost) = (adopted + sessions, lost + others)
            case .refused: break
            }
        }
        #expect(adopted > 500)
        #expect(lost > 50)
    }

    @Test(
        "whose facts hold bytes on their way is refused: they are nowhere but in extents", arguments: [22, 23, 24, 25])
    func bytesInFacts(tag: UInt8) throws {
        var image = SampleArena.image
        let slot = SampleArena.Slot.tls13
        let snapshot = SampleFacts.snapshot([
            (1, [2]), (2, [0x13, 0x01]), (3, [UInt8](repeating: 0, count: 32)), (5, [UInt8](repeating: 0, count: 32)),
            (tag, [UInt8](repeating: 11, count: 300)),
        ])
        image.store(SampleFacts.encoded(client: snapshot), at: ArenaImage.facts(slot: slot))
        image.store(UInt32(snapshot.count + 4), at: ArenaImage.slot(slot) + 68)
        image.store(UInt32(snapshot.count + 4), at: ArenaImage.leg(slot: slot, state: 1, 2) + 4)
        #expect(try DamagedArenaTests.lost(image).map(\.slot) == [slot])
    }

    @Test("whose note would lie among the facts is refused, also if it is empty")
    func noteAmongFacts() throws {
        var image = SampleArena.image
        let slot = SampleArena.Slot.tls13
        image.store(UInt32(40), at: ArenaImage.leg(slot: slot, state: 1, 2) + 4)
        #expect(try DamagedArenaTests.lost(image).map(\.slot) == [slot])
    }

    @Test("whose input would begin behind what has been used of it is refused")
    func inputBehind() throws {
        var image = SampleArena.image
        let place = ArenaImage.leg(slot: SampleArena.Slot.plain, state: 1, 1)
        image.store(UInt64(1), at: place)
        image.store(UInt32(6), at: place + 32)
        #expect(try DamagedArenaTests.lost(image).map(\.slot) == [SampleArena.Slot.plain])
    }

    private static func lost(_ image: ArenaImage) throws -> [LostSession] {
        let sockets = try SampleSockets()
        let memory = try image.memory()
        defer { close(memory) }
        let engine = try Engine(taking: Arena(mapping: memory), as: 2, after: .killed(owner: SampleArena.owner)) {
            sockets.duplicates($0.slot)
        }
        return engine.lost
    }

    @Test("costs nobody their session but those that it names")
    func others() throws {
        let memory = try Arena.make(slotCount: 2, extentCount: 16)
        defer { close(memory) }
        let sessions = try [0, 1].map { _ in
            try TestSession(client: .aes128GCM, upstream: .ecdheRSAWithAES128GCM, total: 2_000_000)
        }
        defer { for session in sessions { session.close() } }
        do {
            var former = try Engine(taking: Arena(mapping: memory), as: 1)
            for (number, session) in sessions.enumerated() {
                _ = try session.begin(in: &former, number: UInt64(number + 1))
            }
        }
        let wild = [UInt8](repeating: 0xA5, count: 2048)
        #expect(pwrite(memory, wild, wild.count, 4096 + 2048) == wild.count)
        var engine = try Engine(taking: Arena(mapping: memory), as: 2) { sessions[$0.slot].duplicates }
        let lost = engine.lost
        #expect(lost.map(\.slot) == [1])
        #expect(lost.map(\.reason) == [.impossible])
        let ends = [sessions[0].peer, sessions[0].backend]
        let deadline = ContinuousClock.now + .seconds(30)
        while !ends.allSatisfy({ $0.end.isDone }), ContinuousClock.now < deadline {
            StreamEnd.step(ends, milliseconds: 0)
            engine.step(waiting: 0)
        }
        #expect(ends.map { $0.end.fault } == [nil, nil])
        #expect(ends.map { $0.end.received } == [2_000_000, 2_000_000])
        // Its slot can be used again.
        let next = try TestSession(client: nil, upstream: nil, total: 1)
        defer { next.close() }
        let slot = try next.begin(in: &engine, number: 3)
        #expect([0, 1].contains(slot))
    }

    @Test("of another version is refused, and so is what is no arena", arguments: 0..<4)
    func header(round: Int) throws {
        let memory = try Arena.make(slotCount: 2, extentCount: 8)
        defer { close(memory) }
        let (offset, bytes, error): (Int, [UInt8], ArenaError) =
            switch round {
            case 0: (8, [1, 0, 0, 0], .otherVersion(1))
            case 1: (0, [0], .notAnArena)
            case 2: (12, [3], .notAnArena)
            default: (16, [255, 255, 255, 255], .notAnArena)
            }
        #expect(Arena.version == 2)
        #expect(pwrite(memory, bytes, bytes.count, off_t(offset)) == bytes.count)
        #expect(throws: error) { _ = try Arena(mapping: memory) }
    }

    @Test("is not taken from an owner that nobody has said to have ended")
    func owned() throws {
        let memory = try Arena.make(slotCount: 1, extentCount: 8)
        defer { close(memory) }
        let first = try Engine(taking: Arena(mapping: memory), as: 7)
        #expect(Arena.owner(of: memory) == 7)
        #expect(throws: ArenaError.otherOwner(7)) { _ = try Engine(taking: Arena(mapping: memory), as: 8) }
        _ = first.sessionCount
        let second = try Engine(taking: Arena(mapping: memory), as: 8, after: .killed(owner: 7))
        #expect(Arena.owner(of: memory) == 8)
        _ = second.sessionCount
    }
}
