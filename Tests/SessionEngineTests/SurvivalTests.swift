import SessionEngine
import TLSRecords
import Testing

/// Every end checks each byte that it receives against its position, and with TLS that each record is the next one under
/// its key. So these tests show of what was published, across all owners: no byte is lost, doubled or changed, and no
/// (key, nonce) pair protects two records, because the second would not open as the next.
@Suite("Sessions outlive their owners", .serialized)
struct SurvivalTests {
    /// Each suite on either side, beside plain and beside another version.
    private static let kinds: [Kind] = {
        let suites = CipherSuite.allCases
        var kinds: [Kind] = [(nil, nil)]
        for suite in suites { kinds += [(suite, nil), (nil, suite)] }
        for (client, upstream) in zip(suites, suites.reversed()) { kinds.append((client, upstream)) }
        return kinds
    }()
    private typealias Kind = (client: CipherSuite?, upstream: CipherSuite?)

    private static func sessions(_ count: Int) -> [Kind] {
        (0..<count).map { kinds[$0 % kinds.count] }
    }

    @Test("a relay without deaths carries every byte both ways and then the ends")
    func undisturbed() throws {
        let crowd = try Crowd(SurvivalTests.kinds, total: { _ in 300_000 })
        #expect(try crowd.run(kills: 0, limit: .seconds(60)) == [])
    }

    @Test("owners killed at any moment lose and double no byte, in any kind of session")
    func killed() throws {
        let crowd = try Crowd(SurvivalTests.sessions(56))
        #expect(try crowd.run(kills: 120, life: 0...150_000, limit: .seconds(240)) == [])
        #expect(crowd.deaths == 120)
        #expect(crowd.ends.contains { $0.end.keyUpdates > 10 })
        #expect(crowd.ends.allSatisfy { $0.end.received > 0 })
    }

    #if DEBUG
        @Test("an owner that dies at any step of its work loses and doubles no byte", arguments: [1, 6])
        func everyStep(sessions: Int) throws {
            let crowd = try Crowd(SurvivalTests.sessions(sessions + 22).suffix(sessions))
            #expect(try crowd.run(kills: 150, dyingWithin: 50, limit: .seconds(120)) == [])
            #expect(crowd.deaths == 150)
        }

        @Test("an owner that dies at any step of a session's end loses and doubles no byte")
        func everyStepOfTheEnd() throws {
            let crowd = try Crowd(SurvivalTests.sessions(28), total: { _ in 30_000 })
            #expect(try crowd.run(kills: 2_000, dyingWithin: 50, limit: .seconds(120)) == [])
            #expect(crowd.deaths > 20)
        }
    #endif

    @Test("a peer that does not read for twenty owners gets every byte when it does")
    func slowReader() throws {
        let crowd = try Crowd(SurvivalTests.sessions(28))
        for (number, box) in crowd.ends.enumerated() where number % 4 == 1 { box.end.isPaused = true }
        let faults = try crowd.run(kills: 30, life: 20_000...100_000, limit: .seconds(120)) { deaths in
            if deaths == 20 { for box in crowd.ends { box.end.isPaused = false } }
        }
        #expect(faults == [])
    }

    @Test("sessions wait for memory and lose nothing while the arena is full")
    func fullArena() throws {
        let crowd = try Crowd(SurvivalTests.sessions(28), extentCount: 10)
        #expect(try crowd.run(kills: 30, life: 20_000...100_000, limit: .seconds(120)) == [])
    }

    @Test("sessions end in order while owners die, one session after the other")
    func ends() throws {
        let crowd = try Crowd(SurvivalTests.sessions(56), total: { UInt64($0) * 100_000 })
        #expect(try crowd.run(kills: 1_000, life: 0...40_000, limit: .seconds(240)) == [])
        #expect(crowd.deaths > 0)
    }
}
