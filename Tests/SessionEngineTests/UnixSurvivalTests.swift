import SessionEngine
import TLSRecords
import Testing

/// The same as `SurvivalTests`, where one leg or both are on Unix stream sockets.
@Suite("Sessions on Unix sockets outlive their owners", .serialized)
struct UnixSurvivalTests {
    private typealias Kind = (client: CipherSuite?, upstream: CipherSuite?)

    /// TLS of both versions and none, on either side.
    private static let kinds: [Kind] = [
        (nil, nil), (.aes128GCM, nil), (.ecdheECDSAWithAES128GCM, nil), (nil, .chaCha20Poly1305),
        (.aes256GCM, .ecdheRSAWithAES256GCM),
    ]

    /// Every kind with every choice of legs comes within fifteen.
    private static func unix(_ number: Int) -> UnixLegs { UnixLegs(rawValue: number % 3 + 1) }

    private static func crowd(
        _ count: Int, total: (Int) -> UInt64? = { _ in nil }, extentCount: Int? = nil
    ) throws -> Crowd {
        try Crowd(
            (0..<count).map { kinds[$0 % kinds.count] }, total: total, extentCount: extentCount, unix: unix)
    }

    @Test("a relay without deaths carries every byte both ways and then the ends")
    func undisturbed() throws {
        let crowd = try UnixSurvivalTests.crowd(15, total: { _ in 300_000 })
        #expect(try crowd.run(kills: 0, limit: .seconds(60)) == [])
    }

    @Test("owners killed at any moment lose and double no byte")
    func killed() throws {
        let crowd = try UnixSurvivalTests.crowd(30)
        #expect(try crowd.run(kills: 120, life: 0...100_000, limit: .seconds(240)) == [])
        #expect(crowd.deaths == 120)
        #expect(crowd.ends.allSatisfy { $0.end.received > 0 })
    }

    #if DEBUG
        @Test(
            "an owner that dies at any step of its work loses and doubles no byte",
            arguments: [UnixLegs.client, .upstream, [.client, .upstream]].map(\.rawValue), [1, 5])
        func everyStep(unix: Int, sessions: Int) throws {
            let kinds = (0..<sessions).map { UnixSurvivalTests.kinds[(sessions + $0) % UnixSurvivalTests.kinds.count] }
            let crowd = try Crowd(kinds, extentCount: 40, unix: { _ in UnixLegs(rawValue: unix) })
            // Of what is said both ways the client hears last: an owner would not live to write to it.
            if unix == UnixLegs.client.rawValue {
                for (number, box) in crowd.ends.enumerated() where number % 4 == 0 { box.end.total = 0 }
            }
            #expect(try crowd.run(kills: 150, dyingWithin: 75, limit: .seconds(120)) == [])
            #expect(crowd.deaths == 150)
        }

        @Test(
            "owners that die at any one step of a session's life, and at the first two of taking it over, lose no byte",
            arguments: 1...3, [0, 1])
        func everyStepOfALife(unix: Int, kind: Int) throws {
            var step = 0
            var deaths = 0
            repeat {
                let crowd = try Crowd(
                    [UnixSurvivalTests.kinds[kind]], total: { _ in 2_000 }, extentCount: 40,
                    unix: { _ in UnixLegs(rawValue: unix) })
                let faults = try crowd.run(kills: 3, limit: .seconds(60)) { $0 == 0 ? step : $0 - 1 }
                #expect(faults == [], "after a death at step \(step)")
                deaths = crowd.deaths
                step += 1
            } while deaths > 0
            #expect(step > 20)
        }
    #endif

    @Test("a peer that does not read for twenty owners gets every byte when it does")
    func slowReader() throws {
        let crowd = try UnixSurvivalTests.crowd(15)
        for (number, box) in crowd.ends.enumerated() where number % 3 == 1 { box.end.isPaused = true }
        let faults = try crowd.run(kills: 30, life: 20_000...100_000, limit: .seconds(120)) { deaths in
            if deaths == 20 { for box in crowd.ends { box.end.isPaused = false } }
        }
        #expect(faults == [])
    }

    @Test("sessions wait for memory and lose nothing while the arena is full")
    func fullArena() throws {
        let crowd = try UnixSurvivalTests.crowd(15, extentCount: 10)
        #expect(try crowd.run(kills: 30, life: 20_000...100_000, limit: .seconds(120)) == [])
    }

    @Test("sessions end in order while owners die, one session after the other")
    func ends() throws {
        let crowd = try UnixSurvivalTests.crowd(30, total: { UInt64($0) * 100_000 })
        #expect(try crowd.run(kills: 1_000, life: 0...40_000, limit: .seconds(240)) == [])
        #expect(crowd.deaths > 0)
    }
}
