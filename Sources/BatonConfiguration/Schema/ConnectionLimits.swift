package import BatonCore

/// Counts the open connections, in all and per source, and says whether one more may come in. It does no I/O; the
/// caller holds it where it accepts.
///
/// IPv6 sources are counted by their /64, which is what one customer gets (RFC 6177): to count by address would let one
/// of them open 2^64 times the limit. Memory is bounded by the number of open connections.
package struct ConnectionLimits: Sendable {
    /// The most connections at a time. Lowering it closes nothing; it holds for connections to come.
    package var total: Int
    /// The most connections at a time from one IPv4 address or one IPv6 /64; nil: no limit.
    package var perSource: Int?

    /// The connections now open.
    package private(set) var count = 0
    private var counts: [IPAddress: Int] = [:]

    /// Creates the counters.
    package init(total: Int, perSource: Int?) {
        self.total = total
        self.perSource = perSource
    }

    /// Which limit stands against a connection.
    package enum Refusal: String, Error, Hashable, Sendable {
        /// The limit of connections in all.
        case total
        /// The limit of connections from one source.
        case perSource
    }

    /// The number of sources with an open connection.
    package var sourceCount: Int { counts.count }

    /// The connections now open from this source's group.
    package func count(from source: IPAddress) -> Int { counts[Self.group(of: source)] ?? 0 }

    /// Counts a connection that wants in.
    ///
    /// - Parameter source: the peer's address; nil for a Unix socket, which counts only in the total.
    /// - Throws: the limit that is reached. The connection is then not counted: close it, and do not `release` it.
    package mutating func admit(from source: IPAddress?) throws(Refusal) {
        guard count < total else { throw .total }
        if let source {
            let group = Self.group(of: source)
            let open = counts[group] ?? 0
            if let perSource, open >= perSource { throw .perSource }
            counts[group] = open + 1
        }
        count += 1
    }

    /// Counts a connection under its source, which was not known when it was admitted: a load balancer tells it.
    ///
    /// - Throws: `perSource`. The connection is counted as before then, without a source, because it is there until it
    ///   has been closed.
    package mutating func attribute(to source: IPAddress) throws(Refusal) {
        if let perSource, count(from: source) >= perSource { throw .perSource }
        // A total that was lowered meanwhile is for connections to come.
        release(from: nil)
        adopt(from: source)
    }

    /// Counts connections that came from another process. They are never refused: whoever offered them no longer has
    /// them.
    package mutating func adopt(from source: IPAddress?, count number: Int = 1) {
        if let source { counts[Self.group(of: source), default: 0] += number }
        count += number
    }

    /// Forgets connections that were admitted or adopted from this source.
    package mutating func release(from source: IPAddress?, count number: Int = 1) {
        count = max(0, count - number)
        guard let source, let open = counts[Self.group(of: source)] else { return }
        counts[Self.group(of: source)] = open > number ? open - number : nil
    }

    package static func group(of source: IPAddress) -> IPAddress {
        if case .v6(let high, _) = source.unmapped { .v6(high: high, low: 0) } else { source.unmapped }
    }
}
