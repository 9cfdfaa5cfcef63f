/// A limit on bytes a second. It reads no clock: it is told the time.
struct TokenBucket {
    /// Bytes a second; nil: no limit.
    let rate: Int?
    private var tokens: Double
    private var filledAt: UInt64

    /// How much may leave at once after a pause, in seconds of the rate.
    private static let depth = 0.1

    init(rate: Int?, now: UInt64) {
        self.rate = rate
        tokens = Double(rate ?? 0) * Self.depth
        filledAt = now
    }

    /// Nanoseconds until something may be sent again: 0 if it may now. What is sent then may be more than there are
    /// tokens for; the debt is waited off.
    mutating func delay(now: UInt64) -> UInt64 {
        guard let rate else { return 0 }
        let elapsed = Double(now >= filledAt ? now - filledAt : 0) / 1e9
        tokens = min(tokens + elapsed * Double(rate), Double(rate) * Self.depth)
        filledAt = max(now, filledAt)
        guard tokens < 0 else { return 0 }
        return UInt64((-tokens / Double(rate) * 1e9).rounded(.up))
    }

    /// So many bytes have been sent.
    mutating func spend(_ count: Int) {
        if rate != nil { tokens -= Double(count) }
    }
}
