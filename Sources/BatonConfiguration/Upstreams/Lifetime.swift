internal import BatonCore

/// When a connection is too old.
package enum Lifetime {
    /// Whether it is. The limit is a tenth longer or shorter, by something of the connection's own, so that it is the same in every
    /// process that has the connection, and those that were accepted at once do not end at once.
    ///
    /// - Parameters:
    ///   - acceptedAt: milliseconds of the wall clock.
    ///   - limit: `max-lifetime`.
    ///   - chance: what tells it from others.
    ///   - now: milliseconds of the wall clock.
    package static func isOver(acceptedAt: UInt64, limit: Duration, chance: String, at now: UInt64) -> Bool {
        guard now > acceptedAt else { return false }
        let milliseconds = Double(limit.nanoseconds) / 1e6
        return Double(now - acceptedAt) >= milliseconds * (0.9 + 0.2 * Affinity.fraction(of: chance, acceptedAt))
    }
}
