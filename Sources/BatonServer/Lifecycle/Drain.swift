internal import BatonConfiguration
internal import BatonCore
internal import Logging
internal import NIOCore

/// Performs a drain of this host (`DrainSteps`). Used on the front's loop only.
final class Drain: @unchecked Sendable {
    /// What the drain is of.
    struct Surroundings {
        let loop: any EventLoop
        let logger: SharedLogger
        /// Workers that take connections.
        let workers: () -> [WorkerHandle]
        /// Connections that are on their way to a worker, or in their handshake.
        let hasNewcomers: () -> Bool
        let ports: () -> [UInt16]
        /// Where the migration process takes parcels; `nil`: it is gone.
        let socket: () -> String?
        /// Tells the migration process.
        let order: (MigrationOrder) -> Void
        /// Connections of the whole server.
        let connectionCount: () -> Int
    }

    /// Connections that stand still at once.
    private static let batch = 8
    /// How long a worker, or whoever is on the way, is waited for before it is looked again.
    private static let pause = TimeAmount.milliseconds(20)

    let asked: JSONLink<ControlResponse>
    private let peer: String
    private let isDryRun: Bool
    private let around: Surroundings
    private let ended: () -> Void
    private var steps: DrainSteps
    private let startedAt = MonotonicTime.now

    /// - Parameter ended: the drain is over.
    init(
        _ around: Surroundings, to peer: String, isDryRun: Bool, asked: JSONLink<ControlResponse>,
        ended: @escaping () -> Void
    ) {
        self.around = around
        self.ended = ended
        self.peer = peer
        self.isDryRun = isDryRun
        self.asked = asked
        steps = DrainSteps(isDryRun: isDryRun)
    }

    private var log: Logger { around.logger.current }

    func start() { around.order(.begin(peer: peer, isDryRun: isDryRun)) }

    /// Ends after what is under way.
    func stop() { handle(.stop) }

    // MARK: What others say

    func received(_ event: MigrationEvent) {
        switch event {
        case .begun:
            log.notice("connections move to another host", metadata: ["peer": "\(peer)"])
            handle(.begun)
        case .refused(let why): handle(.refused(why))
        case .tally(let tally): handle(.tally(tally))
        case .steered(let why): handle(.steered(failure: why))
        case .addressesMoved(let addresses, let why): handle(.addressesMoved(addresses, failure: why))
        case .ended(let tally): handle(.ended(tally))
        case .ready, .failed, .counts: break
        }
    }

    func migrated(_ worker: WorkerHandle, sweep: UInt64, handedOver: Int, returned: Int, left: Int) {
        handle(
            .given(worker: worker.process, sweep: sweep, handedOver: handedOver, returned: returned, left: left))
    }

    func workerEnded(_ worker: WorkerHandle) { handle(.workerEnded(worker.process)) }

    func migrationEnded(_ ending: String) { handle(.processEnded(ending)) }

    // MARK: What is done

    private func handle(_ event: DrainSteps.Event) {
        for action in steps.handle(event, at: MonotonicTime.now) { perform(action) }
    }

    private func later(_ event: DrainSteps.Event) {
        let event = NIOLoopBound(event, eventLoop: around.loop)
        around.loop.scheduleTask(in: Self.pause) { self.handle(event.value) }
    }

    private func perform(_ action: DrainSteps.Action) {
        switch action {
        case .listWorkers:
            handle(
                .workers(
                    around.workers().map { ($0.process, $0.report.connections) }, sweep: .random(in: 1 ... .max)))
        case .tellSweep: around.order(.sweep)
        case .ask(let worker, let sweep):
            let handle = around.workers().first { $0.process == worker }
            guard let path = around.socket(), let link = handle?.link else {
                return self.handle(.workerEnded(worker))
            }
            link.send(.migrate(to: path, sweep: sweep, limit: Self.batch))
        case .askLater(let worker, let sweep): later(.askAgain(worker: worker, sweep: sweep))
        case .lookForNewcomers: handle(.looked(hasNewcomers: around.hasNewcomers()))
        case .sweepLater: later(.sweepAgain)
        case .steerNewcomers: around.order(.steerNewcomers(around.ports()))
        case .moveAddresses: around.order(.moveAddresses)
        case .tellProgress:
            asked.send(
                .draining(
                    .init(
                        remaining: steps.remaining, moved: steps.tally.moved, stayed: steps.tally.stayedCount,
                        pause: .init(steps.tally.pauses))))
        case .end: around.order(.end)
        case .refuse(let why):
            log.error("connections do not move", metadata: ["peer": "\(peer)", "reason": "\(why)"])
            asked.finish(.failed(why))
            ended()
        case .report: report()
        }
    }

    private func report() {
        let tally = steps.tally
        var stayed = tally.stayed
        if steps.busy > 0 { stayed["the connection was busy being made; drain again", default: 0] += steps.busy }
        let report = DrainReport(
            peer: peer, isDryRun: isDryRun, moved: tally.moved, stayed: stayed, inDoubt: tally.inDoubt,
            lost: tally.lost, addresses: steps.addresses, remaining: around.connectionCount(),
            isInterrupted: steps.isStopping, failure: steps.failure ?? tally.linkFailure, pause: .init(tally.pauses),
            durationMilliseconds: Int((MonotonicTime.now - startedAt) / 1_000_000))
        log.notice(
            "the drain has ended",
            metadata: [
                "peer": "\(peer)", "moved": "\(report.moved)", "stayed": "\(tally.stayedCount + steps.busy)",
                "in_doubt": "\(report.inDoubt)", "addresses": "\(steps.addresses)",
            ])
        asked.finish(.drained(report))
        ended()
    }
}
