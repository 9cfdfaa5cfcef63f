internal import BatonConfiguration

/// What the front tells workers of the addresses of upstreams. It goes only to those that have told of theirs: an older worker
/// does not know it. Moments are on the monotonic clock, in nanoseconds.
struct UpstreamOrders: Codable, Sendable, Equatable {
    /// What the front knows of an address.
    struct Address: Codable, Sendable, Equatable {
        /// Its checks say that it cannot be used.
        var isDown: Bool?
        /// Another worker leaves it out until then.
        var ejectedUntil: UInt64?
        /// When its checks have found that it can be used again.
        var upSince: UInt64?
        /// The connections that all other workers have to it; where that counts.
        var others: Int?

        var isEmpty: Bool { self == Address() }
    }

    var names = KnownNames()
    /// By the upstream's name and the address's.
    var addresses: [String: [String: Address]] = [:]
}

/// What a worker tells of the addresses of upstreams, with its report.
struct UpstreamNews: Codable, Sendable, Equatable {
    struct Address: Codable, Sendable, Equatable {
        /// Open, or being opened.
        var connections = 0
        /// Connections that were opened.
        var opened = 0
        /// Connections that could not be.
        var failed = 0
        /// Until when this worker leaves it out by what it has seen itself, on the monotonic clock in nanoseconds.
        var ejectedUntil: UInt64?
        /// Why the last one could not be.
        var reason: String?
    }

    /// By the upstream's name and the address's.
    var addresses: [String: [String: Address]] = [:]

    /// Adds what another has counted. Connections end with their owner or move, and so does what it leaves out.
    mutating func add(_ other: UpstreamNews) {
        for (upstream, others) in other.addresses {
            for (name, counted) in others where counted.opened > 0 || counted.failed > 0 {
                addresses[upstream, default: [:]][name, default: Address()].opened += counted.opened
                addresses[upstream, default: [:]][name, default: Address()].failed += counted.failed
            }
        }
    }
}

/// Which address of which upstream.
struct UpstreamPlace: Hashable, Sendable {
    let upstream: String
    let address: String
}
