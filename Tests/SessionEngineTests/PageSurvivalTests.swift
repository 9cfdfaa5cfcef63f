import SessionEngine
import TLSRecords
import Testing

/// The same as `SurvivalTests`, of pages. Each end checks that it gets one answer to each request, in their order.
@Suite("Pages outlive their owners", .serialized)
struct PageSurvivalTests {
    /// Plain and every suite. Of each there is one on TCP and one on a Unix socket.
    private static let suites: [CipherSuite?] = ([nil] + CipherSuite.allCases.map { $0 }).flatMap { [$0, $0] }

    private static func unix(_ number: Int) -> UnixLegs { number % 2 == 0 ? [] : .client }

    private static func crowd(total: (Int) -> UInt64? = { _ in nil }, extentCount: Int? = nil) throws -> Crowd {
        try Crowd([], pages: suites, total: total, extentCount: extentCount, unix: unix)
    }

    @Test("a page without deaths answers every request and then ends")
    func undisturbed() throws {
        let crowd = try PageSurvivalTests.crowd(total: { _ in 300_000 })
        #expect(try crowd.run(kills: 0, limit: .seconds(60)) == [])
    }

    @Test("owners killed at any moment lose and double no answer, of pages, echoes and relays in one arena")
    func killed() throws {
        let crowd = try Crowd(
            [(nil, nil), (.aes128GCM, nil), (nil, .ecdheRSAWithAES256GCM), (.chaCha20Poly1305, .aes256GCM)],
            echoes: [nil, .aes128GCM], pages: PageSurvivalTests.suites, unix: PageSurvivalTests.unix)
        #expect(try crowd.run(kills: 120, life: 0...100_000, limit: .seconds(240)) == [])
        #expect(crowd.deaths == 120)
        #expect(crowd.ends.contains { $0.end.keyUpdates > 10 })
        #expect(crowd.ends.allSatisfy { $0.end.received > 0 })
    }

    #if DEBUG
        private static let samples: [CipherSuite?] = [nil, .aes128GCM, .ecdheECDSAWithChaCha20Poly1305]

        @Test(
            "an owner that dies at any step of its work loses and doubles no answer", arguments: samples, [false, true])
        func everyStep(suite: CipherSuite?, isUnix: Bool) throws {
            let crowd = try Crowd([], pages: [suite], unix: { _ in isUnix ? .client : [] })
            #expect(try crowd.run(kills: 150, dyingWithin: 75, limit: .seconds(120)) == [])
            #expect(crowd.deaths == 150)
        }

        @Test("an owner that dies at any step of a session's end loses and doubles no answer")
        func everyStepOfTheEnd() throws {
            let crowd = try PageSurvivalTests.crowd(total: { _ in 30_000 })
            #expect(try crowd.run(kills: 2_000, dyingWithin: 50, limit: .seconds(120)) == [])
            #expect(crowd.deaths > 20)
        }

        @Test(
            "owners that die at any one step of a session's life, and at the first two of taking it over, lose no answer",
            arguments: samples, [false, true])
        func everyStepOfALife(suite: CipherSuite?, isUnix: Bool) throws {
            var step = 0
            var deaths = 0
            repeat {
                let crowd = try Crowd(
                    [], pages: [suite], total: { _ in 2_000 }, unix: { _ in isUnix ? .client : [] })
                let faults = try crowd.run(kills: 3, limit: .seconds(60)) { $0 == 0 ? step : $0 - 1 }
                #expect(faults == [], "after a death at step \(step)")
                deaths = crowd.deaths
                step += 1
            } while deaths > 0
            #expect(step > 8)
        }
    #endif

    @Test("a peer that does not read for twenty owners gets every answer when it does")
    func slowReader() throws {
        let crowd = try PageSurvivalTests.crowd()
        for (number, box) in crowd.ends.enumerated() where number % 4 < 2 { box.end.isPaused = true }
        let faults = try crowd.run(kills: 30, life: 20_000...100_000, limit: .seconds(120)) { deaths in
            if deaths == 20 { for box in crowd.ends { box.end.isPaused = false } }
        }
        #expect(faults == [])
    }

    @Test("sessions wait for memory and lose nothing while the arena is full")
    func fullArena() throws {
        let crowd = try PageSurvivalTests.crowd(extentCount: 10)
        #expect(try crowd.run(kills: 30, life: 20_000...100_000, limit: .seconds(120)) == [])
    }

    @Test("sessions end in order while owners die, one session after the other")
    func ends() throws {
        let crowd = try PageSurvivalTests.crowd(total: { UInt64($0) * 100_000 })
        #expect(try crowd.run(kills: 1_000, life: 0...40_000, limit: .seconds(240)) == [])
        #expect(crowd.deaths > 0)
    }
}
