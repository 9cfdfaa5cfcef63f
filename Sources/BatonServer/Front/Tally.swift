internal import BatonConfiguration
internal import Synchronization

/// What the server has counted in all: the servers before this front, this front, and processes of this front's that are
/// gone. Workers and the migration process count for themselves as long as they live; what they have told last is added
/// where the sum is asked for. No counter falls in an upgrade, or by a death.
struct Tally {
    private var predecessors: WorkerReport
    private var predecessorCounts: FrontCounts
    private var past = WorkerReport()
    private var own = FrontCounts()

    /// - Parameters:
    ///   - predecessors: what workers of the servers before this one have counted.
    ///   - counts: what their fronts have.
    init(predecessors: WorkerReport = WorkerReport(), counts: FrontCounts = FrontCounts()) {
        self.predecessors = predecessors
        predecessorCounts = counts
    }

    // MARK: Events

    /// A handshake has ended with a connection.
    mutating func handshakeEnded(version: String, cipher: String) {
        own.handshakes.count(FrontCounts.handshakeKey(version: version, cipher: cipher))
    }

    /// A handshake has ended without one.
    mutating func handshakeFailed(_ reason: String) { own.handshakeFailures.count(reason) }

    /// A connection has been accepted at this listener.
    mutating func accepted(_ listener: String) { own.accepted.count(listener) }

    /// A connection's hello has decided its route.
    mutating func routed(_ route: String) { own.routed.count(route) }

    /// The configuration has been read again, or was to be.
    ///
    /// - Parameters:
    ///   - now: seconds since 1970.
    ///   - duration: in seconds.
    mutating func reloaded(_ hasSucceeded: Bool, at now: UInt64, after duration: Double) {
        if hasSucceeded { own.reloads.succeeded += 1 } else { own.reloads.failed += 1 }
        (own.reloads.lastHasSucceeded, own.reloads.lastAt, own.reloads.lastDuration) = (hasSucceeded, now, duration)
    }

    /// A connection was closed before a worker had it.
    mutating func refused(_ reason: RefusalReason) { own.refusals.count(reason.rawValue) }

    /// An offer of connections has ended.
    ///
    /// - Parameters:
    ///   - handedOver: how many were taken.
    ///   - returned: how many have come back.
    ///   - failures: offers that were not taken, by reason.
    mutating func delivered(handedOver: Int, returned: Int, failures: [String: Int]) {
        own.handedOver += handedOver
        own.handoffFailures.add(failures)
        past.movesFailed += returned
    }

    /// A worker is gone, and this is what it told last.
    mutating func workerEnded(_ report: WorkerReport) { past.add(report) }

    /// So is a migration process.
    mutating func migrationEnded(_ counts: MigrationCounts) { past.add(counts) }

    /// The server before this one has ended. What it counted last takes the place of what it had told; `nil` leaves that.
    mutating func predecessorEnded(_ totals: WorkerReport?, _ counts: FrontCounts?) {
        if let totals { predecessors = totals }
        if let counts { predecessorCounts = counts }
    }

    // MARK: Sums

    /// Counted by this front and those before it.
    var counts: FrontCounts {
        var total = predecessorCounts
        total.add(own)
        return total
    }

    /// Counted by workers that are gone, and between hosts.
    ///
    /// - Parameter migration: what a migration process that lives has told.
    func gone(_ migration: MigrationCounts?) -> WorkerReport {
        var total = WorkerReport()
        total.add(predecessors)
        total.add(past)
        if let migration { total.add(migration) }
        return total
    }
}

/// A tally that connections in their handshake count in as well, which are on other loops.
final class SharedTally: Sendable {
    private let tally: Mutex<Tally>

    init(_ tally: Tally) { self.tally = Mutex(tally) }

    func withLock<Value: Sendable>(_ body: (inout Tally) -> Value) -> Value { tally.withLock { body(&$0) } }
}

extension WorkerReport {
    /// Adds what another counted; connections are not added, because they end with their owner or move.
    mutating func add(_ other: WorkerReport) {
        movesIn += other.movesIn
        movesOut += other.movesOut
        movesFailed += other.movesFailed
        failures.add(other.failures)
        refusals.add(other.refusals)
        faults.add(other.faults)
        idleClosed += other.idleClosed
        inherited += other.inherited
        lost.add(other.lost)
        migrations += other.migrations
        droppedLogLines += other.droppedLogLines
        droppedAccessLines += other.droppedAccessLines
        traffic.add(other.traffic)
        routed.add(other.routed)
        for (name, errors) in other.upstreamErrors { upstreamErrors[name, default: [:]].add(errors) }
        for (name, times) in other.connectTimes { connectTimes[name, default: PauseHistogram()].merge(times) }
        ends.add(other.ends)
        lifetimeClosed += other.lifetimeClosed
        if let counted = other.upstreams {
            var sum = upstreams ?? UpstreamNews()
            sum.add(counted)
            upstreams = sum
        }
        pauses.merge(other.pauses)
    }

    /// Adds moves between hosts.
    mutating func add(_ counts: MigrationCounts) {
        migrations += counts.arrived + counts.departed
        movesFailed += counts.failed
    }
}
