/// A drain of this host, as the front conducts it: worker by worker, some connections at a time, until nothing is left that could
/// move; then connections that begin go to the other host, then the service addresses. It does nothing itself: the front
/// performs the actions it returns, in their order.
///
/// ```
///            begun          swept            steered             swept, quiet                 addressesMoved           swept
///  beginning ─────▶ moving ──────▶ steering ────────▶ following ──────────────▶ movingAddresses ──────────────▶ finishing ─────▶ ending ──▶ over
/// ```
/// A stop, a dry run at the end of its sweep, and a failure lead to `ending` from anywhere.
struct DrainSteps {
    enum Step: CaseIterable {
        case beginning
        /// What is here moves. New connections still come.
        case moving
        case steering
        /// What had begun before new connections went to the other host moves, too.
        case following
        case movingAddresses
        /// Nothing can come any more; whatever is still here is asked once more.
        case finishing
        case ending
        case over
    }

    enum Event {
        /// The peer takes connections.
        case begun
        case refused(String)
        case tally(DrainTally)
        /// New connections go to the peer; or they do not, for this reason.
        case steered(failure: String?)
        /// The peer answers for these addresses; or something failed.
        case addressesMoved([String], failure: String?)
        /// The link to the peer has ended.
        case ended(DrainTally)
        /// The migration process has ended.
        case processEnded(String)
        /// A sweep begins: the workers that there are, by their numbers, with their connections.
        case workers([(worker: UInt32, connections: Int)], sweep: UInt64)
        /// A worker has given what it was asked for.
        case given(worker: UInt32, sweep: UInt64, handedOver: Int, returned: Int, left: Int)
        /// A worker has ended, or cannot be asked.
        case workerEnded(UInt32)
        /// `askLater` is due.
        case askAgain(worker: UInt32, sweep: UInt64)
        /// Whether connections are on their way to workers.
        case looked(hasNewcomers: Bool)
        /// `sweepLater` is due.
        case sweepAgain
        case stop
    }

    enum Action: Equatable {
        case listWorkers
        case tellSweep
        /// A worker is to offer connections.
        case ask(worker: UInt32, sweep: UInt64)
        case askLater(worker: UInt32, sweep: UInt64)
        case lookForNewcomers
        case sweepLater
        case steerNewcomers
        case moveAddresses
        case tellProgress
        /// Nothing more moves.
        case end
        case refuse(String)
        case report
    }

    /// How long a worker may be asked again that has connections it cannot take out of their channels just now, nanoseconds.
    static let patience: UInt64 = 5_000_000_000
    /// How long nothing may have come before the addresses move: longer than a client takes from its SYN to its first data,
    /// nanoseconds.
    static let quiet: UInt64 = 400_000_000
    /// After this long what still comes is left to itself, nanoseconds.
    static let followingLimit: UInt64 = 15_000_000_000

    private(set) var step = Step.beginning
    private(set) var tally = DrainTally()
    private(set) var addresses: [String] = []
    private(set) var isStopping = false
    private(set) var failure: String?
    /// Connections that a worker could not take out of their channels, in the last sweep.
    private(set) var busy = 0
    private let isDryRun: Bool
    private var sweep: UInt64 = 0
    /// Workers that have not been asked, or have more.
    private var queue: [UInt32] = []
    private var current: UInt32?
    private var currentSince: UInt64 = 0
    /// Workers that are asked later.
    private var waiting = 0
    /// Whether `looked` or `sweepAgain` is to come.
    private var isLooking = false
    private var left: [UInt32: Int] = [:]
    private var movedBeforeSweep = 0
    private var handedOver = 0
    private var sweepsSince: UInt64 = 0
    private var quietSince: UInt64 = 0

    init(isDryRun: Bool) { self.isDryRun = isDryRun }

    /// Connections that have not been asked for in this sweep.
    var remaining: Int { left.values.reduce(0, +) }

    /// - Parameter now: on the monotonic clock in nanoseconds.
    mutating func handle(_ event: Event, at now: UInt64) -> [Action] {
        switch (step, event) {
        case (.over, _): return []
        case (_, .stop):
            // What is under way is seen to its end.
            isStopping = true
            return []
        case (_, .refused(let why)): return refuse(why)
        case (.beginning, .processEnded(let ending)):
            return refuse("the migration process has ended (\(ending)); its log tells why")
        case (_, .processEnded(let ending)):
            failure = "the migration process has ended (\(ending)); what it was moving is closed, or at the other host"
            return report()
        case (_, .ended(let tally)):
            self.tally = tally
            return report()

        case (.beginning, .begun):
            step = .moving
            return [.listWorkers]
        case (.steering, .steered(let why)):
            step = .following
            (sweepsSince, quietSince) = (now, now)
            return goOn(unless: why)
        case (.movingAddresses, .addressesMoved(let addresses, let why)):
            self.addresses = addresses
            step = .finishing
            return goOn(unless: why)

        case (_, .tally(let tally)):
            self.tally = tally
            return advance()
        case (.moving, .workers(let workers, let sweep)), (.following, .workers(let workers, let sweep)),
            (.finishing, .workers(let workers, let sweep)):
            return begin(sweep, workers, at: now)
        case (_, .given(let worker, let sweep, let handedOver, let returned, let left)):
            guard sweep == self.sweep, current == worker else { return [] }
            return given(worker, handedOver: handedOver, returned: returned, left: left, at: now)
        case (_, .workerEnded(let worker)):
            left[worker] = nil
            queue.removeAll { $0 == worker }
            guard current == worker else { return [] }
            current = nil
            return advance()
        case (_, .askAgain(let worker, let sweep)):
            guard sweep == self.sweep else { return [] }
            waiting -= 1
            if left[worker] != nil { queue.insert(worker, at: 0) }
            return advance()
        case (.following, .looked(let hasNewcomers)):
            guard isLooking else { return [] }
            return look(hasNewcomers, at: now)
        case (.following, .sweepAgain):
            guard isLooking else { return [] }
            isLooking = false
            return isStopping ? end() : [.listWorkers]
        case (_, .begun), (_, .steered), (_, .addressesMoved), (_, .workers), (_, .looked), (_, .sweepAgain): return []
        }
    }

    private mutating func goOn(unless why: String?) -> [Action] {
        failure = why
        return why == nil ? [.listWorkers] : end()
    }

    // MARK: Sweeping

    private mutating func begin(
        _ sweep: UInt64, _ workers: [(worker: UInt32, connections: Int)], at now: UInt64
    ) -> [Action] {
        self.sweep = sweep
        busy = 0
        waiting = 0
        current = nil
        movedBeforeSweep = tally.moved
        queue = workers.map(\.worker)
        left = Dictionary(workers.map { ($0.worker, $0.connections) }) { first, _ in first }
        currentSince = now
        return [.tellSweep] + advance()
    }

    private mutating func given(
        _ worker: UInt32, handedOver: Int, returned: Int, left: Int, at now: UInt64
    ) -> [Action] {
        self.handedOver += handedOver
        self.left[worker] = left
        current = nil
        if left > 0 {
            if handedOver + returned > 0 {
                queue.insert(worker, at: 0)
                currentSince = now
            } else if now < currentSince + Self.patience, !isStopping {
                // Connections whose upstream is being connected, or whose channel is not there yet.
                waiting += 1
                return [.askLater(worker: worker, sweep: sweep)]
            } else {
                busy += left
            }
        }
        return advance()
    }

    /// Asks the next worker, once it is known what has become of all that others have given.
    private mutating func advance() -> [Action] {
        switch step {
        case .beginning, .steering, .movingAddresses, .ending, .over: return []
        case .moving, .following, .finishing: break
        }
        guard current == nil, tally.handled >= handedOver, !isLooking else { return [.tellProgress] }
        if isStopping { return [.tellProgress] + end() }
        if let why = tally.linkFailure {
            failure = why
            return [.tellProgress] + end()
        }
        if !queue.isEmpty {
            let worker = queue.removeFirst()
            current = worker
            return [.tellProgress, .ask(worker: worker, sweep: sweep)]
        }
        return [.tellProgress] + (waiting == 0 ? sweepEnded() : [])
    }

    private mutating func sweepEnded() -> [Action] {
        switch step {
        case .moving:
            if isDryRun { return end() }
            step = .steering
            return [.steerNewcomers]
        case .following:
            isLooking = true
            return [.lookForNewcomers]
        case .beginning, .steering, .movingAddresses, .finishing, .ending, .over: return end()
        }
    }

    private mutating func look(_ hasNewcomers: Bool, at now: UInt64) -> [Action] {
        // Whoever is in the handshake here came before the rule.
        if hasNewcomers || tally.moved > movedBeforeSweep { quietSince = now }
        // Whose SYN was answered before the rule may still be on the way to the front.
        if now < quietSince + Self.quiet, now < sweepsSince + Self.followingLimit { return [.sweepLater] }
        isLooking = false
        step = .movingAddresses
        return [.moveAddresses]
    }

    // MARK: The end

    private mutating func end() -> [Action] {
        step = .ending
        return [.end]
    }

    private mutating func refuse(_ why: String) -> [Action] {
        step = .over
        return [.refuse(why)]
    }

    private mutating func report() -> [Action] {
        step = .over
        return [.report]
    }
}
