internal import BatonCore

/// Decides which receiver a parcel is offered to, when one that comes back is offered again, and when it is given up;
/// and remembers what is under way to whom. It does no I/O and has no clock: moments are on the monotonic clock in
/// nanoseconds.
///
/// Some receivers tell of each parcel that has arrived, by its number. It is awaited until then, and counted against the
/// limits by whoever gave it. Whether a receiver has it can stay in doubt, so none is awaited for longer than
/// `PlacementLimits.doubt`; a receiver that tells of one later counts it from then on.
struct PlacementPlan {
    /// Who may have a parcel.
    enum Receivers {
        /// Whoever listens at this path.
        case only(String)
        /// One of these, each in turn.
        case inTurn([String])
        /// The one that has the fewest. These tell of what has arrived.
        case leastLoaded([Candidate])
    }

    struct Candidate {
        let path: String
        /// The connections that it has told of.
        let connections: Int
    }

    /// A parcel goes to `path`.
    struct Offer: Equatable {
        let path: String
        /// By which its receiver tells that it has arrived; `nil`: it does not tell.
        var number: UInt64?
        /// When what is awaited of the receiver has to be looked at; `nil`: that is known already.
        var looksAfter: Duration?
    }

    enum Retry: Equatable {
        case after(Duration)
        case givenUp
    }

    /// What a receiver has not told of for too long.
    struct Overdue: Equatable {
        let sources: [IPAddress?]
        /// When the rest has to be looked at; `nil`: there is none.
        let looksAfter: Duration?
    }

    private struct Awaited {
        let source: IPAddress?
        let since: UInt64
    }

    private let limits: PlacementLimits
    private var turn = RoundRobin()
    private var lastNumber: UInt64
    private var awaited: [String: [UInt64: Awaited]] = [:]
    /// Receivers at which somebody will look.
    private var watched: Set<String> = []

    /// Parcels that no receiver has yet: they are being offered, or wait to be.
    private(set) var count = 0

    /// - Parameter lastNumber: the numbers that parcels get come after it.
    init(_ limits: PlacementLimits, numberedAfter lastNumber: UInt64 = 0) {
        self.limits = limits
        self.lastNumber = lastNumber
    }

    /// Whether anything is awaited.
    var isAwaiting: Bool { !awaited.isEmpty }

    /// How many parcels this receiver has been given and has not told of.
    func awaitedCount(at path: String) -> Int { awaited[path]?.count ?? 0 }

    // MARK: Going

    /// One more is to be placed.
    mutating func begin() { count += 1 }

    /// Chooses a receiver; `nil`: nobody is ready.
    mutating func offer(_ order: PlacementOrder, to receivers: Receivers, at now: UInt64) -> Offer? {
        switch receivers {
        case .only(let path): return Offer(path: path)
        case .inTurn(let paths):
            let others = paths.filter { $0 != order.avoided }
            return turn.next(of: others.isEmpty ? paths : others).map { Offer(path: $0) }
        case .leastLoaded(let candidates):
            let others = candidates.filter { $0.path != order.avoided }
            guard let path = (others.isEmpty ? candidates : others).min(by: { load(of: $0) < load(of: $1) })?.path
            else { return nil }
            lastNumber += 1
            awaited[path, default: [:]][lastNumber] = Awaited(source: order.source, since: now)
            return Offer(
                path: path, number: lastNumber, looksAfter: watched.insert(path).inserted ? limits.doubt : nil)
        }
    }

    private func load(of candidate: Candidate) -> Int { candidate.connections + awaitedCount(at: candidate.path) }

    // MARK: Coming back

    /// So many have been handed over, or are lost.
    mutating func settle(_ number: Int) { count -= number }

    /// Whether one that is here is offered once more.
    mutating func retry(_ order: PlacementOrder, at now: UInt64) -> Retry {
        guard now < order.since || now - order.since < limits.patience.nanoseconds else {
            count -= 1
            return .givenUp
        }
        return .after(limits.retryDelay)
    }

    // MARK: What is awaited

    /// A receiver tells that a parcel has arrived, or it has come back from there. Its source; `nil` if it is not awaited,
    /// or not any more.
    mutating func remove(_ number: UInt64, at path: String) -> IPAddress?? {
        guard let found = awaited[path]?.removeValue(forKey: number) else { return nil }
        if awaited[path]?.isEmpty == true { awaited[path] = nil }
        return .some(found.source)
    }

    /// The receiver has died. The sources of all that it has not told of.
    mutating func removeAll(at path: String) -> [IPAddress?] {
        awaited.removeValue(forKey: path)?.values.map(\.source) ?? []
    }

    /// The moment to look at a receiver has come.
    mutating func removeOverdue(at path: String, at now: UInt64) -> Overdue {
        var rest = awaited[path] ?? [:]
        let overdue = rest.filter { now >= $0.value.since && now - $0.value.since >= limits.doubt.nanoseconds }
        for number in overdue.keys { rest[number] = nil }
        awaited[path] = rest.isEmpty ? nil : rest
        if rest.isEmpty { watched.remove(path) }
        return Overdue(sources: overdue.values.map(\.source), looksAfter: rest.isEmpty ? nil : limits.doubt)
    }
}
