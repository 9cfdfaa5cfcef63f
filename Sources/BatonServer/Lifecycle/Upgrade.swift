internal import BatonConfiguration
internal import BatonCore
internal import Handoff
internal import Libc
internal import Logging
internal import NIOCore
internal import SessionEngine

/// A request for an upgrade.
struct UpgradeRequest {
    /// An absolute path; `nil`: what the operator started, as it is now.
    var binary: String?
    /// Who waits for the answer; `nil`: nobody, for a signal.
    var asked: JSONLink<ControlResponse>?
    /// Another service, which has asked; `nil`: a program is to be started.
    var service: SucceedingService?

    func refuse(_ why: String) { asked?.finish(.failed(why)) }
}

/// Another service that is to succeed this one.
final class SucceedingService: Sendable {
    let request: SuccessionRequest
    /// Its connection to the control socket.
    fileprivate let connection: CInt

    /// - Parameter connection: is duplicated.
    init?(_ request: SuccessionRequest, at connection: CInt) {
        let copy = fcntl(connection, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { return nil }
        self.request = request
        self.connection = copy
    }

    deinit { close(connection) }
}

/// Performs an upgrade (`Succession`) at the server that is to be replaced. Used on the front's loop only.
final class Upgrade: @unchecked Sendable {
    /// What the upgrade is of.
    struct Surroundings {
        let loop: any EventLoop
        let logger: SharedLogger
        let keeper: KeeperLink
        /// Whether the keeper knows how to hand memory over.
        let keeperHandsOver: Bool
        let figures: Figures
        /// Accepts no connections. Commands and the admin address are answered still.
        let pauseConnections: () -> Void
        /// Has the workers hand over what they have, to those at these sockets.
        let handOver: ([String]) -> Void
        /// What has come of it.
        let happened: (ServerLife<UpgradeRequest>.Event) -> Void
        /// The new server was told to stop.
        let stops: (_ atOnce: Bool) -> Void
    }

    /// How long a worker must have been silent before it is left behind, nanoseconds.
    private static let patienceWithSilentWorkers: UInt64 = 10_000_000_000
    /// How long a server that has been replaced waits until whoever asked for it has been told.
    private static let reportLimit = TimeAmount.seconds(5)

    /// Where the new server's workers take parcels; empty until it is ready.
    private var workers: [String] = []
    private let around: Surroundings
    private let process: ChildProcess
    /// `nil`: the new server is of this service.
    private let service: SuccessionRequest?
    private var succession = Succession()
    private var link: JSONLink<PredecessorMessage>?
    /// Of the new server; `nil` until it is ready, and of a version that does not tell it.
    private var program: RunningProgram?
    private var asked: JSONLink<ControlResponse>?
    private var hasToldToStop = false
    /// What the other service is told at the end.
    private var succeeded: SucceededService?
    /// Connections when the new server began to accept.
    private var total = 0
    private var movesFailedBefore = 0
    private let startedAt = MonotonicTime.now
    /// Fulfilled when whoever asked has been told of the end.
    private var reported: EventLoopFuture<Void>

    /// Starts the new server.
    ///
    /// - Parameters:
    ///   - options: of this server, which the new one has, too.
    ///   - path: where it is to take over the sockets.
    ///   - inheritance: what is left to it.
    init(
        _ request: UpgradeRequest, _ options: ServeOptions, at path: String, _ inheritance: () throws -> Parcel,
        _ around: Surroundings
    ) throws {
        self.around = around
        service = request.service?.request
        reported = around.loop.makeSucceededVoidFuture()
        if let newcomer = request.service {
            let listener = try HandoffListener(at: path)
            let parcel = try inheritance()
            let takeover = String(path.split(separator: "/").last ?? "")
            process = try around.keeper.start(
                StartOrder(role: .elsewhere(takeover: takeover), arguments: []), extra: newcomer.connection)
            log.notice(
                "another service is to succeed this one",
                metadata: ["host": "\(newcomer.request.host)", "version": "\(newcomer.request.version)"])
            // It hears the rest from the front that it starts.
            request.asked?.channel.close(promise: nil)
            begin(parcel, listener, to: nil)
        } else {
            let binary = try request.binary ?? options.program.resolved()
            let listener = try HandoffListener(at: path)
            let parcel = try inheritance()
            // Its next upgrade starts from the same path or name, not from what that led to this time.
            process = try around.keeper.start(
                StartOrder(
                    role: .successor, binary: binary, name: request.binary ?? options.program.name,
                    arguments: ["serve-front", "--takeover", path] + options.arguments))
            asked = request.asked
            log.notice("a new server starts", metadata: ["pid": "\(process.pid)", "program": "\(binary)"])
            begin(parcel, listener, to: process.pid)
        }
    }

    private func begin(_ parcel: consuming Parcel, _ listener: consuming HandoffListener, to pid: pid_t?) {
        follow()
        limit(.starting)
        Bequest.give(parcel, through: listener, to: pid, log)
    }

    private var log: Logger { around.logger.current }

    private var figures: Figures { around.figures }
    private var keeper: KeeperLink { around.keeper }

    private var isHandingOver: Bool { succession.step == .handingOver || succession.step == .lingering }

    /// Where the new server takes connections; empty until it is to have those that come here.
    var successors: [String] { isHandingOver ? workers : [] }

    // MARK: What this server says

    /// This server was told to stop.
    func stop(atOnce: Bool) {
        if !atOnce { return advance(.stop) }
        if hasToldToStop { tell(.stop(atOnce: true)) }
    }

    /// The new server is to read its files again. A signal, because every version understands it.
    func passOnReload() { keeper.signal(process.process, SIGHUP) }

    /// Tells whoever asked how much is left.
    func tellProgress() {
        guard isHandingOver else { return }
        asked?.send(.upgrading(.init(remaining: figures.connectionCount, total: max(total, figures.connectionCount))))
    }

    /// Looks whether the upgrade has come as far as it can, by what is left here.
    func look() {
        guard isHandingOver else { return }
        tellProgress()
        guard figures.newcomers == 0 else { return }
        let workers = figures.workers
        if workers.isEmpty { return advance(.settled) }
        let now = MonotonicTime.now
        let areSilent = workers.allSatisfy { worker in
            worker.silentSince.map { now >= $0 + Self.patienceWithSilentWorkers } ?? false
        }
        if areSilent { advance(.stuck) }
    }

    // MARK: What the new server says

    private func follow() {
        JSONLines<SuccessorMessage, PredecessorMessage>.open(process.link, on: around.loop) { [self] message in
            received(message)
        } ended: {
        }.whenSuccess { [self] in link = $0 }
        keeper.watch(process.process) { [self] ending in
            around.loop.execute { self.advance(.died(self.service == nil ? "\(ending)" : "it is gone")) }
        }
    }

    private func received(_ message: SuccessorMessage) {
        switch message {
        case .ready(let workers, let program):
            guard !workers.isEmpty else { return }
            self.workers = workers
            self.program = program
            prepareHandOver()
        case .accepting: advance(.accepting)
        case .failed(let why): advance(.refused(why))
        case .workers(let paths):
            workers = paths
            if isHandingOver { around.handOver(paths) }
        case .stopping(let atOnce): around.stops(atOnce)
        }
    }

    private func tell(_ message: PredecessorMessage) {
        switch message {
        case .accept, .ended: link?.send(message)
        // An older version would end the link.
        case .lingers, .stop: if program != nil { link?.send(message) }
        }
    }

    // MARK: What is done

    private func advance(_ event: Succession.Event) {
        let before = succession.step
        let actions = succession.handle(event)
        let step = succession.step
        for action in actions { perform(action) }
        if step != before { limit(step) }
    }

    private func limit(_ step: Succession.Step) {
        guard let seconds = Succession.limit(of: step) else { return }
        around.loop.scheduleTask(in: .seconds(seconds)) { self.advance(.late(step)) }
    }

    /// What an action brings about comes as an event of its own, after the actions that belong to the same one.
    private func perform(_ action: Succession.Action) {
        switch action {
        case .stopAccepting:
            // Commands and the admin address are answered here until the new server answers them.
            around.pauseConnections()
            around.loop.execute { self.advance(.paused) }
        case .tellToAccept: tell(.accept)
        case .handOver: handOver()
        case .kill: keeper.signal(process.process, SIGKILL)
        case .acceptAgain, .takeBack: around.happened(.acceptAgain)
        case .reportFailure(let why):
            around.happened(.upgradeFailed)
            log.error("the upgrade failed; this server goes on", metadata: ["reason": "\(why)"])
            answer(.failed(why))
        case .reportStop: answer(.failed("the server was told to stop"))
        case .reportSuccess: report()
        case .leave:
            around.happened(.replaced)
            // The last counts came after the new server had been given its own.
            tell(.ended(totals: figures.totals, counts: figures.counts, succeeded: succeeded))
            reported.whenComplete { [self] _ in around.happened(.reported) }
            // Nobody is waited for who does not read.
            around.loop.scheduleTask(in: Self.reportLimit) { self.around.happened(.reported) }
        case .tellToStop:
            // Another service is not ended with this one: either it has everything, or it does not begin.
            guard service == nil else { return keeper.signal(process.process, SIGKILL) }
            hasToldToStop = true
            tell(.stop(atOnce: false))
        }
    }

    private func answer(_ response: ControlResponse) {
        guard let asked else { return }
        self.asked = nil
        asked.finish(response)
        reported = asked.channel.closeFuture.hop(to: around.loop)
    }

    // MARK: Handing over

    /// Whether the new server's workers can go on with what these have in memory.
    private var handsMemoryOver: Bool { around.keeperHandsOver && program?.arenaVersion == Arena.version }

    /// Before this server stops to accept, the new one's workers prepare for what they are to get, while these go on with it.
    private func prepareHandOver() {
        let ready: @Sendable () -> Void = { [self] in
            var facts: Logger.Metadata = ["connections": "\(figures.connectionCount)"]
            if service == nil { facts["pid"] = "\(process.pid)" }
            log.notice("the new server is ready; handing over", metadata: facts)
            advance(.ready(announces: program != nil))
        }
        guard handsMemoryOver else { return ready() }
        keeper.prepareHandOver(of: figures.workers.map(\.process)) { [loop = around.loop] in loop.execute(ready) }
    }

    /// The new server accepts, and this one's workers hand over what they have.
    private func handOver() {
        total = figures.connectionCount
        movesFailedBefore = figures.totals.movesFailed
        around.happened(.successorAccepts)
        tellProgress()
        // Connections that are not in memory that has been handed over go one by one.
        let rest: @Sendable () -> Void = { [self] in
            guard isHandingOver else { return }
            around.handOver(workers)
            look()
        }
        guard handsMemoryOver else { return around.loop.execute(rest) }
        keeper.handOver(figures.workers.map(\.process)) { [loop = around.loop] in loop.execute(rest) }
    }

    private func report() {
        let left = Remainder(
            pid: getpid(), connections: figures.connectionCount, workers: figures.workers.map(\.pid))
        let report = UpgradeReport(
            from: getpid(), to: process.pid, connections: total - left.connections,
            failed: figures.totals.movesFailed - movesFailedBefore,
            durationMilliseconds: Int((MonotonicTime.now - startedAt) / 1_000_000),
            version: program?.version, program: program?.file,
            left: left.workers.isEmpty ? nil : left.connections,
            silentWorkers: left.workers.isEmpty ? nil : left.workers)
        if let service {
            succeeded = SucceededService(
                host: HostName.current, version: BatonVersion.current, connections: report.connections)
            log.notice(
                "succeeded by another service; this one ends",
                metadata: [
                    "by": "\(service.host)", "version": "\(service.version)",
                    "connections": "\(report.connections)", "duration_ms": "\(report.durationMilliseconds)",
                ])
        } else {
            log.notice(
                "replaced", metadata: ["by": "\(report.to)", "duration_ms": "\(report.durationMilliseconds)"])
        }
        if !left.workers.isEmpty {
            log.error(
                "connections stay with workers that do not answer; they are handed over when these go on",
                metadata: ["connections": "\(left.connections)", "pids": "\(left.workers)"])
            tell(.lingers(left))
        }
        answer(.upgraded(report))
    }
}
