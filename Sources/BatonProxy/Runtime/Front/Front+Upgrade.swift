internal import Glibc
internal import Handoff
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization

extension Front {
    /// Starts a new server of `binary` and, when it is ready, hands everything to it. Until then nothing changes here.
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
        guard !hasPredecessor else { return postpone(binary, asked) }
        upgradeAttempts += 1
        let directory = ControlSocket.runtimeDirectory(control.path)
        let path = "\(directory)/upgrade.\(getpid()).\(upgradeAttempts)"
        do {
            let listener = try HandoffListener(at: path)
            let keeperLink = try? keeper?.share()
            let inheritance = Inheritance(
                listeners: Inheritance.describe(sockets),
                ticketKeys: ticketKeys.serialised, ticketKeysCreatedAt: ticketKeys.createdAt, past: totals,
                lastWorkerNumber: lastWorkerNumber,
                counts: countsInAll, workersAsked: workersAsked,
                networkArguments: keeperLink == nil ? nil : networkArguments)
            let parcel = try inheritance.parcel(
                control: control, sockets: sockets.map(\.descriptor), keeper: keeperLink)
            let process = try ChildProcess.start(
                binary ?? BinaryPath.atStart, ["serve", "--takeover", path] + options.arguments)
            let successor = Successor(process)
            phase = .replacing(successor)
            if let asked { upgradeAsked.append(asked) }
            log.notice("a new server starts", metadata: ["pid": "\(process.pid)"])
            follow(successor)
            bequeath(parcel, through: listener, to: process.pid)
        } catch {
            log.error("the upgrade failed; this server goes on", metadata: ["reason": "\(error)"])
            asked?.finish(.failed("\(error)"))
        }
    }

    /// The workers of this server may not leave while connections still come to them.
    private func postpone(_ binary: String?, _ asked: JSONLink<ControlResponse>?) {
        if let former = postponedUpgrade {
            former.asked?.finish(.failed("another upgrade was asked for after this one"))
        }
        postponedUpgrade = (binary, asked)
        log.notice("the upgrade waits for the server before this one to hand over what it has")
    }

    /// Nothing is left to the server before this one.
    func predecessorEnded() {
        hasPredecessor = false
        guard let (binary, asked) = postponedUpgrade else { return }
        postponedUpgrade = nil
        upgrade(binary: binary, asked: asked)
    }

    /// Everything counted here and before.
    var totals: WorkerReport {
        var total = gone
        for worker in workers { total.add(worker.report) }
        return total
    }

    /// Counted by workers that are gone.
    var gone: WorkerReport {
        var total = predecessors
        total.add(past)
        if let counts = migration?.counts {
            total.migrations += counts.arrived + counts.departed
            total.movesFailed += counts.failed
        }
        return total
    }

    /// Counted by this front and those before it.
    var countsInAll: FrontCounts {
        var total = predecessorCounts
        total.add(counts.withLock { $0 })
        return total
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

    private func follow(_ successor: Successor) {
        let bound = NIOLoopBound(successor, eventLoop: loop)
        JSONLines<SuccessorMessage, PredecessorMessage>.open(successor.process.link, on: loop) { [self] message in
            switch message {
            case .ready(let workers): retire(bound.value, workers)
            case .failed(let why): bound.value.why = why
            }
        } ended: {
        }.whenSuccess { bound.value.link = $0 }
        successor.process.watch { [self] ending in
            loop.execute { self.successorEnded(bound.value, ending) }
        }
        loop.scheduleTask(in: Self.startLimit) { [self] in
            guard case .replacing(let current) = phase, current === bound.value else { return }
            current.why = "it was not ready in time"
            current.abandon()
        }
    }

    /// The new server is gone before everything was handed over: what is left goes on here.
    private func successorEnded(_ successor: Successor, _ ending: ProcessEnding) {
        let why: String
        switch phase {
        case .replacing(let current) where current === successor:
            why = successor.why ?? "the new process ended before it was ready (\(ending)); see the log"
            phase = .serving
        case .retiring(let current) where current === successor:
            why = "the new process ended while it took over (\(ending)); connections it had stay with its workers"
            resume()
        case .starting, .serving, .replacing, .retiring, .finishing: return
        }
        log.error("the upgrade failed; this server goes on", metadata: ["reason": "\(why)"])
        for asked in upgradeAsked { asked.finish(.failed(why)) }
        upgradeAsked = []
    }

    /// The new server accepts. This one stops accepting, and its workers hand over what they have.
    private func retire(_ successor: Successor, _ paths: [String]) {
        guard case .replacing(let current) = phase, current === successor, !paths.isEmpty else { return }
        let bound = NIOLoopBound(successor, eventLoop: loop)
        successor.workers = paths
        successor.total = connectionCount
        successor.movesFailedBefore = totals.movesFailed
        phase = .retiring(successor)
        // The successor has processes of its own for that, and only one at a time can have the hold device. What is under
        // way in them goes to its workers.
        migration?.link?.send(.workers(paths))
        endMigration()
        log.notice(
            "the new server is ready; handing over",
            metadata: ["pid": "\(successor.process.pid)", "connections": "\(successor.total)"])
        pauseListening().whenComplete { [self] _ in
            bound.value.isAccepting = true
            bound.value.link?.send(.accept)
            endIfDone()
        }
        for worker in workers {
            worker.state = .draining
            worker.link?.send(.drain(to: paths))
        }
        progress(successor)
    }

    /// Serves again with what is left: the listening sockets are still open here, and workers that have not left yet take
    /// connections again.
    private func resume() {
        phase = .serving
        for worker in workers {
            worker.state = .starting
            worker.link?.send(.resume)
        }
        adjustWorkerCount()
        beginListening()
        scheduleRotation()
        ServiceNotification.ready()
    }

    func progress(_ successor: Successor) {
        for asked in upgradeAsked {
            asked.send(.upgrading(.init(remaining: connectionCount, total: max(successor.total, connectionCount))))
        }
    }

    /// Nothing is left here.
    func retired(_ successor: Successor) {
        phase = .finishing
        stopListening()
        // The last counts came after the successor had been given its own.
        successor.link?.send(.ended(totals: totals, counts: countsInAll))
        let report = UpgradeReport(
            from: getpid(), to: successor.process.pid, connections: successor.total,
            failed: totals.movesFailed - successor.movesFailedBefore,
            durationMilliseconds: Int((MonotonicTime.now - successor.startedAt) / 1_000_000))
        log.notice("replaced", metadata: ["by": "\(report.to)", "duration_ms": "\(report.durationMilliseconds)"])
        let told = upgradeAsked.map { asked in
            asked.finish(.upgraded(report))
            return asked.channel.closeFuture
        }
        upgradeAsked = []
        isReplaced = true
        EventLoopFuture.andAllComplete(told, on: loop).whenComplete { [self] _ in ended.succeed() }
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
