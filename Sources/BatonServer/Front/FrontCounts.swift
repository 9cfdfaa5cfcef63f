/// What a front counts beside its workers. It goes on to its successors, so that no counter falls in an upgrade.
struct FrontCounts: Codable, Sendable, Equatable {
    /// Finished handshakes by `handshakeKey`.
    var handshakes: [String: Int] = [:]
    /// Handshakes that ended without a connection, by reason.
    var handshakeFailures: [String: Int] = [:]
    /// Connections that were closed before a worker had them, by reason.
    var refusals: [String: Int] = [:]
    /// Connections that were accepted, by listener.
    var accepted: [String: Int] = [:]
    /// Connections whose route was known from their hello, by route.
    var routed: [String: Int] = [:]
    var reloads = ReloadCounts()
    /// Connections that a worker or another program took.
    var handedOver = 0
    /// Offers that were not taken, by reason. Most are made again.
    var handoffFailures: [String: Int] = [:]

    /// Version and suite, which `handshakeLabels` takes apart.
    static func handshakeKey(version: String, cipher: String) -> String { "\(version) \(cipher)" }

    static func handshakeLabels(_ key: String) -> (version: String, cipher: String) {
        let parts = key.split(separator: " ", maxSplits: 1)
        return (parts.first.map(String.init) ?? "", parts.count == 2 ? String(parts[1]) : "")
    }

    mutating func add(_ other: FrontCounts) {
        handshakes.add(other.handshakes)
        handshakeFailures.add(other.handshakeFailures)
        refusals.add(other.refusals)
        accepted.add(other.accepted)
        routed.add(other.routed)
        reloads.add(other.reloads)
        handedOver += other.handedOver
        handoffFailures.add(other.handoffFailures)
    }
}

extension FrontCounts {
    /// An older version's has fewer.
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        handshakes = try container.decode([String: Int].self, forKey: .handshakes)
        handshakeFailures = try container.decode([String: Int].self, forKey: .handshakeFailures)
        refusals = try container.decode([String: Int].self, forKey: .refusals)
        accepted = try container.decodeIfPresent([String: Int].self, forKey: .accepted) ?? [:]
        routed = try container.decodeIfPresent([String: Int].self, forKey: .routed) ?? [:]
        reloads = try container.decodeIfPresent(ReloadCounts.self, forKey: .reloads) ?? ReloadCounts()
        handedOver = try container.decode(Int.self, forKey: .handedOver)
        handoffFailures = try container.decode([String: Int].self, forKey: .handoffFailures)
    }
}

/// How often the configuration has been read again.
struct ReloadCounts: Codable, Sendable, Equatable {
    var succeeded = 0
    var failed = 0
    /// Of the last: whether it succeeded, and seconds since 1970. `nil`: there was none.
    var lastHasSucceeded: Bool?
    var lastAt: UInt64 = 0
    /// Seconds that the last took.
    var lastDuration = 0.0

    mutating func add(_ other: ReloadCounts) {
        succeeded += other.succeeded
        failed += other.failed
        guard other.lastAt >= lastAt, other.lastHasSucceeded != nil else { return }
        (lastHasSucceeded, lastAt, lastDuration) = (other.lastHasSucceeded, other.lastAt, other.lastDuration)
    }
}

extension [String: Int] {
    mutating func count(_ key: String, _ number: Int = 1) { self[key, default: 0] += number }

    mutating func add(_ other: [String: Int]) { merge(other) { $0 + $1 } }
}
