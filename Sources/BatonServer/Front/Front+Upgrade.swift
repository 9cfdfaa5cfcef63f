internal import BatonConfiguration
internal import BatonCore
internal import Glibc
internal import Handoff
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import SessionEngine
internal import Synchronization

extension Front {
    /// How long a worker must have been silent before an upgrade leaves it behind.
    static let patienceWithSilentWorkers: UInt64 = 10_000_000_000

    /// Starts a new server and, when it accepts, hands everything to it (`Succession`).
    ///
    /// - Parameter binary: an absolute path; `nil`: what the operator started, as it is now.
    func upgrade(binary: String?, asked: JSONLink<ControlResponse>?) {
        guard !isStopping else {
            asked?.finish(.failed("the server is stopping"))
            return
        }
        guard drain == nil else {
            asked?.finish(
                .failed("connections are moving to another host; upgrade when baton drain has ended, or stop it"))
            return
        }
        guard case .serving = phase else {
            asked?.finish(.failed("the server is being replaced or stopped already; look at baton status"))
            return
        }
        if let remainder { return refuseUpgrade(remainder.obstacle, asked) }
        guard predecessor == nil else { return postpone(binary, asked) }
        upgradeAttempts += 1
        let directory = ControlSocket.runtimeDirectory(control.path)
        let path = "\(directory)/upgrade.\(getpid()).\(upgradeAttempts)"
        do {
            let file = try binary ?? options.program.resolved()
            let listener = try HandoffListener(at: path)
            let parcel = try inheritance()
            // Its next upgrade starts from the same path or name, not from what that led to this time.
            let process = try keeper.start(
                StartOrder(
                    role: .successor, binary: file, name: binary ?? options.program.name,
                    arguments: ["serve-front", "--takeover", path] + options.arguments))
            let successor = Successor(process)
            phase = .replacing(successor)
            if let asked { upgradeAsked.append(asked) }
            log.notice("a new server starts", metadata: ["pid": "\(process.pid)", "program": "\(file)"])
            follow(successor)
            limit(.starting, of: successor)
            bequeath(parcel, through: listener, to: process.pid)
        } catch {
            refuseUpgrade("\(error)", asked)
        }
    }

    func refuseUpgrade(_ why: String, _ asked: JSONLink<ControlResponse>?) {
        log.error("the upgrade failed; this server goes on", metadata: ["reason": "\(why)"])
        asked?.finish(.failed(why))
    }

    /// The workers of this server may not leave while connections still come to them.
    private func postpone(_ binary: String?, _ asked: JSONLink<ControlResponse>?) {
        if let former = postponedUpgrade {
            former.asked?.finish(.failed("another upgrade was asked for after this one"))
        }
        postponedUpgrade = (binary, asked)
        log.notice("the upgrade waits for the server before this one to hand over what it has")
    }

    // MARK: What is left to the new server

    private func inheritance() throws -> Parcel {
        let link = migration.sharePrivileges()
        return try description(past: totals, hasPrivileges: link != nil)
            .parcel(control: control, sockets: sockets.map(\.descriptor), privileges: link)
    }

    /// What is to be said of the descriptors that go to another front.
    func description(past: WorkerReport, hasPrivileges: Bool) -> Inheritance {
        Inheritance(
            listeners: Inheritance.describe(sockets),
            ticketKeys: policy.ticketKeys.serialised, ticketKeysCreatedAt: policy.ticketKeys.createdAt, past: past,
            lastWorkerNumber: workerPool.lastNumber,
            counts: countsInAll, workersAsked: workerPool.asked, version: BatonVersion.current,
            networkArguments: hasPrivileges ? migration.networkArguments : nil)
    }

    /// Gives the sockets to whoever connects, which must be the new server. It waits on a thread of its own.
    private func bequeath(_ parcel: consuming Parcel, through listener: consuming HandoffListener, to pid: pid_t) {
        let path = listener.path
        let box = Mutex<(HandoffListener?)>(consume listener)
        let parcelBox = Mutex<Parcel?>(consume parcel)
        let shared = Bequest(listener: box, parcel: parcelBox)
        let log = log
        startThread("baton-bequest") {
            defer { unlink(path + ".lock") }
            do throws(HandoffError) {
                guard let listener = shared.listener.withLock({ $0.take() }),
                    let socket = try listener.accept(deadline: .after(.seconds(20))), socket.peer.processID == pid,
                    let parcel = shared.parcel.withLock({ $0.take() })
                else { return }
                var channel = OwnerChannel(socket)
                let outcome = channel.offer(ParcelBatch(parcel), deadline: .after(.seconds(10)))
                if outcome.settlement.handedOverCount == 0 {
                    log.error(
                        "the new server did not take the sockets", metadata: ["reason": "\(outcome.settlement.ending)"])
                }
                try? channel.awaitConfirmation(deadline: .after(.seconds(10)))
            } catch {
                log.error("the sockets could not be handed over", metadata: ["reason": "\(error)"])
            }
        }
    }

    // MARK: The new server

    private func follow(_ successor: Successor) {
        let bound = NIOLoopBound(successor, eventLoop: loop)
        JSONLines<SuccessorMessage, PredecessorMessage>.open(successor.process.link, on: loop) { [self] message in
            received(message, from: bound.value)
        } ended: {
        }.whenSuccess { bound.value.link = $0 }
        keeper.watch(successor.process.process) { [self] ending in
            loop.execute { self.advance(bound.value, .died("\(ending)")) }
        }
    }

    private func received(_ message: SuccessorMessage, from successor: Successor) {
        switch message {
        case .ready(let workers, let program):
            guard !workers.isEmpty else { return }
            successor.workers = workers
            successor.program = program
            prepareHandOver(to: successor)
        case .accepting: advance(successor, .accepting)
        case .failed(let why): advance(successor, .refused(why))
        case .workers(let paths):
            successor.workers = paths
            guard case .retiring = phase else { return }
            workerPool.handOver(to: paths)
        case .stopping(let atOnce): stop(atOnce: atOnce)
        }
    }

    /// Something has happened in an upgrade.
    func advance(_ successor: Successor, _ event: Succession.Event) {
        let before = successor.succession.step
        let actions = successor.succession.handle(event)
        let step = successor.succession.step
        for action in actions { perform(action, for: successor) }
        if step != before { limit(step, of: successor) }
    }

    private func limit(_ step: Succession.Step, of successor: Successor) {
        guard let seconds = Succession.limit(of: step) else { return }
        let bound = NIOLoopBound(successor, eventLoop: loop)
        loop.scheduleTask(in: .seconds(seconds)) { self.advance(bound.value, .late(step)) }
    }

    /// What an action brings about comes as an event of its own, after the actions that belong to the same one.
    private func perform(_ action: Succession.Action, for successor: Successor) {
        let bound = NIOLoopBound(successor, eventLoop: loop)
        switch action {
        case .stopAccepting:
            // Commands and the admin address are answered here until the new server answers them.
            listening.pauseConnections()
            loop.execute { self.advance(bound.value, .paused) }
        case .tellToAccept: successor.tell(.accept)
        case .handOver: handOver(to: successor)
        case .kill: keeper.signal(successor.process.process, SIGKILL)
        case .acceptAgain: acceptAgain()
        case .takeBack: takeBack()
        case .reportFailure(let why):
            if case .replacing = phase { phase = .serving }
            log.error("the upgrade failed; this server goes on", metadata: ["reason": "\(why)"])
            tellFailed(why)
        case .reportStop: tellFailed("the server was told to stop")
        case .reportSuccess: report(successor)
        case .leave: leave(successor)
        case .tellToStop:
            stoppedSuccessor = successor
            successor.tell(.stop(atOnce: false))
        }
    }

    private func tellFailed(_ why: String) {
        for asked in upgradeAsked { asked.finish(.failed(why)) }
        upgradeAsked = []
    }

    /// The new server accepts, and this one's workers hand over what they have.
    private func handOver(to successor: Successor) {
        successor.total = connectionCount
        successor.movesFailedBefore = totals.movesFailed
        phase = .retiring(successor)
        pauseListening()
        // The successor has processes of its own for that, and only one at a time can have the hold device. What is under
        // way in them goes to its workers.
        migration.send(.workers(successor.workers))
        migration.end()
        workerPool.takeOutOfService()
        progress(successor)
        let bound = NIOLoopBound(successor, eventLoop: loop)
        let rest: @Sendable () -> Void = { [self] in handOverRest(to: bound.value) }
        guard handsMemoryOver(to: successor) else { return loop.execute(rest) }
        keeper.handOver(workers.map(\.process)) { [loop] in loop.execute(rest) }
    }

    /// Whether the new server's workers can go on with what these have in memory.
    private func handsMemoryOver(to successor: Successor) -> Bool {
        keeperHandsOver && successor.program?.arenaVersion == Arena.version
    }

    /// Before this server stops to accept, the new one's workers prepare for what they are to get, while these go on with it.
    private func prepareHandOver(to successor: Successor) {
        let bound = NIOLoopBound(successor, eventLoop: loop)
        let ready: @Sendable () -> Void = { [self] in
            log.notice(
                "the new server is ready; handing over",
                metadata: ["pid": "\(bound.value.process.pid)", "connections": "\(connectionCount)"])
            advance(bound.value, .ready(announces: bound.value.program != nil))
        }
        guard handsMemoryOver(to: successor) else { return ready() }
        keeper.prepareHandOver(of: workers.map(\.process)) { [loop] in loop.execute(ready) }
    }

    /// Connections that are not in memory that has been handed over go one by one.
    private func handOverRest(to successor: Successor) {
        guard case .retiring(let present) = phase, present === successor else { return }
        workerPool.handOver(to: successor.workers)
        endIfDone()
    }

    /// The new server has failed before anything was handed over.
    private func acceptAgain() {
        phase = .serving
        beginListening()
        workerPool.adjust()
        scheduleRotation()
        deposits.deposit()
        announce()
        keeper.notify(.ready)
    }

    /// Serves again with what is left: workers that have not left yet take connections again.
    private func takeBack() {
        workerPool.resume()
        acceptAgain()
        if configuration.migration.isConfigured { migration.resume() }
    }

    func progress(_ successor: Successor) {
        for asked in upgradeAsked {
            asked.send(.upgrading(.init(remaining: connectionCount, total: max(successor.total, connectionCount))))
        }
    }

    // MARK: The end

    /// Whether an upgrade has come as far as it can, from what is left here.
    func checkProgress(of successor: Successor) {
        progress(successor)
        guard admission.present == 0 else { return }
        if workers.isEmpty { return advance(successor, .settled) }
        let now = MonotonicTime.now
        let areSilent = workers.allSatisfy { worker in
            worker.silentSince.map { now >= $0 + Self.patienceWithSilentWorkers } ?? false
        }
        if areSilent { advance(successor, .stuck) }
    }

    private func report(_ successor: Successor) {
        let left = Remainder(pid: getpid(), connections: connectionCount, workers: workers.map(\.pid))
        let report = UpgradeReport(
            from: getpid(), to: successor.process.pid, connections: successor.total - left.connections,
            failed: totals.movesFailed - successor.movesFailedBefore,
            durationMilliseconds: Int((MonotonicTime.now - successor.startedAt) / 1_000_000),
            version: successor.program?.version, program: successor.program?.file,
            left: left.workers.isEmpty ? nil : left.connections,
            silentWorkers: left.workers.isEmpty ? nil : left.workers)
        log.notice("replaced", metadata: ["by": "\(report.to)", "duration_ms": "\(report.durationMilliseconds)"])
        if !left.workers.isEmpty {
            log.error(
                "connections stay with workers that do not answer; they are handed over when these go on",
                metadata: ["connections": "\(left.connections)", "pids": "\(left.workers)"])
            successor.tell(.lingers(left))
        }
        let told = upgradeAsked.map { asked in
            asked.finish(.upgraded(report))
            return asked.channel.closeFuture
        }
        upgradeAsked = []
        reported = EventLoopFuture.andAllComplete(told, on: loop)
    }

    /// Nothing is left here.
    private func leave(_ successor: Successor) {
        phase = .finishing
        keeper.leaves()
        keeper.settle()
        stopListening()
        // The last counts came after the successor had been given its own.
        successor.tell(.ended(totals: totals, counts: countsInAll))
        isReplaced = true
        (reported ?? loop.makeSucceededVoidFuture()).whenComplete { [self] _ in ended.succeed() }
    }
}

/// What a thread takes along; closures cannot consume.
private final class Bequest: Sendable {
    let listener: Mutex<HandoffListener?>
    let parcel: Mutex<Parcel?>

    init(listener: consuming sending Mutex<HandoffListener?>, parcel: consuming sending Mutex<Parcel?>) {
        self.listener = listener
        self.parcel = parcel
    }
}
