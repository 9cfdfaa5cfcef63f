package import BatonCore

/// How many of something may begin in a second: a token bucket that holds those of one second. It reads no clock; times are
/// nanoseconds of a monotonic one.
package struct RateLimit: Sendable {
    /// 1 to 10,000,000; nil: as many as come.
    package var perSecond: Int?
    /// When the bucket is full again (the theoretical arrival time of the GCRA).
    fileprivate var fullAt: UInt64 = 0

    private static let burst: UInt64 = 1_000_000_000

    package init(perSecond: Int?) { self.perSecond = perSecond }

    /// How long until one may begin; 0: it may now.
    package func wait(at now: UInt64) -> UInt64 {
        guard let interval else { return 0 }
        let full = max(fullAt, now) &+ interval
        let earliest = full &- Self.burst
        return full > Self.burst && earliest > now ? earliest - now : 0
    }

    /// One begins now, if it may.
    package mutating func admit(at now: UInt64) -> Bool { reserve(at: now, within: 0) != nil }

    /// One begins as soon as it may.
    ///
    /// - Parameter longest: the longest time that it can wait, in nanoseconds.
    /// - Returns: when that is, in nanoseconds from now; nil: later than it can wait, and it does not count.
    package mutating func reserve(at now: UInt64, within longest: UInt64) -> UInt64? {
        guard let interval else { return 0 }
        let wait = wait(at: now)
        guard wait <= longest else { return nil }
        fullAt = max(fullAt, now) &+ interval
        return wait
    }

    /// Nanoseconds for one.
    private var interval: UInt64? { perSecond.map { Self.burst / UInt64(max(1, $0)) } }
}

/// How many connections may come in a second from each source: one IPv4 address or one IPv6 /64, as `ConnectionLimits` counts them.
///
/// A source is forgotten after a second without a connection, when it has its whole second's worth again. Whoever comes from more
/// than `maxSources` in a second has the first of them forgotten sooner; the rate for all is what stands against that.
package struct SourceRates: Sendable {
    /// 1 to 10,000,000; nil: as many as come.
    package var perSecond: Int? {
        didSet { if perSecond == nil { (current, former) = ([:], [:]) } }
    }
    private var current: [IPAddress: UInt64] = [:]
    private var former: [IPAddress: UInt64] = [:]
    private var begins: UInt64 = 0

    /// The most sources of one generation; there are two.
    package static let maxSources = 65_536
    private static let generation: UInt64 = 1_000_000_000

    package init(perSecond: Int?) { self.perSecond = perSecond }

    /// The sources that are remembered, some of them twice.
    package var sourceCount: Int { current.count + former.count }

    /// Counts a connection, if it may come.
    package mutating func admit(from source: IPAddress, at now: UInt64) -> Bool {
        guard perSecond != nil else { return true }
        let group = ConnectionLimits.group(of: source)
        if now &- begins >= Self.generation || current.count >= Self.maxSources && current[group] == nil {
            former = current
            current = [:]
            begins = now
        }
        var limit = RateLimit(perSecond: perSecond)
        limit.fullAt = current[group] ?? former[group] ?? 0
        let mayCome = limit.admit(at: now)
        current[group] = limit.fullAt
        return mayCome
    }
}
