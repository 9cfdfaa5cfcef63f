internal import BatonConfiguration
internal import BatonCore
internal import Libc
internal import Logging
internal import NIOCore

/// The workers of a front: as many as are wanted, each in touch with the others, and another in the place of one that has
/// died or does not answer. Used on `loop` only.
final class WorkerPool: @unchecked Sendable {
    typealias Asker = JSONLink<ControlResponse>

    /// How long a worker or a successor may take to start.
    static let startLimit = TimeAmount.seconds(30)
    /// Within which a signal to all processes of a server reaches the last of them.
    private static let stopReach = TimeAmount.milliseconds(200)

    private(set) var workers: [WorkerHandle] = []
    /// No worker of the line of servers has a higher one.
    private(set) var lastNumber = 0
    private var count = WorkerCount()
    /// Who waits for the number that was asked for.
    private var waiting: [Asker] = []
    private var heartbeat: RepeatedTask?
    let loop: any EventLoop
    let keeper: KeeperLink
    let actions: Actions
    private let logger: SharedLogger
    /// Where the processes of the server meet.
    private let directory: String

    init(
        in directory: String, on loop: any EventLoop, _ logger: SharedLogger, _ keeper: KeeperLink, _ actions: Actions
    ) {
        self.directory = directory
        self.loop = loop
        self.logger = logger
        self.keeper = keeper
        self.actions = actions
    }

    private var log: Logger { logger.current }

    /// The number that a command has set.
    var asked: Int? { count.asked }

    /// Whether all have started, and know each other.
    var areAcquainted: Bool { workers.allSatisfy { $0.state != .starting && $0.siblings >= workers.count - 1 } }

    private var isStarting: Bool { workers.contains { $0.state == .starting } }

    // MARK: Beginning

    /// What the front before this one has left.
    func inherit(lastNumber: Int, asked: Int?) {
        self.lastNumber = lastNumber
        count.ask(for: asked)
    }

    /// Starts what is missing, and begins to ask whether they are there.
    func begin() {
        adjust()
        let interval = TimeAmount.nanoseconds(Int64(Heartbeat.interval))
        heartbeat = loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [self] _ in
            for worker in workers { beat(worker) }
            actions.hasBeaten()
        }
    }

    /// Asks no more whether they are there.
    func endHeartbeat() { heartbeat?.cancel() }

    /// A worker that has lost its front goes on here if it is of this program, else its connections go to others.
    func adopt(_ kept: KeptWorker, _ descriptor: CInt) {
        let worker = WorkerHandle(number: kept.number, process: kept.process, pid: kept.pid, socket: kept.socket)
        worker.isAdopted = true
        worker.state = kept.isOwn ? .ready : .retiring
        lastNumber = max(lastNumber, kept.number)
        log.notice(
            "a worker goes on without the front that it had",
            metadata: ["worker": "\(kept.number)", "pid": "\(kept.pid)", "leaves": "\(!kept.isOwn)"])
        let turn = actions.nextTurn()
        follow(worker, descriptor) { [self] link in
            switch actions.moment() {
            case .stopping: link.send(.finish)
            case .replaced:
                worker.state = .retiring
                link.send(.handOver(to: actions.successors()))
            case .starting, .serving, .replacing:
                if kept.isOwn {
                    let (file, flags) = actions.settings()
                    link.send(.reconfigure(file: file, flags: flags, turn: turn))
                    link.send(.resume)
                }
                tellSiblings()
            }
        }
    }

    private func start() {
        lastNumber += 1
        let number = lastNumber
        do {
            let child = try keeper.start(
                StartOrder(
                    role: .worker(number: number, directory: directory),
                    arguments: ["serve-worker"] + actions.confinement(directory)))
            let worker = WorkerHandle(
                number: number, process: child.process, pid: child.pid,
                socket: KeptWorker.socket(in: directory, number, child.pid))
            follow(worker, child.link) { [self] link in
                let (file, flags) = actions.settings()
                link.send(
                    .configure(WorkerSetup(number: number, file: file, flags: flags, socket: worker.socket)))
            }
        } catch {
            log.error("a worker cannot be started", metadata: ["reason": "\(error)"])
            if !actions.failed("\(error)") { startAnother(wasReady: false) }
        }
    }

    /// Speaks with a worker, and hears of its end.
    ///
    /// - Parameter linked: called once, on the loop, when it can be spoken to.
    private func follow(
        _ worker: WorkerHandle, _ descriptor: CInt, linked: @escaping (JSONLink<FrontMessage>) -> Void
    ) {
        workers.append(worker)
        let bound = NIOLoopBound((worker, linked), eventLoop: loop)
        JSONLines<WorkerMessage, FrontMessage>.open(descriptor, on: loop) { [self] message in
            received(message, from: bound.value.0)
        } ended: { [self] in
            bound.value.0.isLinkEnded = true
            ended(bound.value.0)
        }.whenComplete { [self] result in
            let (worker, linked) = bound.value
            switch result {
            case .success(let link):
                worker.link = link
                linked(link)
            case .failure:
                worker.isLinkEnded = true
                keeper.signal(worker.process, SIGKILL)
            }
        }
        keeper.watch(worker.process) { [self] ending in
            loop.execute {
                bound.value.0.ending = ending
                self.ended(bound.value.0)
            }
        }
    }

    // MARK: What workers say

    private func received(_ message: WorkerMessage, from worker: WorkerHandle) {
        switch message {
        case .ready:
            worker.isAdopted = false
            guard worker.state == .starting else { return }
            worker.state = .ready
            count.hasStarted()
            // It was starting when the others were told.
            if case .stopping = actions.moment() { worker.link?.send(.finish) }
            tellSiblings()
            if !isStarting { answerWaiting() }
        case .acquainted(let number):
            worker.siblings = number
            actions.areAcquainted()
        case .failed(let why):
            log.error("a worker cannot start", metadata: ["worker": "\(worker.number)", "reason": "\(why)"])
            worker.link?.channel.close(promise: nil)
            _ = actions.failed(why)
        case .beat: answered(worker)
        case .leaving:
            let bound = NIOLoopBound(worker, eventLoop: loop)
            loop.scheduleTask(in: Self.stopReach) { [self] in letGo(bound.value) }
        case .report(let report):
            worker.report = report
            actions.received(message, worker)
        case .reconfigured, .sources, .listing, .migrated: actions.received(message, worker)
        }
    }

    /// A worker was asked to stop. Who stops all processes of a server at once means the server: then the front has been
    /// asked as well by now.
    private func letGo(_ worker: WorkerHandle) {
        guard worker.state == .ready, case .serving = actions.moment(), !actions.isStopping() else { return }
        log.notice("a worker was asked to stop", metadata: ["worker": "\(worker.number)", "pid": "\(worker.pid)"])
        retire([worker])
        start()
    }

    private func ended(_ worker: WorkerHandle) {
        guard let ending = worker.ending, worker.isLinkEnded, worker.state != .gone else { return }
        let before = worker.state
        worker.state = .gone
        worker.link?.channel.close(promise: nil)
        workers.removeAll { $0 === worker }
        actions.ended(worker)
        unlink(worker.socket)
        unlink(worker.socket + ".lock")
        tellSiblings()
        switch (actions.moment(), before) {
        case (.stopping, _), (.replaced, _): actions.hasLess()
        case (_, .retiring):
            log.info("a worker has ended", metadata: ["worker": "\(worker.number)", "pid": "\(worker.pid)"])
        case (.serving, .starting) where ending == .exited(0):
            // It was leaving already when it was to go on after a failed upgrade.
            start()
        case (.serving, .ready) where ending == .exited(0) && worker.isAdopted:
            // It was leaving already when its front died.
            adjust()
        case (.starting, _):
            _ = actions.failed("a worker ended while it started (\(ending)); see the log")
        default:
            log.error(
                "a worker has died; another takes its place and goes on with what it relayed",
                metadata: [
                    "worker": "\(worker.number)", "pid": "\(worker.pid)", "ending": "\(ending)",
                    "connections": "\(worker.report.connections)",
                ])
            // One that was silent for long has been replaced.
            if !worker.isReplaced { startAnother(wasReady: before == .ready) }
        }
    }

    private func startAnother(wasReady: Bool) {
        guard let delay = count.hasFailed(wasReady: wasReady) else { return start() }
        loop.scheduleTask(in: delay.timeAmount) { [self] in
            switch actions.moment() {
            case .serving, .replacing: adjust()
            case .starting, .replaced, .stopping: return
            }
        }
    }

    // MARK: How many

    /// `baton workers N`.
    func ask(for number: Int, _ asker: Asker) {
        guard case .serving = actions.moment(), !actions.isStopping() else {
            return asker.finish(.failed("the server is being replaced or stopped; look at baton status"))
        }
        guard (1...1_024).contains(number) else { return asker.finish(.failed("a server has 1 to 1024 workers")) }
        log.notice("the number of workers is set", metadata: ["workers": "\(number)"])
        count.ask(for: number)
        waiting.append(asker)
        adjust()
        if !isStarting { return answerWaiting() }
        loop.scheduleTask(in: Self.startLimit) { [self] in
            refuseWaiting("the workers did not start in time; see the log")
        }
    }

    /// The number of the configuration holds again.
    func forgetAsked() { count.ask(for: nil) }

    /// Tells those who asked for workers that there will be none.
    func refuseWaiting(_ why: String) {
        for asker in waiting { asker.finish(.failed(why)) }
        waiting = []
    }

    /// No worker is starting any more.
    private func answerWaiting() {
        let report = actions.status()
        for asker in waiting { asker.finish(.status(report)) }
        waiting = []
    }

    /// Has as many as are wanted.
    func adjust() {
        let active = workers.filter {
            ($0.state == .ready && !$0.isReplaced) || ($0.state == .starting && $0.silentSince == nil)
        }
        switch count.change(active: active.count, configured: actions.configured()) {
        case .start(let number): for _ in 0..<number { start() }
        case .retire(let number): retire(active.suffix(number))
        case nil: tellSiblings()
        }
    }

    // MARK: Silence

    private func beat(_ worker: WorkerHandle) {
        let answers = worker.state == .ready || worker.state == .retiring || worker.hasResumed
        guard answers, worker.state != .gone, let link = worker.link else { return }
        let limit = actions.silenceLimit().map { UInt64(clamping: $0.timeAmount.nanoseconds) }
        for step in worker.heartbeat.beat(at: MonotonicTime.now, limit: limit) {
            switch step {
            case .ask: link.send(.beat)
            case .leaveOut:
                log.error("a worker does not answer; it gets no new connections", metadata: names(worker))
                actions.isSilent(worker)
                tellSiblings()
            case .replace: startBeside(worker)
            case .kill:
                // Its parent waits for its end, and another takes its place as of any that has died.
                log.error("a worker has not answered for too long; it is killed", metadata: names(worker))
                keeper.signal(worker.process, SIGKILL)
            }
        }
    }

    private func names(_ worker: WorkerHandle) -> Logger.Metadata {
        ["worker": "\(worker.number)", "pid": "\(worker.pid)", "connections": "\(worker.report.connections)"]
    }

    /// Another is started beside one that is silent. There are never more of those than workers.
    private func startBeside(_ worker: WorkerHandle) {
        guard case .serving = actions.moment(), worker.state == .ready, !worker.isReplaced,
            workers.count(where: \.isReplaced) < count.wanted(configured: actions.configured())
        else { return }
        worker.isReplaced = true
        adjust()
    }

    private func answered(_ worker: WorkerHandle) {
        guard worker.heartbeat.answered() else { return }
        log.notice(
            "a worker answers again", metadata: ["worker": "\(worker.number)", "pid": "\(worker.pid)"])
        tellSiblings()
        guard worker.isReplaced else { return }
        worker.isReplaced = false
        if case .serving = actions.moment() { adjust() }
    }

    // MARK: Who takes connections

    /// Takes workers out of service: their connections go to the others.
    private func retire(_ leaving: some Sequence<WorkerHandle>) {
        for worker in leaving { worker.state = .retiring }
        tellSiblings()
    }

    /// Tells everybody who there is to give connections to.
    func tellSiblings() {
        let ready = workers.filter(\.takesConnections)
        for worker in ready { worker.link?.send(.siblings(ready.filter { $0 !== worker }.map(\.socket))) }
        actions.changed(ready.map(\.socket))
        switch actions.moment() {
        case .starting, .serving, .replacing:
            // Those that leave must not wait for one that has left.
            for worker in workers where worker.state == .retiring && worker.ending == nil {
                if ready.isEmpty, workers.contains(where: { $0.state == .ready }) { continue }
                worker.link?.send(ready.isEmpty ? .finish : .handOver(to: ready.map(\.socket)))
            }
        case .replaced, .stopping: break
        }
    }
}
