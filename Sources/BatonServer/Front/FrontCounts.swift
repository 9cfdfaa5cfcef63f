/// What a front counts beside its workers. It goes on to its successors, so that no counter falls in an upgrade.
struct FrontCounts: Codable, Sendable, Equatable {
    /// Finished handshakes by `handshakeKey`.
    var handshakes: [String: Int] = [:]
    /// Handshakes that ended without a connection, by reason.
    var handshakeFailures: [String: Int] = [:]
    /// Connections that were closed before a worker had them, by reason.
    var refusals: [String: Int] = [:]
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
        handedOver += other.handedOver
        handoffFailures.add(other.handoffFailures)
    }
}

extension [String: Int] {
    mutating func count(_ key: String, _ number: Int = 1) { self[key, default: 0] += number }

    mutating func add(_ other: [String: Int]) { merge(other) { $0 + $1 } }
}
