import Testing

@testable import BatonServer

@Suite("Log lines that strangers bring about")
struct LineThrottleTests {
    @Test("of each kind so many in an interval, and then how many there were besides")
    func throttle() {
        var throttle = LineThrottle<String>(most: 3, interval: 100)
        for _ in 0..<3 { #expect(throttle.admit("a", now: 5) == 0) }
        for now in 6..<105 as Range<UInt64> { #expect(throttle.admit("a", now: now) == nil) }
        #expect(throttle.admit("b", now: 50) == 0)
        #expect(throttle.admit("a", now: 105) == 99)
        #expect(throttle.admit("a", now: 106) == 0)
    }
}
