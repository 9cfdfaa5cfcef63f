import BatonCore
import Testing

@Suite("A deadline")
struct DeadlineTests {
    @Test(
        "has passed at once when no time is given, or less", arguments: [Duration.zero, .seconds(-1), .nanoseconds(-1)])
    func past(duration: Duration) {
        let deadline = Deadline.after(duration)
        #expect(deadline.hasPassed && deadline.remainingMilliseconds == 0)
    }

    @Test("beyond what the clock can count is never", arguments: [Duration.seconds(Int64.max), .seconds(1 << 40)])
    func endless(duration: Duration) {
        #expect(Deadline.after(duration) == .never)
        #expect(!Deadline.never.hasPassed && Deadline.never.pollTimeout == 60_000)
    }

    @Test("leaves no more time than was given, rounded up")
    func remaining() {
        let left = Deadline.after(.seconds(3600)).remainingMilliseconds
        #expect(1...3_600_000 ~= left)
        #expect(Deadline.immediate < .after(.seconds(1)))
    }
}
