import Testing

@testable import BatonServer

@Suite("Restarts of fronts")
struct FrontRestartsTests {
    @Test(
        "the first front that dies is followed at once, those that fail at their start after growing delays up to a bound"
    )
    func delays() {
        var restarts = FrontRestarts()
        #expect(restarts.delay == .zero)
        restarts.died(afterServing: .seconds(60))
        #expect(restarts.delay == .zero && restarts.failures == 0)
        var delays: [Duration] = []
        for _ in 0..<9 {
            restarts.died(afterServing: nil)
            delays.append(restarts.delay)
        }
        #expect(delays == [0, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000].map { .milliseconds($0) })
    }

    @Test("the delay stays at its bound however many have failed")
    func bound() {
        var restarts = FrontRestarts()
        for _ in 0..<10_000 { restarts.couldNotStart() }
        #expect(restarts.failures == 10_000 && restarts.delay == FrontRestarts.longestDelay)
    }

    @Test("a front that has served for long enough starts the count again, one that has not is a failure")
    func steady() {
        var restarts = FrontRestarts()
        for _ in 0..<5 { restarts.couldNotStart() }
        restarts.died(afterServing: FrontRestarts.steadiness - .nanoseconds(1))
        #expect(restarts.failures == 6)
        restarts.died(afterServing: FrontRestarts.steadiness)
        #expect(restarts.failures == 0 && restarts.delay == .zero)
    }
}
