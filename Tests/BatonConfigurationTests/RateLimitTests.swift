import BatonCore
import Testing

@testable import BatonConfiguration

@Suite("Rates")
struct RateLimitTests {
    private let second: UInt64 = 1_000_000_000

    @Test("a second's worth may begin at once, and then one after another", arguments: [1, 2, 7, 1_000])
    func bucket(perSecond: Int) {
        var limit = RateLimit(perSecond: perSecond)
        let start = 5 * second
        for _ in 0..<perSecond { #expect(limit.admit(at: start) == true) }
        #expect(limit.admit(at: start) == false)
        let wait = limit.wait(at: start)
        #expect(wait > 0 && wait <= second / UInt64(perSecond))
        #expect(limit.wait(at: start + wait) == 0)
        #expect(limit.admit(at: start + wait) == true)
        #expect(limit.admit(at: start + wait) == false)
        // Two seconds later there is one second's worth, not two.
        var count = 0
        while limit.admit(at: start + 3 * second) { count += 1 }
        #expect(count == perSecond)
    }

    @Test("over a long time no more than the rate begin, however they come")
    func longRun() {
        var limit = RateLimit(perSecond: 10)
        let count = (0..<100_000).count { limit.admit(at: second + UInt64($0) * 1_000_000) }
        // 100 seconds, and the first second's worth.
        #expect(count == 1_010 || count == 1_009)
    }

    @Test("turns are given one behind the other, and none that is later than can be waited for")
    func reserve() {
        var limit = RateLimit(perSecond: 2)
        let waits = (0..<6).map { _ in limit.reserve(at: second, within: second) }
        #expect(waits == [0, 0, second / 2, second, nil, nil])
        #expect(limit.reserve(at: 2 * second, within: second) == second / 2)
    }

    @Test("without a rate nothing waits, at any time")
    func unlimited() {
        var limit = RateLimit(perSecond: nil)
        for _ in 0..<1_000 { #expect(limit.admit(at: 0) == true) }
        #expect(limit.wait(at: 0) == 0)
        limit.perSecond = 1
        #expect(limit.admit(at: 0) == true)
        #expect(limit.admit(at: 0) == false)
    }

    @Test("each source has its own rate, and one /64 is one source")
    func sources() throws {
        func ip(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
        var rates = SourceRates(perSecond: 1)
        #expect(try rates.admit(from: ip("192.0.2.1"), at: second) == true)
        #expect(try rates.admit(from: ip("::ffff:192.0.2.1"), at: second) == false)
        #expect(try rates.admit(from: ip("192.0.2.2"), at: second) == true)
        #expect(try rates.admit(from: ip("2001:db8::1"), at: second) == true)
        #expect(try rates.admit(from: ip("2001:db8::2"), at: second) == false)
        #expect(try rates.admit(from: ip("2001:db8:0:1::1"), at: second) == true)
        // What has been refused does not count.
        #expect(try rates.admit(from: ip("192.0.2.1"), at: 2 * second) == true)
        // A generation that ends forgets nobody who has used up what there is.
        #expect(try rates.admit(from: ip("192.0.2.1"), at: 2 * second + second / 2) == false)
        rates.perSecond = nil
        #expect(try rates.admit(from: ip("192.0.2.1"), at: 2 * second) == true)
        #expect(rates.sourceCount == 0)
    }

    @Test("an attacker with many addresses does not have more remembered than is allowed")
    func memory() {
        var rates = SourceRates(perSecond: 1)
        for number in 0..<300_000 as Range<UInt32> {
            if !rates.admit(from: .v4(number), at: second) { Issue.record("\(number) is refused") }
            if rates.sourceCount > 2 * SourceRates.maxSources { Issue.record("\(rates.sourceCount)") }
        }
        // Those of the last second are remembered as they are, the rest not at all.
        #expect(rates.admit(from: .v4(299_999), at: second) == false)
        _ = rates.admit(from: .v4(1), at: 3 * second)
        _ = rates.admit(from: .v4(1), at: 5 * second)
        #expect(rates.sourceCount <= 2)
    }
}
