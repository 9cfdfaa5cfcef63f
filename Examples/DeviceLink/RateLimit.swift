import NIOCore

/// So many at once, and then one in each interval (a token bucket).
struct RateLimit {
    private let burst: Int
    private let interval: TimeAmount
    private var left: Int
    private var refilled: NIODeadline

    init(burst: Int, interval: TimeAmount, now: NIODeadline = .now()) {
        self.burst = burst
        self.interval = interval
        left = burst
        refilled = now
    }

    /// Whether one more may pass.
    mutating func take(now: NIODeadline = .now()) -> Bool {
        let intervals = Int((now - refilled).nanoseconds / interval.nanoseconds)
        if intervals > 0 {
            left = min(burst, left + intervals)
            refilled = refilled + interval * intervals
        }
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}
