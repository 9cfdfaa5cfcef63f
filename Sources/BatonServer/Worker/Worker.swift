internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Libc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import SessionEngine
internal import Synchronization
internal import TLSHandshake

/// A worker process: takes parcels from its front and from other workers, and serves their connections. Everything but
/// the inbox and the senders happens on its one event loop.
///
/// It outlives its front: without it, it takes nothing new, and ends with its last connection.
final class Worker: @unchecked Sendable {
    enum Phase {
        case starting
        case serving
        /// Hands every connection to others.
        case handingOver([String])
        /// Ends with its last connection.
        case finishing
    }

    let loop: any EventLoop
    var log: Logger
    var link: JSONLink<WorkerMessage>?
    private(set) var number = 0
    private(set) var configuration = Configuration() { didSet { router = configuration.router } }
    private(set) var router = Router(routes: [:])
    var phase = Phase.starting
    var siblings: [String] = []
    /// Those that NIO serves: the client alone is there, or its upstream is being connected.
    var sessions: [UInt64: Session] = [:]
    /// Those that the engine serves.
    private(set) lazy var relays = Relays(on: loop) { [unowned self] event in heard(event) }
    /// The addresses of upstreams.
    private(set) lazy var upstreams = WorkerUpstreams(
        relayed: { [unowned self] in relays.places }, changed: { [unowned self] in reportSoon() },
        log: { [unowned self] in log })
    var report = WorkerReport()
    var inbox: ParcelReceiver?
    /// Gives sessions to other workers, and to other hosts.
    private(set) lazy var offers = makeOffers()
    /// Gives connections to programs of somebody else's.
    private(set) lazy var programs = makeProgramPlacer()
    /// The drain of this host, as far as it has come.
    var sweep: MigrationSweep?
    /// Connections that stayed when they were to be handed over.
    var unmovable: Set<UInt64> = []
    var recentPauses = RecentPauses()
    /// Looks through all connections for who asks.
    private(set) lazy var scans = ConnectionScans(on: loop) { [unowned self] in makeScan($0, $1, limit: $2) }
    private let faultLog = FaultLog()
    private var throttle = LineThrottle<String>()
    /// Placements of the front that it has not been told of.
    var placed: [UInt64] = []
    /// Connections that end with this process, as far as the front has not been told.
    var waiting = WaitingConnections()
    /// Connections more or fewer than the front has been told of, by source.
    private var sourceChanges: [IPAddress?: Int] = [:]
    private var idleSweep: RepeatedTask?
    var census: RepeatedTask?
    var censusCount = 0
    private var ageSweep: RepeatedTask?
    private var reportIsDue = false
    private var lastReload: UInt64 = 0
    /// Whether another front may come when this one is gone.
    private var hasKeeper = true
    /// The fronts that there have been.
    private var frontTurn = 0
    /// Whether it was asked to stop when it had no front.
    private var isStopping = false
    private var inboxHasStopped = false
    /// Lets idle connections give memory back.
    private let registry: ConnectionRegistry
    private var clientContexts: [ClientContextKey: ClientContext] = [:]
    let ended: EventLoopPromise<Void>

    init(loop: any EventLoop) {
        self.loop = loop
        log = Logger(label: "baton.worker")
        registry = ConnectionRegistry(group: loop)
        ended = loop.makePromise()
    }

    // MARK: The front's messages

    func receive(_ message: FrontMessage) {
        switch message {
        case .configure(let setup): start(setup)
        case .reconfigure(let file, let flags, let turn): reconfigure(file, flags, turn)
        case .siblings(let paths):
            siblings = paths
            if case .serving = phase { offers.recall(allBut: paths) }
            link?.send(.acquainted(paths.count))
        case .beat: link?.send(.beat)
        case .list(let request): list(request)
        case .migrate(let path, let sweep, let limit): migrate(to: path, sweep: sweep, limit: limit)
        case .handOver(let paths):
            phase = .handingOver(paths)
            handOver()
        case .resume:
            // One that has let its inbox go is about to end.
            guard inbox != nil else { return }
            phase = .serving
            relays.end(false)
            isAccepting.withLock { $0 = true }
            link?.send(.ready)
        case .finish: finish()
        case .stop: closeAll()
        case .upstreams(let orders): upstreams.take(orders)
        }
    }

    /// Ends at once. What is cut off by it must not look whole.
    func stop() {
        for session in Array(sessions.values) {
            session.abandon()
            session.blame(.server)
            noteEnd(of: session)
        }
        sendReport()
        relays.abandon { [self] in ended.succeed() }
    }

    /// The front is gone. Connections live on here, and other workers may still hand some over, until the keeper has started
    /// another front; without a keeper there will be none.
    func frontEnded() {
        link = nil
        switch phase {
        case .starting:
            guard relays.areExpected else { return ended.succeed() }
            finishAlone()
        case .serving: finishAlone()
        case .handingOver, .finishing: break
        }
        endIfDone()
    }

    /// The keeper is gone.
    func keeperEnded() {
        hasKeeper = false
        relays.keeperEnded { [self] in endIfDone() }
        if link == nil { frontEnded() }
    }

    private func finishAlone() {
        guard !hasKeeper else { return }
        siblings = []
        phase = .finishing
    }

    /// Speaks with a front.
    func meet(_ descriptor: CInt) -> EventLoopFuture<Void> {
        frontTurn += 1
        return JSONLines<FrontMessage, WorkerMessage>.open(descriptor, on: loop) { [self] message in
            receive(message)
        } ended: { [self, turn = frontTurn] in
            if frontTurn == turn { frontEnded() }
        }.map { self.link = $0 }
    }

    /// Speaks with the front that has taken the place of the one before, and tells it all that is here.
    func meetNext(_ descriptor: CInt) {
        let former = link
        meet(descriptor).whenComplete { [self] result in
            former?.channel.close(promise: nil)
            guard case .success = result else { return frontEnded() }
            lastReload = 0
            placed = []
            sourceChanges = [:]
            waiting = WaitingConnections()
            for session in sessions.values { tellWaiting(session) }
            for source in sessions.values.map(\.source) + relays.sources { arrived(from: source) }
            reportSoon()
        }
    }

    private func start(_ setup: WorkerSetup) {
        do {
            number = setup.number
            Session.number(from: number)
            configuration = try Configuration(file: setup.file, arguments: setup.flags)
            log.logLevel = configuration.logLevel.swiftLog
            log[metadataKey: "worker"] = "\(number)"
            AccessLog.process.use(configuration)
            relays.start(worker: number, configuration)
            let inbox = try ParcelReceiver(at: setup.socket) { [self] parcel in
                verdict(on: parcel)
            } received: { [self] boxes in
                loop.execute { self.receive(boxes) }
            } report: {
                $0.log(to: Logger(label: "baton.inbox"))
            }
            try inbox.start()
            self.inbox = inbox
            phase = .serving
            turned()
            scheduleIdleSweep()
            scheduleCensus()
            scheduleAgeSweep()
            isAccepting.withLock { $0 = true }
            link?.send(.ready)
            // The front tells of upstreams to who does so itself.
            if !configuration.upstreams.isEmpty { reportSoon() }
            #if DEBUG
                loop.execute { EngineFault.ready() }
            #endif
        } catch {
            link?.send(.failed("\(error)"))
        }
    }

    /// Reads the changed configuration, which the front has checked, off the event loop: it may be long.
    private func reconfigure(_ file: String?, _ flags: [String], _ turn: UInt64) {
        let inUse = Set(clientContexts.keys)
        startThread("baton-reload") { [self] in
            let changed: Configuration
            do throws(ConfigurationError) {
                changed = try Configuration(file: file, arguments: flags)
            } catch {
                let why = "\(error)".split(separator: "\n").joined(separator: "; ")
                return loop.execute { self.keepConfiguration(why, turn) }
            }
            // Those of upstreams that clients use, so that none of them waits for files. The rest is made when it is wanted.
            var contexts: [ClientContextKey: ClientContext] = [:]
            for key in inUse where changed.upstreams.values.contains(key.upstream) {
                contexts[key] = try? Self.clientContext(key)
            }
            let made = contexts
            loop.execute { self.use(changed, made, turn) }
        }
    }

    private func use(_ changed: Configuration, _ contexts: [ClientContextKey: ClientContext], _ turn: UInt64) {
        // A later one may have been faster.
        if turn > lastReload {
            lastReload = turn
            configuration = changed
            clientContexts = contexts
            log.logLevel = changed.logLevel.swiftLog
            AccessLog.process.use(changed)
            scheduleIdleSweep()
            scheduleCensus()
            scheduleAgeSweep()
            relays.use(changed)
            if !changed.upstreams.isEmpty { reportSoon() }
        }
        link?.send(.reconfigured(turn))
    }

    private func keepConfiguration(_ why: String, _ turn: UInt64) {
        log.error("the configuration is kept as it was", metadata: ["reason": "\(why)"])
        link?.send(.reconfigured(turn, failed: why))
    }

    // MARK: Stopping

    /// Somebody asks this very process to stop. Its front finds others for its connections. Without one they end in order;
    /// asked twice, at once.
    func mustStop() {
        if let link { return link.send(.leaving) }
        guard !isStopping else { return stop() }
        isStopping = true
        finish()
        guard let limit = configuration.shutdownTime?.timeAmount else { return }
        loop.scheduleTask(in: limit) { self.closeAll() }
    }

    /// As `mustStop`, and there is no front, whether or not this process has noticed its end.
    func mustStopAlone() {
        link = nil
        mustStop()
    }

    /// Ends with the last connection.
    private func finish() {
        phase = .finishing
        for session in Array(sessions.values) where session.isIdle { _ = session.closeOnce() }
        relays.end(true)
        endIfDone()
    }

    /// Closes every connection in order, and ends, `WorkerTimes.closing` later at the latest.
    private func closeAll() {
        phase = .finishing
        for session in Array(sessions.values) { _ = session.closeOnce() }
        relays.closeAll()
        endIfDone()
        loop.scheduleTask(in: WorkerTimes.closing.timeAmount) { self.stop() }
    }

    // MARK: Counting

    /// Connections that are here, or on their way to where they are not counted yet.
    var connectionCount: Int { sessions.count + relays.count + offers.count + programs.count }

    func remember(_ session: Session) {
        sessions[session.id] = session
        tellWaiting(session)
        arrived(from: session.source)
    }

    /// A connection of `source` is here.
    func arrived(from source: IPAddress?) { sourceChanges[source, default: 0] += 1 }

    func forget(_ session: Session, isMoved: Bool) {
        if isMoved { forgetWaiting(session) } else { noteEnd(of: session) }
        if sessions.removeValue(forKey: session.id) != nil {
            left(from: session.source, isElsewhere: isMoved && !session.staysInWorker)
        }
        if !isMoved { endIfDone() }
    }

    /// A connection of `source` is not here any more.
    ///
    /// - Parameter isElsewhere: its next owner counts it soon. Counted by nobody in between, it would let one too many in.
    func left(from source: IPAddress?, isElsewhere: Bool) {
        if isElsewhere {
            loop.scheduleTask(in: WorkerTimes.countedAfterLeaving.timeAmount) { [turn = frontTurn] in
                // Another front has not been told of it.
                if turn == self.frontTurn { self.discount(source) }
            }
        } else {
            discount(source)
        }
        reportSoon()
    }

    private func discount(_ source: IPAddress?) {
        sourceChanges[source, default: 0] -= 1
        reportSoon()
    }

    /// Tells the front, not more often than it can matter.
    func reportSoon() {
        report.connections = connectionCount
        guard !reportIsDue else { return }
        reportIsDue = true
        loop.scheduleTask(in: WorkerTimes.reportDelay.timeAmount) { [self] in
            reportIsDue = false
            report.connections = connectionCount
            sendReport()
        }
    }

    private func sendReport() {
        var changes: [String: Int] = [:]
        for (source, number) in sourceChanges where number != 0 { changes[source.map { "\($0)" } ?? ""] = number }
        sourceChanges = [:]
        if !changes.isEmpty || !placed.isEmpty || !waiting.isEmpty {
            link?.send(.sources(changes, placed: placed, waiting: waiting.isEmpty ? nil : waiting))
        }
        placed = []
        waiting = WaitingConnections()
        report.droppedLogLines = ServeLog.droppedLines
        report.droppedAccessLines = AccessLog.process.droppedLines
        report.upstreams = upstreams.news(configuration)
        link?.send(.report(report))
    }

    // MARK: Idle connections

    /// Looks at the connections four times in the shortest idle time, at most once in 250 ms: one task for ten thousand.
    private func scheduleIdleSweep() {
        idleSweep?.cancel()
        idleSweep = nil
        guard let shortest = configuration.listeners.values.compactMap(\.idleTime).min() else { return }
        let look = WorkerTimes.idleLook
        let interval = min(max(shortest / 4, look.lowerBound), look.upperBound).timeAmount
        idleSweep = loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [self] _ in closeIdle() }
    }

    private func closeIdle() {
        let now = MonotonicTime.now
        let limits = configuration.listeners.compactMapValues { $0.idleTime?.timeAmount.nanoseconds }
        for session in Array(sessions.values) {
            guard let listener = try? session.clientHandler().metadata.listener, let limit = limits[listener],
                session.idleTime(at: now) >= UInt64(limit), session.closeOnce(.idleTime)
            else { continue }
            report.idleClosed += 1
            reportSoon()
        }
    }

    /// Looks for relays that are too old, twenty times in the shortest lifetime, at least once in a minute.
    private func scheduleAgeSweep() {
        ageSweep?.cancel()
        ageSweep = nil
        guard let shortest = configuration.upstreams.values.compactMap(\.maxLifetime).min() else { return }
        let look = WorkerTimes.idleLook
        let interval = min(max(shortest / 20, look.lowerBound), look.upperBound).timeAmount
        ageSweep = loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [self] _ in
            let count = relays.endOld(at: WallClock.milliseconds)
            guard count > 0 else { return }
            report.lifetimeClosed += count
            reportSoon()
        }
    }

    func endIfDone() {
        guard connectionCount == 0, !relays.areExpected else { return }
        switch phase {
        case .starting, .serving: return
        case .handingOver, .finishing:
            leave()
        }
    }

    /// The last connection has gone; one that is about to be committed to this process may still come.
    private func leave() {
        isAccepting.withLock { $0 = false }
        guard let inbox else { return end() }
        self.inbox = nil
        inbox.stop { [self] in
            // Behind everything that was received.
            loop.execute { self.hasLeft() }
        }
    }

    private func hasLeft() {
        inboxHasStopped = true
        if case .handingOver = phase { handOver() } else { endIfDone() }
    }

    private func end() {
        guard inboxHasStopped else { return }
        report.connections = 0
        guard let link else { return ended.succeed() }
        sendReport()
        link.channel.writeAndFlush(ByteBuffer()).whenComplete { [self] _ in ended.succeed() }
    }

    /// A connection is closed before it has a target.
    func refused(_ reason: RefusalReason) {
        report.refusals.count(reason.rawValue)
        reportSoon()
    }

    /// An error of one connection: its peer's fault most of the time. What TLS ended is told and counted.
    ///
    /// - Parameter names: what names the connection in a log.
    func note(_ error: any Error, _ names: @autoclosure () -> Logger.Metadata) {
        if let error = error as? ConnectionError, error.code == .detached { return }
        guard let fault = ConnectionFault(error) else {
            return log.debug("connection ended", metadata: names().merging(["reason": "\(error)"]) { $1 })
        }
        report.faults.count(fault.reason)
        reportSoon()
        faultLog.say(fault, at: .notice, in: log, names())
    }

    func note(_ error: any Error, of session: Session) {
        if let fault = ConnectionFault(error) {
            session.blame(.clientTLSError, fault.text)
        } else if (error as? ConnectionError)?.code != .detached {
            session.blame(.clientReset)
        }
        note(error, session.logMetadata)
    }

    private func note(_ outcome: SessionOutcome, _ entry: Relays.Entry) {
        switch outcome {
        case .protocolError(let side, let error?): return note(error, entry.names(side))
        case .idle: report.idleClosed += 1
        case .inOrder, .reset, .protocolError, .closed: break
        }
        log.debug("connection ended", metadata: entry.names(.client).merging(["reason": "\(outcome.reason)"]) { $1 })
    }

    private func heard(_ event: Relays.Event) {
        switch event {
        case .arrived(let source): arrived(from: source)
        case .left(let source, let isElsewhere):
            left(from: source, isElsewhere: isElsewhere)
            if !isElsewhere { endIfDone() }
        case .over(let outcome, let entry, let end, let record):
            report.ends.count(end.rawValue)
            if let upstream = entry.upstream { noteUpstreamFault(outcome, upstream) }
            note(outcome, entry)
            if let record { AccessLog.process.write(record) }
        case .lost(let record):
            report.ends.count(record.end.rawValue)
            AccessLog.process.write(record)
        case .passed(let traffic):
            report.traffic.add(traffic)
            reportSoon()
        case .due(let numbers): moveOn(numbers)
        case .refused(let reason, let names, let record):
            refused(.noRoom)
            report.ends.count(record.end.rawValue)
            AccessLog.process.write(record)
            say("a connection cannot be served", at: .warning, names.merging(["reason": "\(reason)"]) { $1 })
        case .inherited(let count, let lost, let hasDied): noteInherited(count, lost, hasDied: hasDied)
        case .came(let pauses):
            report.movesIn += pauses.count
            for pause in pauses { note(pause: pause) }
            reportSoon()
        case .went(let count):
            report.movesOut += count
            reportSoon()
        case .failed(let reason):
            say("connections cannot be served", at: .error, ["reason": "\(reason)"])
        }
    }

    /// Logs what each connection can bring about: a few lines of a kind, and then how many there were besides.
    private func say(_ words: String, at level: Logger.Level, _ metadata: Logger.Metadata) {
        guard let heldBack = throttle.admit(words, now: MonotonicTime.now) else { return }
        var metadata = metadata
        if heldBack > 0 { metadata["unlogged"] = "\(heldBack)" }
        log.log(level: level, "\(words)", metadata: metadata)
    }

    /// What another worker has left is served here.
    private func noteInherited(_ count: Int, _ lost: [String: Int], hasDied: Bool) {
        let number = lost.values.reduce(0, +)
        if hasDied { report.inherited += count }
        report.lost.add(lost)
        // At once: whoever has just upgraded the server looks what has become of its connections.
        report.connections = connectionCount
        sendReport()
        let reasons = lost.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        log.log(
            level: number > 0 ? .error : .notice,
            hasDied
                ? "goes on with what a worker has left that has died" : "goes on with what a worker has handed over",
            metadata: ["connections": "\(count)", "lost": "\(number)"].merging(
                number > 0 ? ["reasons": "\(reasons)"] : [:]
            ) { $1 })
    }

    /// A connection has stood still for so long, in nanoseconds, while it came here.
    func note(pause: UInt64) {
        report.pauses.record(nanoseconds: pause)
        recentPauses.append(RecentPause(endedAt: MonotonicTime.now, duration: pause))
    }

    // MARK: Making channels

    func bootstrap(_ initializer: @escaping @Sendable (any Channel) throws -> Void) -> ConnectionBootstrap {
        var bootstrap = ConnectionBootstrap(group: loop, registry: registry) { channel, _ in try initializer(channel) }
        bootstrap.options.allowsHalfClosure = true
        bootstrap.options.writeWindow = configuration.limits.bufferSize
        return bootstrap
    }

    private struct ClientContextKey: Hashable, Sendable {
        let upstream: Upstream
        let applicationProtocol: String?
    }

    /// - Parameter applicationProtocol: what is offered by ALPN: what the client has agreed on.
    func clientContext(_ upstream: Upstream, applicationProtocol: String?) throws -> ClientContext {
        let key = ClientContextKey(upstream: upstream, applicationProtocol: applicationProtocol)
        if let context = clientContexts[key] { return context }
        let context = try Self.clientContext(key)
        clientContexts[key] = context
        return context
    }

    private static func clientContext(_ key: ClientContextKey) throws -> ClientContext {
        try ClientContext(key.upstream.clientConfiguration(offering: key.applicationProtocol.map { [$0] } ?? []))
    }

    /// Whether parcels are taken; read on the inbox's thread.
    let isAccepting = LockedFlag()

    /// When the event loop turned last; read on the inbox's thread, which goes on when the loop does not.
    private let lastTurn = Atomic<UInt64>(0)

    private func turned() {
        lastTurn.store(MonotonicTime.now, ordering: .relaxed)
        loop.scheduleTask(in: WorkerTimes.turn.timeAmount) { self.turned() }
    }

    var isTurning: Bool {
        MonotonicTime.now < lastTurn.load(ordering: .relaxed) + WorkerTimes.longestTurn.nanoseconds
    }
}
