internal import Libc

/// Puts the addresses of one upstream in the order in which a new connection tries them.
///
/// Addresses that are out come last, in the same order among themselves: that none is left is no reason not to try. Of SRV
/// records those of a greater priority come behind all of the smaller one that are up.
///
/// No I/O, no clock; what is random comes from a seed.
package struct Balancer: Sendable {
    /// An address that may get a new connection.
    package struct Candidate: Hashable, Sendable {
        /// What it is told apart by.
        package var name: String
        /// Its share now, above 0.
        package var weight: Double
        /// The rank of its SRV priority.
        package var rank = 0
        /// Where it stands in the list; those that an SRV name has led to stand at one place, in no order.
        package var position = 0
        /// Whether nothing stands against it.
        package var isUp = true
        /// The connections that it has, in the whole server as far as is known.
        package var connections = 0

        /// Creates a candidate.
        package init(
            name: String, weight: Double = 1, rank: Int = 0, position: Int = 0, isUp: Bool = true, connections: Int = 0
        ) {
            self.name = name
            self.weight = weight
            self.rank = rank
            self.position = position
            self.isUp = isUp
            self.connections = connections
        }
    }

    /// What each is ahead of its turn, in weights.
    private var credits: [String: Double] = [:]
    private var random: Sequence

    /// - Parameter seed: what each process has another one of, so that they do not all begin at the same address.
    package init(seed: UInt64) { random = Sequence(state: seed) }

    /// The order, as indices of `candidates`.
    ///
    /// - Parameters:
    ///   - policy: by what one is chosen.
    ///   - key: what the connection has in common with others that are to go to the same; with it the policy is `hash`.
    package mutating func order(_ candidates: [Candidate], by policy: BalancePolicy, key: UInt64? = nil) -> [Int] {
        guard candidates.count > 1 else { return Array(candidates.indices) }
        if let key { return hashed(candidates, key) }
        switch policy {
        case .first: return first(candidates)
        case .roundRobin: return inTurn(candidates)
        case .leastConnections: return least(candidates)
        // Without a key, as from a Unix socket, all go by turns.
        case .hash: return inTurn(candidates)
        }
    }

    /// By a value, and first of all by whether it can be had.
    private func sorted<Value: Comparable>(_ candidates: [Candidate], by values: [Value]) -> [Int] {
        candidates.indices.sorted { a, b in
            let (one, other) = (candidates[a], candidates[b])
            if one.isUp != other.isUp { return one.isUp }
            if one.rank != other.rank { return one.rank < other.rank }
            if values[a] != values[b] { return values[a] < values[b] }
            return a < b
        }
    }

    private func hashed(_ candidates: [Candidate], _ key: UInt64) -> [Int] {
        let order = Affinity.order(candidates.map(\.name), weights: candidates.map(\.weight), for: key)
        var places = Array(repeating: 0, count: candidates.count)
        for (place, index) in order.enumerated() { places[index] = place }
        return sorted(candidates, by: places)
    }

    private mutating func first(_ candidates: [Candidate]) -> [Int] {
        // RFC 2782: among records of one priority by chance, each as likely as its weight says.
        let isShared = Set(candidates.map(\.position)).count < candidates.count
        let chances = candidates.map { candidate in
            isShared ? -log(random.fraction()) / max(candidate.weight, .leastNormalMagnitude) : 0
        }
        let values = candidates.indices.map { Pair(first: Double(candidates[$0].position), second: chances[$0]) }
        return sorted(candidates, by: values)
    }

    /// Smooth weighted round robin: each gets its weight, and who has most is taken and pays what all have got.
    private mutating func inTurn(_ candidates: [Candidate]) -> [Int] {
        let names = Set(candidates.map(\.name))
        if credits.count > 4 * names.count { credits = credits.filter { names.contains($0.key) } }
        let isAnyUp = candidates.contains(where: \.isUp)
        let rank = candidates.lazy.filter { $0.isUp == isAnyUp }.map(\.rank).min() ?? 0
        var total = 0.0
        var best: Int?
        for (index, candidate) in candidates.enumerated() where candidate.isUp == isAnyUp && candidate.rank == rank {
            let credit = (credits[candidate.name] ?? random.fraction() * candidate.weight) + candidate.weight
            credits[candidate.name] = credit
            total += candidate.weight
            if best.map({ credit > credits[candidates[$0].name] ?? 0 }) ?? true { best = index }
        }
        let values = candidates.indices.map { $0 == best ? -Double.infinity : -(credits[candidates[$0].name] ?? 0) }
        if let best { credits[candidates[best].name, default: 0] -= total }
        return sorted(candidates, by: values)
    }

    private mutating func least(_ candidates: [Candidate]) -> [Int] {
        let values = candidates.map { candidate in
            Pair(first: Double(candidate.connections + 1) / candidate.weight, second: random.fraction())
        }
        return sorted(candidates, by: values)
    }

    private struct Pair: Comparable {
        let first: Double
        let second: Double

        static func < (a: Pair, b: Pair) -> Bool { (a.first, a.second) < (b.first, b.second) }
    }

    /// SplitMix64.
    private struct Sequence: Sendable {
        var state: UInt64

        /// Above 0, and below 1.
        mutating func fraction() -> Double {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            mixed ^= mixed >> 31
            return (Double(mixed >> 11) + 0.5) / 0x1p53
        }
    }
}
