/// Whether an acceptor waits for descriptors, or for memory of the kernel's, and when it looks again. It reads no clock;
/// times are nanoseconds of a monotonic one.
struct DescriptorShortage: Sendable {
    private static let shortestWait: UInt64 = 20_000_000
    private static let longestWait: UInt64 = 500_000_000
    /// A server at its limit has a descriptor now and then. The shortage is over, and its end is told, when it has had what
    /// it needs for so long.
    private static let calm: UInt64 = 3_000_000_000

    private var wait: UInt64 = shortestWait
    /// When the shortage began that was told and whose end was not.
    private(set) var since: UInt64?
    /// Until when nothing is accepted.
    private(set) var waitsUntil: UInt64?
    private var relievedAt: UInt64?

    /// Something was missing.
    ///
    /// - Returns: whether to tell of it.
    mutating func met(at now: UInt64) -> Bool {
        wait = waitsUntil == nil ? Self.shortestWait : min(Self.longestWait, wait * 2)
        waitsUntil = now + wait
        relievedAt = nil
        guard since == nil else { return false }
        since = now
        return true
    }

    /// There is something to accept with again.
    mutating func relieved(at now: UInt64) {
        waitsUntil = nil
        if since != nil, relievedAt == nil { relievedAt = now }
    }

    /// When there is something to do without being asked.
    var next: UInt64? { waitsUntil ?? relievedAt.map { $0 + Self.calm } }

    /// - Returns: how long the shortage was, if it is over now and this has not been told.
    mutating func ended(at now: UInt64) -> UInt64? {
        guard let since, let relievedAt, now >= relievedAt + Self.calm else { return nil }
        self.since = nil
        self.relievedAt = nil
        return relievedAt - since
    }
}
