internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Libc
internal import Logging
internal import NIOCore
internal import NIOPosix

/// The front process: it listens, completes handshakes, chooses routes, and hands every connection to a worker. It owns
/// none for longer than that. This is the wiring of its parts; what they do together at a time of the server's life is
/// decided by `ServerLife`, and performed by `Life`. All is used on `loop` only; connections in their handshake are on the
/// loops of `group`, and read the `FrontPolicy` that holds when they come in.
final class Front: @unchecked Sendable {
    private let loop: any EventLoop
    private let group: any EventLoopGroup
    private let logger: SharedLogger
    private let settings: Settings
    private let control: ControlSocket
    /// The parent of all processes of the server.
    private let keeper: KeeperLink
    private let given: KeeperLink.Given
    private let privileges: PrivilegeLink?
    private let predecessor: Predecessor?
    private let policy: CurrentPolicy
    private let listening: Listening
    private let admission: Admission
    private let inquiries: Inquiries
    private let tally: SharedTally
    private let heap: HeapRest
    /// What the front before this one has left of it.
    private let history: History?

    private lazy var life: Life = .init(
        on: loop, logger, hasPredecessor: predecessor != nil, isRestored: given.left != nil
    ) { [self] in
        Life.Parts(
            settings: settings, control: control, keeper: keeper, predecessor: predecessor, workers: pool,
            migration: migration, policy: policy, reception: reception, deposits: deposits, figures: figures,
            reloads: reloads, watcher: watcher, staples: staples, upgrades: upgrades, drains: drains,
            shutdown: shutdown, tally: tally)
    }
    private lazy var pool: WorkerPool = .init(in: directory, on: loop, logger, keeper, workerActions)
    private lazy var migration: MigrationProcesses = .init(
        privileges, networkArguments: settings.configuration.migration.networkArguments, in: directory, on: loop,
        logger, keeper, migrationActions)
    private lazy var figures: Figures = .init(
        of: .init(
            workers: pool, admission: admission, tally: tally, migration: migration, listening: listening,
            upstreams: { [upstreams] in upstreams.rows($0) }, remainder: { [life] in life.remainder }),
        servicePid: given.pid, deaths: given.deaths)
    private lazy var upstreams: UpstreamWatch = .init(on: loop, logger) { [pool] in pool.workers }
    private lazy var legacy: Legacy = .init(
        control: control, listening: listening, policy: policy, workers: pool, migration: migration, figures: figures,
        recorder: recorder)
    private lazy var recorder: Recorder = .init(history, of: figures, deaths: given.deaths)
    private lazy var deposits: Deposits = .init(
        keeper, descriptors: { [legacy] in legacy.descriptors },
        state: { [legacy, life, settings] in
            legacy.state(file: settings.file, acceptsNoMore: life.moment == .stopping)
        })
    private lazy var reception: Reception = .init(
        on: loop, logger, settings, listening, policy,
        AdminAddress(
            on: loop, logger,
            AdminView(on: loop, figures, inquiries, life, recorder, policy).source { [policy] in
                policy.value.adminNames
            }),
        CommandConnections(
            on: loop, logger, answer: { [self] in answer($0, $1) }, ended: { [drains] in drains.stop(askedBy: $0) }),
        deposits)
    private lazy var watcher: FileWatcher = .init { [self] in
        loop.execute { self.reloads.certificatesChanged() }
    } isDeaf: { [logger] reason in
        logger.current.warning(
            "changes of certificates are looked for every two seconds, since the kernel does not tell of them",
            metadata: ["reason": "\(reason)"])
    }
    private lazy var staples: StapleFetcher = .init(on: loop, logger)
    private lazy var reloads: Reloads = .init(on: loop, logger, reloadActions)
    private lazy var drains: Drains = .init(settings, migration, drainSurroundings, life)
    private lazy var upgrades: Upgrades = .init(
        settings.options, in: directory, upgradeSurroundings,
        inheritance: { [legacy] in try legacy.parcel(isService: $0) })
    private lazy var shutdown: Shutdown = .init(
        .init(
            loop: loop, logger: logger, workers: pool, settings: settings, figures: figures, keeper: keeper,
            listening: listening, reception: reception, happened: { [life] in life.handle($0) }))
    private lazy var newcomers: Newcomers = .init(
        on: loop, logger, admission, tally, pool,
        successors: { [life, upgrades] in life.moment == .replaced ? upgrades.successors : nil })
    private lazy var news: WorkerNews = .init(
        reloads: reloads, upgrades: upgrades, drains: drains, inquiries: inquiries, admission: admission,
        newcomers: newcomers, tally: tally, upstreams: upstreams)

    init(
        _ options: ServeOptions, _ configuration: Configuration, file: String?, policy: FrontPolicy,
        group: any EventLoopGroup, control: ControlSocket, keys: TicketKeysBox, listening: PreparedListening,
        _ inheritance: Inheritance?, keeper: KeeperLink, given: KeeperLink.Given, privileges: PrivilegeLink?,
        predecessor: Predecessor?
    ) throws(RuntimeError) {
        loop = group.next()
        logger = SharedLogger("baton", level: configuration.logLevel.swiftLog)
        settings = Settings(options, configuration, file: file, logger)
        self.group = group
        self.control = control
        self.keeper = keeper
        self.given = given
        self.privileges = privileges
        self.predecessor = predecessor
        self.policy = CurrentPolicy(policy, keys: keys, on: loop, logger)
        self.listening = try Listening(listening, control: control.descriptor, logger)
        admission = Admission(configuration.limits)
        inquiries = Inquiries(on: loop)
        heap = HeapRest(on: loop)
        tally = SharedTally(
            Tally(predecessors: inheritance?.past ?? WorkerReport(), counts: inheritance?.counts ?? FrontCounts()))
        history = inheritance?.history
        pool.inherit(lastNumber: inheritance?.lastWorkerNumber ?? 0, asked: inheritance?.workersAsked)
        predecessor?.isOfVersion(inheritance?.version)
        admission.whenEmpty { [self] in
            loop.execute {
                self.life.look()
                self.heap.restSoon()
            }
        }
        life.end.whenComplete { [self] _ in
            pool.endHeartbeat()
            upstreams.end()
        }
    }

    private var directory: String { ControlSocket.runtimeDirectory(control.path) }

    // MARK: Its life

    func start() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            if given.left != nil { LeftSockets.remove(from: directory, butOf: given.workers.map(\.worker.pid)) }
            upstreams.use(settings.configuration)
            return life.start(with: given.workers)
        }
    }

    /// Does all of listening that can fail, and hears the server before this one.
    ///
    /// - Returns: where the workers take connections.
    func prepare() -> EventLoopFuture<[String]> {
        loop.submit { [self] in
            try reception.prepare(
                Intake(
                    group: group, policy: policy, admission: admission, tally: tally, logger: logger,
                    place: { [newcomers] in newcomers.place($0, target: $1, source: $2) }))
            predecessor?.introduce(on: loop) { [life] in life.heard($0) }
            return pool.workers.map(\.socket)
        }
    }

    func serve() -> EventLoopFuture<Void> { loop.submit { [self] in try life.serve() } }

    /// This front is the one that signals are for.
    func announce() -> EventLoopFuture<Void> {
        loop.submit { [self] in
            keeper.serves()
            predecessor?.say(.accepting)
            recorder.begin(given.left != nil ? .frontDied : predecessor != nil ? .upgraded : .started)
        }
    }

    func abandonStart() -> EventLoopFuture<Void> { loop.submit { [self] in life.handle(.abandoned) } }

    /// Fulfilled at the end: whether a successor has the sockets and their names.
    var end: EventLoopFuture<Bool> { life.end }

    // MARK: What it hears

    func received(_ signal: CInt) {
        loop.execute { [self] in
            switch signal {
            case SIGHUP: reloads.askBySignal()
            case SIGUSR2: life.handle(.upgrade(UpgradeRequest()))
            default: shutdown.ask()
            }
        }
    }

    /// A worker has lost its front.
    func adopt(_ worker: KeptWorker, _ link: CInt) { loop.execute { self.pool.adopt(worker, link) } }

    func note(_ deaths: ProcessDeaths) {
        loop.execute {
            self.figures.note(deaths)
            self.recorder.note(deaths)
        }
    }

    /// The keeper asks whether there is somebody at work.
    func answerKeeper() { loop.execute { self.keeper.isThere() } }

    private func answer(_ request: ControlRequest, _ link: JSONLink<ControlResponse>) {
        switch request {
        case .status: link.finish(.status(figures.status))
        case .certificates: tellCertificates(link)
        case .reload: reloads.ask(link)
        case .workers(let count): pool.ask(for: count, link)
        case .upgrade(let binary): life.handle(.upgrade(UpgradeRequest(binary: binary, asked: link)))
        case .drain(let peer, let isDryRun): drains.begin(to: peer, isDryRun: isDryRun, asked: link)
        case .stop: drains.stop(askedBy: ObjectIdentifier(link.channel))
        case .succeed(let request): succeed(request, link)
        }
    }

    /// Another service is to succeed this one.
    private func succeed(_ request: SuccessionRequest, _ link: JSONLink<ControlResponse>) {
        guard given.handsElsewhere else {
            return link.finish(
                .failed("the main process is of an older version, which cannot hand over; restart the server"))
        }
        guard control.isAt(request.control) else {
            return link.finish(
                .failed(
                    "\(request.control) is not this server's control socket, \(control.path), as it sees it; mount the "
                        + "directory at the same path in both"))
        }
        link.channel.eventLoop.makeCompletedFuture {
            try link.channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
                SucceedingService(request, at: $0)
            } ?? nil
        }.hop(to: loop).whenSuccess { [life] service in
            guard let service else { return link.finish(.failed("descriptors are lacking")) }
            life.handle(.succession(UpgradeRequest(asked: link, service: service)))
        }
    }

    /// It may read files, of certificates that no listener shows.
    private func tellCertificates(_ link: JSONLink<ControlResponse>) {
        let certificates = policy.value.certificates
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            CertificatesReport(certificates: certificates.map { $0.row(at: Int64(time(nil))) })
        }.whenComplete { result in
            switch result {
            case .success(let report): link.finish(.certificates(report))
            case .failure(let error): link.finish(.failed("\(error)"))
            }
        }
    }

    // MARK: What its parts ask for

    private var workerActions: WorkerPool.Actions {
        WorkerPool.Actions(
            moment: { [self] in life.moment },
            isStopping: { [self] in life.isStopping },
            configured: { [settings] in settings.configuration.workers ?? max(1, System.coreCount) },
            silenceLimit: { [settings] in settings.configuration.limits.workerSilence },
            confinement: { [settings] in ConfinedProcess.workerArguments(settings.configuration, in: $0) },
            settings: { [settings] in settings.text },
            nextTurn: { [self] in reloads.nextTurn() },
            successors: { [self] in upgrades.successors },
            status: { [self] in figures.status },
            received: { [self] in news.received($0, from: $1) },
            ended: { [self] in news.ended($0) },
            isSilent: { [self] in newcomers.recall(from: $0) },
            changed: { [self] sockets in
                if !sockets.isEmpty { predecessor?.say(.workers(sockets)) }
                migration.send(.workers(sockets))
            },
            areAcquainted: { [self] in life.becomeReady() },
            failed: { [self] in life.failStart($0) },
            hasBeaten: { [self] in
                recorder.look()
                if life.moment == .serving || life.moment == .replacing {
                    var counts = figures.deposited
                    counts.history = recorder.history.count / 15
                    deposits.deposit(counts)
                }
                // Time passes for an upgrade that waits for a silent worker.
                upgrades.look()
            },
            hasLess: { [self] in life.look() })
    }

    private var migrationActions: MigrationProcesses.Actions {
        MigrationProcesses.Actions(
            moment: { [self] in life.moment }, settings: { [settings] in settings.text },
            workers: { [self] in pool.workers.filter { $0.state == .ready }.map(\.socket) },
            areReady: { [self] in life.becomeReady() }, failed: { [self] in life.failStart($0) },
            received: { [self] in drains.received($0) },
            counted: { [tally] counts in tally.withLock { $0.migrationEnded(counts) } },
            died: { [self] in drains.migrationEnded($0) }, hasLess: { [self] in life.look() })
    }

    private var reloadActions: Reloads.Actions {
        Reloads.Actions(
            notify: { [keeper] in keeper.notify($0) }, passOn: { [self] in upgrades.passOnReload() },
            reading: { [settings, policy, listening] scope in
                let keys = policy.ticketKeys
                switch scope {
                case .configuration:
                    let (options, sockets) = (settings.options, listening.sockets)
                    return { try ConfigurationReading(options, keys: keys, sockets: sockets) }
                case .certificates:
                    let (configuration, file, before) = (settings.configuration, settings.file, policy.value)
                    return {
                        try ConfigurationReading(
                            certificatesOf: configuration, file: file, keys: keys, before: before)
                    }
                }
            },
            workers: { [self] in Set(pool.workers.filter { $0.link != nil }.map(\.number)) },
            apply: { [self] in
                try Reconfiguration(
                    logger: logger, settings: settings, listening: listening, reception: reception, policy: policy,
                    admission: admission, workers: pool, deposits: deposits, upstreams: upstreams
                ).apply($0, turn: $1)
            },
            hasSucceeded: { [self] scope in
                policy.tellOfCertificates(onlyNew: scope == .certificates)
                staples.follow(policy.value)
                recorder.mark(.reloaded)
            },
            counted: { [tally] hasSucceeded, duration in
                tally.withLock { $0.reloaded(hasSucceeded, at: WallClock.milliseconds / 1_000, after: duration) }
            }, hasReadFiles: { [watcher] in watcher.follow($0, isWhole: $1) })
    }

    private var drainSurroundings: Drain.Surroundings {
        Drain.Surroundings(
            loop: loop, logger: logger, workers: { [pool] in pool.workers.filter { $0.state == .ready } },
            hasNewcomers: { [newcomers] in newcomers.areUnderWay },
            ports: { [listening] in listening.ports }, socket: { [migration] in migration.socket },
            order: { [migration] in migration.send($0) },
            connectionCount: { [figures] in figures.connectionCount })
    }

    private var upgradeSurroundings: Upgrade.Surroundings {
        Upgrade.Surroundings(
            loop: loop, logger: logger, keeper: keeper, keeperHandsOver: given.handsOver, figures: figures,
            pauseConnections: { [listening] in listening.pauseConnections() },
            handOver: { [pool] in pool.handOver(to: $0) },
            happened: { [self] in
                if case .upgradeFailed = $0 { recorder.mark(.upgradeFailed) }
                life.handle($0)
            },
            stops: { [self] in shutdown.otherStops(atOnce: $0) })
    }
}
