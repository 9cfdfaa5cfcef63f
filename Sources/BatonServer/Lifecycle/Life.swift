internal import BatonConfiguration
internal import Libc
internal import Logging
internal import NIOCore

/// Performs the life of a server (`ServerLife`): it has the parts do what an event brings about. Used on the front's loop only.
final class Life: @unchecked Sendable {
    typealias Event = ServerLife<UpgradeRequest>.Event

    /// What lives.
    struct Parts {
        let settings: Settings
        let control: ControlSocket
        let keeper: KeeperLink
        /// The server before this one.
        let predecessor: Predecessor?
        let workers: WorkerPool
        let migration: MigrationProcesses
        let policy: CurrentPolicy
        let reception: Reception
        let deposits: Deposits
        let figures: Figures
        let reloads: Reloads
        let watcher: FileWatcher
        let staples: StapleFetcher
        let upgrades: Upgrades
        let drains: Drains
        let shutdown: Shutdown
        let tally: SharedTally
    }

    private let loop: any EventLoop
    private let logger: SharedLogger
    private let makeParts: () -> Parts
    private lazy var parts: Parts = makeParts()
    private var state: ServerLife<UpgradeRequest>
    /// Fulfilled when all processes of the server are ready.
    private var readiness: EventLoopPromise<Void>?
    private let ended: EventLoopPromise<Bool>

    /// - Parameters:
    ///   - isRestored: whether it goes on where a front has died.
    ///   - parts: asked for when something happens first; they have this, too.
    init(
        on loop: any EventLoop, _ logger: SharedLogger, hasPredecessor: Bool, isRestored: Bool,
        parts: @escaping () -> Parts
    ) {
        self.loop = loop
        self.logger = logger
        makeParts = parts
        state = ServerLife(hasPredecessor: hasPredecessor, isRestored: isRestored)
        ended = loop.makePromise()
    }

    private var log: Logger { logger.current }

    // MARK: State

    var phase: ServerLife<UpgradeRequest>.Phase { state.phase }
    var moment: ServerMoment { state.moment }
    /// For status and the admin page.
    var name: String { state.name }
    var isStopping: Bool { state.isStopping }
    var canDrain: Bool { state.canDrain }
    var remainder: Remainder? { state.remainder }

    /// Fulfilled when nothing is left to do: whether a successor has the sockets and their names.
    var end: EventLoopFuture<Bool> { ended.futureResult }

    // MARK: Starting

    /// Starts the processes of the server. Where a front has died connections are taken at once, whatever has become of the
    /// workers: what comes waits for one that answers.
    ///
    /// - Parameter workers: those that have lost their front.
    func start(with workers: [(worker: KeptWorker, link: CInt)]) -> EventLoopFuture<Void> {
        guard phase != .failed else { return loop.makeFailedFuture(Self.stopped) }
        let promise = loop.makePromise(of: Void.self)
        if phase == .starting { readiness = promise } else { promise.succeed() }
        for (worker, link) in workers { parts.workers.adopt(worker, link) }
        parts.workers.begin()
        parts.migration.begin(
            isConfigured: parts.settings.configuration.migration.isConfigured,
            isInherited: parts.predecessor != nil)
        loop.scheduleTask(in: WorkerPool.startLimit) { [self] in
            failStart("the workers did not start in time; the machine may be overloaded")
        }
        return promise.futureResult
    }

    /// The server is ready when all its processes are.
    func becomeReady() {
        if parts.workers.areAcquainted, !parts.migration.areStarting { handle(.ready) }
    }

    /// A process of the server cannot be had. Returns whether its start fails for this.
    @discardableResult
    func failStart(_ why: String) -> Bool {
        let fails = phase == .starting
        handle(.startFailed(why))
        return fails
    }

    /// It is this server's turn to accept.
    func serve() throws(RuntimeError) {
        handle(.turn)
        guard phase == .serving else { throw Self.stopped }
    }

    private static var stopped: RuntimeError {
        RuntimeError(.processFailed, ServerLife<UpgradeRequest>.stoppedWhileStarting)
    }

    // MARK: What happens

    func heard(_ word: Predecessor.Word) {
        switch word {
        case .lingers(let remainder): handle(.predecessorLingers(remainder))
        case .stop(let atOnce): parts.shutdown.otherStops(atOnce: atOnce)
        case .ended(let totals, let counts, let succeeded):
            if let succeeded {
                log.notice(
                    "took over from another service, which ends",
                    metadata: [
                        "connections": "\(succeeded.connections)", "from": "\(succeeded.host)",
                        "version": "\(succeeded.version)",
                    ])
            }
            parts.tally.withLock { $0.predecessorEnded(totals, counts) }
            handle(.predecessorEnded)
        }
    }

    /// Looks whether anything is left of a server that ends.
    func look() {
        parts.upgrades.look()
        handle(.looked(isEmpty: parts.figures.workers.isEmpty && parts.figures.newcomers == 0))
    }

    func handle(_ event: Event) {
        let actions = state.handle(event)
        parts.reloads.enter(state.moment)
        for action in actions { perform(action) }
    }

    private func perform(_ action: ServerLife<UpgradeRequest>.Action) {
        switch action {
        case .tellReady: settle(.success(()))
        case .failStart(let why):
            settle(.failure(RuntimeError(.processFailed, why)))
            parts.predecessor?.giveUpTurn(why)
        case .serve: serveFirst()
        case .killWorkers: parts.workers.kill()
        case .beginUpgrade(let request): parts.upgrades.begin(request)
        case .declineUpgrade(let request, let why): request.refuse(why)
        case .failUpgrade(let request, let why): parts.upgrades.fail(request, why)
        case .tellPostponed: log.notice("the upgrade waits for the server before this one to hand over what it has")
        case .tellStopWaits:
            log.notice("told to stop: this service ends as soon as the one that succeeds it has everything")
        case .handOver: handOver()
        case .acceptAgain: acceptAgain()
        case .resumeWorkers: parts.workers.resume()
        case .resumeMigration: if parts.settings.configuration.migration.isConfigured { parts.migration.resume() }
        case .leave: leave()
        case .tellStop(let accepts): parts.shutdown.tell(accepts: accepts)
        case .stopDrain: parts.drains.stop()
        case .stopSuccessor(let atOnce): parts.upgrades.stop(atOnce: atOnce)
        case .stopPredecessor(let atOnce): parts.predecessor?.say(.stopping(atOnce: atOnce))
        case .awaitDelay: parts.shutdown.awaitDelay()
        case .acceptNoMore: parts.shutdown.acceptNoMore()
        case .look: look()
        case .closeRest: parts.shutdown.closeRest()
        case .endMigration: parts.migration.end()
        case .end(let isReplaced): ended.succeed(isReplaced)
        }
    }

    private func settle(_ result: Result<Void, any Error>) {
        readiness?.completeWith(result)
        readiness = nil
    }

    // MARK: What is done

    private func serveFirst() {
        // One may have died since all were ready.
        parts.workers.adjust()
        parts.deposits.deposit()
        // Before anybody can connect: whoever has been answered may count on another front. Where a server is replaced, the one
        // before takes its place again until the keeper knows better.
        if parts.predecessor == nil { parts.keeper.serves() }
        parts.reception.tellOfShortfalls()
        parts.reception.open()
        parts.policy.tellOfCertificates()
        parts.policy.watchCertificates()
        parts.watcher.follow(parts.policy.value.files, isWhole: true)
        parts.staples.follow(parts.policy.value)
        log.notice(
            "serving",
            metadata: ["workers": "\(parts.figures.workers.count)", "control": "\(parts.control.path)"])
        parts.keeper.notify(.ready)
    }

    /// The successor accepts. It has processes of its own for moves between hosts, and only one at a time can have the hold
    /// device; what is under way in those here goes to its workers.
    private func handOver() {
        parts.reception.pause()
        parts.migration.send(.workers(parts.upgrades.successors))
        parts.migration.end()
        parts.workers.takeOutOfService()
    }

    private func acceptAgain() {
        parts.reception.open()
        parts.workers.adjust()
        parts.deposits.deposit()
        parts.keeper.serves()
        parts.keeper.notify(.ready)
    }

    private func leave() {
        parts.staples.stop()
        parts.keeper.leaves()
        parts.keeper.settle()
        parts.reception.close()
    }
}
