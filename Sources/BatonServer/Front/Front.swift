internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Glibc
internal import Handoff
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TLSHandshake

/// The front process: it listens, completes handshakes, chooses routes, and hands every connection to a worker. It owns
/// none for longer than that. Its state is used on `loop` only; connections in their handshake are on the loops of
/// `group`, and read the `FrontPolicy` that holds when they come in.
final class Front: @unchecked Sendable {
    let options: ServeOptions
    let group: any EventLoopGroup
    let loop: any EventLoop
    let logger: SharedLogger
    /// The configuration that holds.
    private(set) var configuration: Configuration
    /// Its text.
    private(set) var file: String?
    let control: ControlSocket
    let policy: CurrentPolicy
    private(set) var life: ServerLife<UpgradeRequest>
    private(set) lazy var shutdown = Shutdown(shutdownSurroundings)
    private(set) lazy var reloads = Reloads(on: loop, logger, reloadActions)
    let listening: Listening
    private(set) lazy var workerPool = WorkerPool(
        in: ControlSocket.runtimeDirectory(control.path), on: loop, logger, keeper, workerActions)
    /// Fulfilled when all processes of the server are ready.
    private var readiness: EventLoopPromise<Void>?
    /// Gives connections to workers and programs. No other server of the line has the same numbers.
    private(set) lazy var placer = Placer(
        .newcomers, numberedAfter: UInt64(UInt32(bitPattern: getpid())) << 32, placementActions)
    /// The server before this one.
    private let predecessor: Predecessor?
    /// The last upgrade.
    var upgrade: Upgrade?
    var upgradeAttempts = 0
    private(set) lazy var admin = AdminAddress(on: loop, logger, adminSource)
    private(set) lazy var commandConnections = CommandConnections(on: loop, logger) { [self] in
        answer($0, $1)
    } ended: { [self] in
        stopDrain(askedBy: $0)
    }
    private let heap: HeapRest
    let inquiries: Inquiries
    let tally: SharedTally
    /// The parent of all processes of the server.
    let keeper: KeeperLink
    /// Whether it knows how to hand memory over.
    let keeperHandsOver: Bool
    /// The keeper's process, which is the service's.
    let servicePid: Int32
    /// What the keeper has seen.
    var deaths: ProcessDeaths
    private(set) lazy var deposits = makeDeposits()
    /// The processes that move connections to and from other hosts, if that is configured.
    private(set) lazy var migration = MigrationProcesses(
        privileges, networkArguments: networkArguments, in: ControlSocket.runtimeDirectory(control.path), on: loop,
        logger, keeper, migrationActions)
    private let privileges: PrivilegeLink?
    private let networkArguments: [String]
    /// Connections are moving to another host.
    var drain: Drain?
    let admission: Admission
    let startedAt = MonotonicTime.now
    /// Whether a successor has the sockets and their names, when this server has ended.
    let ended: EventLoopPromise<Bool>

    init(
        _ options: ServeOptions, _ configuration: Configuration, file: String?, policy: FrontPolicy,
        group: any EventLoopGroup, control: ControlSocket, keys: TicketKeysBox, listening: PreparedListening,
        tally: Tally, keeper: KeeperLink, given: KeeperLink.Given, privileges: PrivilegeLink?,
        predecessor: Predecessor?
    ) throws(RuntimeError) {
        self.predecessor = predecessor
        life = ServerLife(hasPredecessor: predecessor != nil, isRestored: given.left != nil)
        self.keeper = keeper
        servicePid = given.pid
        keeperHandsOver = given.handsOver
        deaths = given.deaths
        self.options = options
        self.configuration = configuration
        self.privileges = privileges
        networkArguments = configuration.migration.networkArguments
        self.file = file
        self.group = group
        self.control = control
        self.tally = SharedTally(tally)
        loop = group.next()
        inquiries = Inquiries(on: loop)
        heap = HeapRest(on: loop)
        logger = SharedLogger("baton", level: configuration.logLevel.swiftLog)
        admission = Admission(configuration.limits)
        self.policy = CurrentPolicy(policy, keys: keys, on: loop, logger)
        self.listening = try Listening(listening, control: control.descriptor, logger)
        ended = loop.makePromise()
        admission.whenEmpty { [self] in
            loop.execute {
                self.look()
                self.heap.restSoon()
            }
        }
        ended.futureResult.whenComplete { [self] _ in workerPool.endHeartbeat() }
    }

    var log: Logger { logger.current }

    /// Has another configuration hold.
    func use(_ configuration: Configuration, file: String?) {
        if configuration.workers != self.configuration.workers { workerPool.forgetAsked() }
        self.configuration = configuration
        self.file = file
        logger.setLevel(configuration.logLevel.swiftLog)
    }

    // MARK: Starting

    private static var stoppedWhileStarting: RuntimeError {
        RuntimeError(.processFailed, ServerLife<UpgradeRequest>.stoppedWhileStarting)
    }

    /// Starts the workers.
    func start() -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        loop.execute { [self] in
            guard life.phase == .starting else { return promise.fail(Self.stoppedWhileStarting) }
            readiness = promise
            workerPool.begin()
            beginMigration()
            loop.scheduleTask(in: WorkerPool.startLimit) { [self] in
                failStart("the workers did not start in time; the machine may be overloaded")
            }
        }
        return promise.futureResult
    }

    private func beginMigration() {
        migration.begin(isConfigured: configuration.migration.isConfigured, isInherited: predecessor != nil)
    }

    /// Takes the place of a front that has died. Connections are taken at once, whatever has become of the workers: what comes
    /// waits for one that answers.
    func restore(_ given: [(worker: KeptWorker, link: CInt)]) -> EventLoopFuture<Void> {
        loop.submit { [self] in
            removeLeftSockets(of: given.map(\.worker.pid))
            for (worker, link) in given { workerPool.adopt(worker, link) }
            workerPool.begin()
            beginMigration()
        }
    }

    /// The server is ready when all its processes are.
    func becomeReady() {
        if workerPool.areAcquainted, !migration.areStarting { handle(.ready) }
    }

    /// A process of the server cannot be had. Returns whether its start fails for this.
    @discardableResult
    func failStart(_ why: String) -> Bool {
        let fails = life.phase == .starting
        handle(.startFailed(why))
        return fails
    }

    /// Has the server before this one heard, which has had time to say something.
    func hearPredecessor() {
        predecessor?.introduce(on: loop) { [self] in heard($0) }
    }

    private func heard(_ word: Predecessor.Word) {
        switch word {
        case .lingers(let remainder): handle(.predecessorLingers(remainder))
        case .stop(let atOnce): shutdown.otherStops(atOnce: atOnce)
        case .ended(let totals, let counts):
            tally.withLock { $0.predecessorEnded(totals, counts) }
            handle(.predecessorEnded)
        }
    }

    /// Tells the server before this one.
    func tellPredecessor(_ message: SuccessorMessage) { predecessor?.say(message) }

    /// The server could not start.
    func abandonStart() { handle(.abandoned) }

    /// Accepts.
    func serve() -> EventLoopFuture<Void> {
        loop.submit { [self] in
            handle(.turn)
            guard life.phase == .serving else { throw Self.stoppedWhileStarting }
        }
    }

    private func beginServing() {
        tellOfShortfalls()
        beginListening()
        scheduleRotation()
        policy.tellOfCertificates()
        policy.watchCertificates()
        deposits.deposit()
        log.notice("serving", metadata: ["workers": "\(workers.count)", "control": "\(control.path)"])
        keeper.notify(.ready)
    }

    /// Rotates ticket keys as the configuration says.
    func scheduleRotation() {
        policy.rotateTicketKeys(by: configuration.sessionTickets) { [self] in deposits.depositState() }
    }

    /// This front is the one that signals are for.
    func announce() { keeper.serves() }

    // MARK: Signals

    func received(_ signal: CInt) {
        switch signal {
        case SIGHUP: reload(asked: nil)
        case SIGUSR2: handle(.upgrade(UpgradeRequest()))
        default: shutdown.ask()
        }
    }

    // MARK: The life of the server

    func handle(_ event: ServerLife<UpgradeRequest>.Event) {
        let actions = life.handle(event)
        reloads.enter(life.moment)
        for action in actions { perform(action) }
    }

    private func perform(_ action: ServerLife<UpgradeRequest>.Action) {
        switch action {
        case .tellReady:
            readiness?.succeed()
            readiness = nil
        case .failStart(let why):
            readiness?.fail(RuntimeError(.processFailed, why))
            readiness = nil
            predecessor?.giveUpTurn(why)
        case .serve: beginServing()
        case .killWorkers: workerPool.kill()
        case .beginUpgrade(let request): begin(request)
        case .declineUpgrade(let request, let why): request.refuse(why)
        case .failUpgrade(let request, let why): fail(request, why)
        case .tellPostponed: log.notice("the upgrade waits for the server before this one to hand over what it has")
        case .handOver: handOver()
        case .acceptAgain: acceptAgain()
        case .resumeWorkers: workerPool.resume()
        case .resumeMigration: if configuration.migration.isConfigured { migration.resume() }
        case .leave:
            keeper.leaves()
            keeper.settle()
            stopListening()
        case .tellStop(let accepts): shutdown.tell(accepts: accepts)
        case .stopDrain: drain?.stop()
        case .stopSuccessor(let atOnce): upgrade?.stop(atOnce: atOnce)
        case .stopPredecessor(let atOnce): tellPredecessor(.stopping(atOnce: atOnce))
        case .awaitDelay: shutdown.awaitDelay()
        case .acceptNoMore: shutdown.acceptNoMore()
        case .look: look()
        case .closeRest: shutdown.closeRest()
        case .endMigration: migration.end()
        case .end(let isReplaced): ended.succeed(isReplaced)
        }
    }

    /// Looks whether anything is left of a server that ends.
    func look() {
        upgrade?.look()
        handle(.looked(isEmpty: workers.isEmpty && admission.present == 0))
    }
}
