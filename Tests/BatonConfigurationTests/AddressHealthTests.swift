import BatonCore
import Testing

@testable import BatonConfiguration

@Suite("Whether an address is used")
struct AddressHealthTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("so many failures in a row leave it out, and one success between them does not")
    func ejection() {
        var state = EjectionState()
        func fail(_ now: UInt64) -> Bool { state.failed(at: now, limit: 3, time: .seconds(10)) }
        func succeed() -> Bool { state.succeeded() }
        #expect(!fail(1) && !fail(2))
        #expect(!succeed())
        #expect(!fail(3) && !fail(4) && fail(5))
        #expect(state.isEjected(at: 6) && state.isEjected(at: 4 + 10 * Self.second))
        #expect(!state.isEjected(at: 5 + 10 * Self.second))
        // Those that were under way say nothing new.
        #expect(!fail(7) && state.until == 5 + 10 * Self.second)
    }

    @Test("the next failure after its time leaves it out for twice as long, up to eightfold; a success begins anew")
    func backOff() {
        var state = EjectionState()
        var now: UInt64 = 0
        func fail() -> Bool { state.failed(at: now, limit: 3, time: .seconds(1)) }
        func succeed() -> Bool { state.succeeded() }
        for _ in 0..<2 { _ = fail() }
        for times in [1, 2, 4, 8, 8, 8] as [UInt64] {
            #expect(fail())
            #expect(state.until == now + times * Self.second)
            now = state.until
        }
        #expect(succeed() && !succeed())
        #expect(!fail())
    }

    @Test("without a limit none is left out, also one that was")
    func noEjection() {
        var state = EjectionState()
        for _ in 0..<3 { _ = state.failed(at: 1, limit: 3, time: .seconds(1)) }
        #expect(state.isEjected(at: 2))
        func fail() -> Bool { state.failed(at: 2, limit: nil, time: .seconds(1)) }
        for _ in 0..<9 { #expect(!fail()) }
        #expect(!state.isEjected(at: 2))
    }

    @Test(
        "checks take it out after fall, and bring it back after rise",
        arguments: [
            // rise, fall, results, the state after each
            (2, 3, "ggbbb", "uuuud"), (2, 3, "gbbgbbb", "uuuuuud"), (2, 3, "gbbbgg", "uuuddu"),
            (2, 3, "gbbbgbgg", "uuuddddu"), (1, 1, "gbgb", "udud"),
            // The first decides alone.
            (2, 3, "b", "d"), (2, 3, "bgg", "ddu"),
        ])
    func checks(rise: Int, fall: Int, results: String, states: String) {
        var state = CheckState()
        #expect(state.isUp == nil)
        var before: Character = "u"
        for (result, expected) in zip(results, states) {
            let hasChanged = state.ended(isGood: result == "g", rise: rise, fall: fall)
            #expect(state.isUp == (expected == "u"), "\(results)")
            #expect(hasChanged == (before != expected), "\(results)")
            before = expected
        }
    }

    @Test("what has come back begins with a little and has all in the end")
    func slowStart() {
        let factor = { SlowStart.factor(since: 5, at: $0, over: .seconds(10)) }
        #expect(factor(5) == SlowStart.least && factor(0) == SlowStart.least)
        #expect(abs(factor(5 + 5 * Self.second) - 0.5) < 0.001)
        #expect(factor(5 + 10 * Self.second) == 1 && factor(.max) == 1)
        #expect(SlowStart.factor(since: nil, at: 5, over: .seconds(10)) == 1)
        #expect(SlowStart.factor(since: 5, at: 5, over: nil) == 1)
    }

    @Test("a share that grows is a share of connections")
    func slowStartShares() {
        var balancer = Balancer(seed: 1)
        var counts = [0, 0]
        for step in 0..<200 as Range<UInt64> {
            let factor = SlowStart.factor(since: 1, at: 1 + step * Self.second, over: .seconds(200))
            let some = [
                Balancer.Candidate(name: "a"), Balancer.Candidate(name: "b", weight: factor, position: 1),
            ]
            counts[balancer.order(some, by: .roundRobin)[0]] += 1
        }
        // The integral of x/(1+x) from 0 to 1 is 0.307.
        #expect(55...68 ~= counts[1], "\(counts)")
    }

    @Test("lifetimes differ by a tenth either way, and are the same wherever a connection is")
    func lifetime() {
        func isOver(_ seconds: Double, _ chance: String) -> Bool {
            Lifetime.isOver(
                acceptedAt: 1_000, limit: .seconds(100), chance: chance, at: 1_000 + UInt64(seconds * 1_000))
        }
        let peers = (0..<200).map { "192.0.2.1:\($0)" }
        #expect(peers.allSatisfy { !isOver(89.9, $0) && isOver(110.1, $0) })
        #expect(70...130 ~= peers.count { isOver(100, $0) })
        #expect(!Lifetime.isOver(acceptedAt: 5, limit: .seconds(1), chance: "", at: 4))
    }

    @Test(
        "an HTTP status is read from the first line, and from nothing else",
        arguments: [
            ("HTTP/1.1 200 OK\r\n", 200), ("HTTP/1.0 404\r\nX", 404), ("HTTP/1.1 503 \n", 503),
            ("HTTP/2 200\r\n\r\n\r\n", 0), ("HTTP/1.1 20\r\n", 0), ("HTTP/1.1 2000\r\n", 0), ("SSH-2.0-x\r\n", 0),
            ("\n", 0), ("HTTP/1.1 200 OK", nil), ("", nil),
        ] as [(String, Int?)])
    func status(text: String, expected: Int?) {
        #expect(HTTPStatus.read(Array(text.utf8), limit: 64) == expected)
        if expected == nil { #expect(HTTPStatus.read(Array(text.utf8), limit: text.utf8.count) == 0) }
    }
}
