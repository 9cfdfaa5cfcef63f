internal import BatonConfiguration
internal import BatonCore
internal import Logging
internal import NIOCore
internal import Synchronization

/// A drain, as the front conducts it: worker by worker, some connections at a time, until nothing is left that could move;
/// then connections that begin go to the other host, then the service addresses. Used on the front's loop only.
final class Drain: @unchecked Sendable {
    /// Connections that stand still at once.
    static let batch = 8
    /// How long a worker may be asked again that has connections it cannot take out of their channels just now.
    static let patience: UInt64 = 5_000_000_000
    /// How long nothing may have come before the addresses move: longer than a client takes from its SYN to its first data,
    /// nanoseconds.
    private static let quiet: UInt64 = 400_000_000
    /// After this long what still comes is left to itself.
    private static let followingLimit: UInt64 = 15_000_000_000

    private enum Step {
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
    }

    let peer: String
    let isDryRun: Bool
    let front: Front
    let asked: JSONLink<ControlResponse>
    private var step = Step.beginning
    private var sweep: UInt64 = 0
    /// Workers that have not been asked, or have more.
    private var queue: [WorkerHandle] = []
    private var current: WorkerHandle?
    private var currentSince: UInt64 = 0
    /// Connections that a worker could not take out of their channels, in this sweep.
    private var busy = 0
    private var left: [ObjectIdentifier: Int] = [:]
    private var movedBeforeSweep = 0
    private var handedOver = 0
    private var tally = DrainTally()
    private var addresses: [String] = []
    private var isStopping = false
    private var failure: String?
    private let startedAt = MonotonicTime.now
    private var sweepsSince: UInt64 = 0
    private var quietSince: UInt64 = 0

    init(_ front: Front, to peer: String, isDryRun: Bool, asked: JSONLink<ControlResponse>) {
        self.front = front
        self.peer = peer
        self.isDryRun = isDryRun
        self.asked = asked
    }

    func start() { order(.begin(peer: peer, isDryRun: isDryRun)) }

    /// Ends after what is under way.
    func stop() { isStopping = true }

    private func order(_ order: MigrationOrder) { front.migration.send(order) }

    // MARK: What others say

    func received(_ event: MigrationEvent) {
        switch event {
        case .begun:
            front.log.notice("connections move to another host", metadata: ["peer": "\(peer)"])
            step = .moving
            beginSweep()
        case .refused(let why): refuse(why)
        case .tally(let tally):
            self.tally = tally
            advance()
        case .steered(let why):
            failure = why
            step = .following
            sweepsSince = MonotonicTime.now
            quietSince = sweepsSince
            why == nil ? beginSweep() : end()
        case .addressesMoved(let addresses, let why):
            self.addresses = addresses
            failure = why
            step = .finishing
            why == nil ? beginSweep() : end()
        case .ended(let tally):
            self.tally = tally
            report()
        case .ready, .failed, .counts: break
        }
    }

    func migrated(_ worker: WorkerHandle, sweep: UInt64, handedOver: Int, returned: Int, left: Int) {
        guard sweep == self.sweep, current === worker else { return }
        self.handedOver += handedOver
        self.left[ObjectIdentifier(worker)] = left
        current = nil
        if left > 0 {
            if handedOver + returned > 0 {
                queue.insert(worker, at: 0)
                currentSince = MonotonicTime.now
            } else if MonotonicTime.now < currentSince + Self.patience, !isStopping {
                // Connections whose upstream is being connected, or whose channel is not there yet.
                let bound = NIOLoopBound(worker, eventLoop: front.loop)
                front.loop.scheduleTask(in: .milliseconds(20)) { [self] in
                    guard sweep == self.sweep else { return }
                    queue.insert(bound.value, at: 0)
                    waiting -= 1
                    advance()
                }
                waiting += 1
                return
            } else {
                busy += left
            }
        }
        advance()
    }

    func workerEnded(_ worker: WorkerHandle) {
        left[ObjectIdentifier(worker)] = nil
        queue.removeAll { $0 === worker }
        guard current === worker else { return }
        current = nil
        advance()
    }

    func migrationEnded(_ ending: String) {
        switch step {
        case .beginning: refuse("the migration process has ended (\(ending)); its log tells why")
        default:
            failure = "the migration process has ended (\(ending)); what it was moving is closed, or at the other host"
            report()
        }
    }

    // MARK: Sweeping

    private var waiting = 0

    private func beginSweep() {
        sweep = .random(in: 1 ... .max)
        busy = 0
        waiting = 0
        movedBeforeSweep = tally.moved
        queue = front.workers.filter { $0.state == .ready }
        left = [:]
        for worker in queue { left[ObjectIdentifier(worker)] = worker.report.connections }
        currentSince = MonotonicTime.now
        order(.sweep)
        advance()
    }

    /// Asks the next worker, once it is known what has become of all that others have given.
    private func advance() {
        guard step != .ending, step != .beginning, step != .steering, step != .movingAddresses else { return }
        asked.send(
            .draining(
                .init(
                    remaining: left.values.reduce(0, +), moved: tally.moved, stayed: tally.stayedCount,
                    pause: .init(tally.pauses))))
        guard current == nil, tally.handled >= handedOver else { return }
        if isStopping { return end() }
        if let why = tally.linkFailure {
            failure = why
            return end()
        }
        if let worker = queue.first {
            queue.removeFirst()
            current = worker
            guard let path = front.migration.socket, let link = worker.link else { return workerEnded(worker) }
            return link.send(.migrate(to: path, sweep: sweep, limit: Self.batch))
        }
        if waiting == 0 { sweepEnded() }
    }

    private func sweepEnded() {
        switch step {
        case .moving:
            if isDryRun { return end() }
            step = .steering
            order(.steerNewcomers(front.listening.ports))
        case .following:
            // Whoever is in the handshake here came before the rule.
            let hasMore =
                front.admission.present > 0 || tally.moved > movedBeforeSweep
                || front.workers.contains { !$0.underWay.isEmpty }
            let now = MonotonicTime.now
            if hasMore { quietSince = now }
            // Whose SYN was answered before the rule may still be on the way to the front.
            let isQuiet = now >= quietSince + Self.quiet
            if !isQuiet, now < sweepsSince + Self.followingLimit {
                front.loop.scheduleTask(in: .milliseconds(20)) { [self] in
                    if step == .following { isStopping ? end() : beginSweep() }
                }
                return
            }
            step = .movingAddresses
            order(.moveAddresses)
        default: end()
        }
    }

    // MARK: The end

    private func end() {
        step = .ending
        order(.end)
    }

    private func refuse(_ why: String) {
        front.log.error("connections do not move", metadata: ["peer": "\(peer)", "reason": "\(why)"])
        front.drain = nil
        asked.finish(.failed(why))
        front.endIfDone()
    }

    private func report() {
        var stayed = tally.stayed
        if busy > 0 { stayed["the connection was busy being made; drain again", default: 0] += busy }
        let report = DrainReport(
            peer: peer, isDryRun: isDryRun, moved: tally.moved, stayed: stayed, inDoubt: tally.inDoubt,
            lost: tally.lost, addresses: addresses, remaining: front.connectionCount, isInterrupted: isStopping,
            failure: failure ?? tally.linkFailure, pause: .init(tally.pauses),
            durationMilliseconds: Int((MonotonicTime.now - startedAt) / 1_000_000))
        front.log.notice(
            "the drain has ended",
            metadata: [
                "peer": "\(peer)", "moved": "\(report.moved)", "stayed": "\(tally.stayedCount + busy)",
                "in_doubt": "\(report.inDoubt)", "addresses": "\(addresses)",
            ])
        front.drain = nil
        asked.finish(.drained(report))
        front.endIfDone()
    }
}
