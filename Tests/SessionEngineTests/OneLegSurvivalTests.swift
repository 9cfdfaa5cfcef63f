import SessionEngine
import TLSRecords
import Testing

/// The same as `SurvivalTests`, of sessions of one leg. Each end of an echo checks that it gets back what it has sent, and each of a page
/// that it gets one answer to each request, in their order.
@Suite("Sessions of one leg outlive their owners", .serialized)
struct OneLegSurvivalTests {
    enum Kind: CaseIterable {
        case echo, page

        func crowd(
            _ kinds: [(client: CipherSuite?, upstream: CipherSuite?)] = [],
            _ suites: [CipherSuite?] = OneLegSurvivalTests.suites, total: (Int) -> UInt64? = { _ in nil },
            extentCount: Int? = nil, unix: (Int) -> UnixLegs = OneLegSurvivalTests.unix
        ) throws -> Crowd {
            switch self {
            case .echo: try Crowd(kinds, echoes: suites, total: total, extentCount: extentCount, unix: unix)
            // Echoes are beside pages where relays are.
            case .page:
                try Crowd(
                    kinds, echoes: kinds.isEmpty ? [] : [nil, .aes128GCM], pages: suites, total: total,
                    extentCount: extentCount, unix: unix)
            }
        }
    }

    /// Plain and every suite. Of each there is one on TCP and one on a Unix socket.
    private static let suites: [CipherSuite?] = ([nil] + CipherSuite.allCases.map { $0 }).flatMap { [$0, $0] }

    private static func unix(_ number: Int) -> UnixLegs { number % 2 == 0 ? [] : .client }

    @Test("without deaths gives every byte and then the end", arguments: Kind.allCases)
    func undisturbed(kind: Kind) throws {
        let crowd = try kind.crowd(total: { _ in 300_000 })
        #expect(try crowd.run(kills: 0, limit: .seconds(60)) == [])
    }

    @Test(
        "owners killed at any moment lose and double no byte, with relays in the same arena", arguments: Kind.allCases)
    func killed(kind: Kind) throws {
        let crowd = try kind.crowd(
            [(nil, nil), (.aes128GCM, nil), (nil, .ecdheRSAWithAES256GCM), (.chaCha20Poly1305, .aes256GCM)])
        #expect(try crowd.run(kills: 120, life: 0...100_000, limit: .seconds(240)) == [])
        #expect(crowd.deaths == 120)
        #expect(crowd.ends.contains { $0.end.keyUpdates > 10 })
        #expect(crowd.ends.allSatisfy { $0.end.received > 0 })
    }

    #if DEBUG
        struct Sample {
            let kind: Kind
            let suite: CipherSuite?
        }

        private static let samples = Kind.allCases.flatMap { kind in
            [nil, .aes128GCM, .ecdheECDSAWithChaCha20Poly1305].map { Sample(kind: kind, suite: $0) }
        }

        @Test(
            "an owner that dies at any step of its work loses and doubles no byte", arguments: samples, [false, true])
        func everyStep(sample: Sample, isUnix: Bool) throws {
            let crowd = try sample.kind.crowd([], [sample.suite], unix: { _ in isUnix ? .client : [] })
            #expect(try crowd.run(kills: 150, dyingWithin: 75, limit: .seconds(120)) == [])
            #expect(crowd.deaths == 150)
        }

        @Test("an owner that dies at any step of a session's end loses and doubles no byte", arguments: Kind.allCases)
        func everyStepOfTheEnd(kind: Kind) throws {
            let crowd = try kind.crowd(total: { _ in 30_000 })
            #expect(try crowd.run(kills: 2_000, dyingWithin: 50, limit: .seconds(120)) == [])
            #expect(crowd.deaths > 20)
        }

        @Test(
            "owners that die at any one step of a session's life, and at the first two of taking it over, lose no byte",
            arguments: samples, [false, true])
        func everyStepOfALife(sample: Sample, isUnix: Bool) throws {
            var step = 0
            var deaths = 0
            repeat {
                let crowd = try sample.kind.crowd(
                    [], [sample.suite], total: { _ in 2_000 }, unix: { _ in isUnix ? .client : [] })
                let faults = try crowd.run(kills: 3, limit: .seconds(60)) { $0 == 0 ? step : $0 - 1 }
                #expect(faults == [], "after a death at step \(step)")
                deaths = crowd.deaths
                step += 1
            } while deaths > 0
            #expect(step > 8)
        }
    #endif

    @Test("a peer that does not read for twenty owners gets every byte when it does", arguments: Kind.allCases)
    func slowReader(kind: Kind) throws {
        let crowd = try kind.crowd()
        for (number, box) in crowd.ends.enumerated() where number % 4 < 2 { box.end.isPaused = true }
        let faults = try crowd.run(kills: 30, life: 20_000...100_000, limit: .seconds(120)) { deaths in
            if deaths == 20 { for box in crowd.ends { box.end.isPaused = false } }
        }
        #expect(faults == [])
    }

    @Test("sessions wait for memory and lose nothing while the arena is full", arguments: Kind.allCases)
    func fullArena(kind: Kind) throws {
        let crowd = try kind.crowd(extentCount: 10)
        #expect(try crowd.run(kills: 30, life: 20_000...100_000, limit: .seconds(120)) == [])
    }

    @Test("sessions end in order while owners die, one session after the other", arguments: Kind.allCases)
    func ends(kind: Kind) throws {
        let crowd = try kind.crowd(total: { UInt64($0) * 100_000 })
        #expect(try crowd.run(kills: 1_000, life: 0...40_000, limit: .seconds(240)) == [])
        #expect(crowd.deaths > 0)
    }
}
