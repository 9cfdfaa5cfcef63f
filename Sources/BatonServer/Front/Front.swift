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
    enum Phase {
        case starting
        case serving
        /// A successor starts; this one serves until it is ready.
        case replacing(Successor)
        /// The successor accepts; what is here goes there.
        case retiring(Successor)
        /// Ends with its last connection, or at the time limit.
        case finishing

        /// For status and the admin page.
        var name: String {
            switch self {
            case .starting: "starting"
            case .serving: "serving"
            case .replacing: "replacing"
            case .retiring: "retiring"
            case .finishing: "finishing"
            }
        }

        var moment: ServerMoment {
            switch self {
            case .starting: .starting
            case .serving: .serving
            case .replacing: .replacing
            case .retiring: .replaced
            case .finishing: .stopping
            }
        }
    }

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
    var phase = Phase.starting { didSet { reloads.enter(phase.moment) } }
    /// Whether it was asked to stop. Connections are accepted for `shutdown-delay` still.
    var isStopping = false
    /// Whether what is left is being closed.
    var isClosingRest = false
    private(set) lazy var reloads = Reloads(on: loop, logger, reloadActions)
    let listening: Listening
    private(set) lazy var workerPool = WorkerPool(
        in: ControlSocket.runtimeDirectory(control.path), on: loop, logger, keeper, workerActions)
    /// Counts connections given to workers; no other server of the line has the same numbers.
    var lastPlacement = UInt64(UInt32(bitPattern: getpid())) << 32
    /// Fulfilled when all processes of the server are ready.
    private var readiness: EventLoopPromise<Void>?
    var senders: [String: ParcelSender] = [:]
    var successorTurn = 0
    var upgradeAttempts = 0
    var upgradeAsked: [JSONLink<ControlResponse>] = []
    /// The server before this one, until it has nothing left: the workers it knows must stay.
    var predecessor: Predecessor?
    /// Whether that one knows all of `SuccessorMessage`.
    var predecessorKnowsMore = false
    /// What it cannot hand over.
    var remainder: Remainder?
    /// The server that was to replace this one, and was told to stop with it.
    var stoppedSuccessor: Successor?
    /// Fulfilled when those who asked for the upgrade have been told of it.
    var reported: EventLoopFuture<Void>?
    /// Whether a connection may have come to a worker.
    var hasBegun = false
    var postponedUpgrade: (binary: String?, asked: JSONLink<ControlResponse>?)?
    private(set) lazy var admin = AdminAddress(on: loop, logger, adminSource)
    private(set) lazy var commandConnections = CommandConnections(on: loop, logger) { [self] in
        answer($0, $1)
    } ended: { [self] in
        stopDrain(askedBy: $0)
    }
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
    /// Whether a successor has the sockets.
    var isReplaced = false
    let admission: Admission
    let startedAt = MonotonicTime.now
    let ended: EventLoopPromise<Void>

    init(
        _ options: ServeOptions, _ configuration: Configuration, file: String?, policy: FrontPolicy,
        group: any EventLoopGroup, control: ControlSocket, keys: TicketKeysBox, listening: PreparedListening,
        tally: Tally, keeper: KeeperLink, given: KeeperLink.Given, privileges: PrivilegeLink?
    ) throws(RuntimeError) {
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
        logger = SharedLogger("baton", level: configuration.logLevel.swiftLog)
        admission = Admission(configuration.limits)
        self.policy = CurrentPolicy(policy, keys: keys, on: loop, logger)
        self.listening = try Listening(listening, control: control.descriptor, logger)
        ended = loop.makePromise()
        admission.whenEmpty { [self] in loop.execute { self.endIfDone() } }
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

    /// Starts the workers.
    func start() -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        loop.execute { [self] in
            readiness = promise
            workerPool.begin()
            beginMigration()
            loop.scheduleTask(in: WorkerPool.startLimit) { [self] in
                failReadiness("the workers did not start in time; the machine may be overloaded")
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
            hasBegun = true
            for (worker, link) in given { workerPool.adopt(worker, link) }
            workerPool.begin()
            beginMigration()
        }
    }

    /// The server is ready when all its processes are.
    func becomeReady() {
        guard workerPool.areAcquainted, !migration.areStarting else { return }
        readiness?.succeed()
        readiness = nil
    }

    /// The server cannot start. Returns whether it was about to.
    @discardableResult
    func failReadiness(_ why: String) -> Bool {
        guard let readiness else { return false }
        self.readiness = nil
        readiness.fail(RuntimeError(.processFailed, why))
        return true
    }

    /// Ends the workers of a server that could not start. Of one that has begun they end by themselves, with what they have.
    func abandonStart() {
        if !hasBegun { workerPool.kill() }
        ended.succeed()
        migration.end()
    }

    /// Accepts.
    func serve() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            guard case .starting = phase else {
                return loop.makeFailedFuture(
                    RuntimeError(.processFailed, Self.stoppedWhileStarting))
            }
            hasBegun = true
            phase = .serving
            tellOfShortfalls()
            beginListening()
            scheduleRotation()
            policy.tellOfCertificates()
            policy.watchCertificates()
            deposits.deposit()
            log.notice("serving", metadata: ["workers": "\(workers.count)", "control": "\(control.path)"])
            keeper.notify(.ready)
            return loop.makeSucceededVoidFuture()
        }
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
        case SIGUSR2: upgrade(binary: nil, asked: nil)
        default: stop()
        }
    }

    /// Leaves when nothing is left to do.
    func endIfDone() {
        switch phase {
        case .finishing:
            guard workers.isEmpty, drain == nil, admission.present == 0 else { return }
            // As long as the one before has connections, this one answers for it.
            guard predecessor == nil else { return }
            ended.succeed()
        case .retiring(let successor): checkProgress(of: successor)
        case .starting, .serving, .replacing: return
        }
    }
}
