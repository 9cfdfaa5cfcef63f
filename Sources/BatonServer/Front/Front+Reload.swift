internal import BatonConfiguration
internal import BatonCore
internal import Glibc
internal import Logging
internal import NIOCore
internal import Synchronization
internal import TLSHandshake

/// A reload whose content the workers are taking.
final class ReloadUnderWay {
    let turn: UInt64
    var waitingFor: Set<Int>
    /// Workers that have kept the configuration they had, each with the reason.
    var failures: [String] = []
    var report: ReloadReport
    let startedAt: UInt64

    init(turn: UInt64, waitingFor: Set<Int>, report: ReloadReport, startedAt: UInt64) {
        self.turn = turn
        self.waitingFor = waitingFor
        self.report = report
        self.startedAt = startedAt
    }
}

extension Front {
    /// How long the workers may take to read the configuration.
    private static let workersLimit = TimeAmount.seconds(30)

    /// SIGHUP or `baton reload`.
    func reload(asked: JSONLink<ControlResponse>?) {
        if asked == nil, !reloads.canBeginNow, reloads.moment != .stopping {
            log.notice("the configuration is read again as soon as that can be", metadata: ["phase": "\(phase.name)"])
        }
        perform(reloads.ask(asked))
    }

    /// The server does something else now.
    func phaseHasChanged() {
        let moment: ReloadSchedule<JSONLink<ControlResponse>>.Moment =
            switch phase {
            case .starting: .starting
            case .serving: .serving
            case .replacing: .replacing
            case .retiring: .replaced
            case .finishing: .stopping
            }
        if moment != reloads.moment { perform(reloads.enter(moment)) }
    }

    private func perform(_ actions: [ReloadSchedule<JSONLink<ControlResponse>>.Action]) {
        for action in actions {
            switch action {
            case .read: readConfiguration()
            case .passOn(let askers):
                // A signal, because every version understands it.
                if case .retiring(let successor) = phase { keeper.signal(successor.process.process, SIGHUP) }
                for asked in askers { asked.finish(.again) }
            case .refuse(let askers):
                if askers.isEmpty { log.warning("the configuration is not read again: the server is stopping") }
                for asked in askers { asked.finish(.failed("the server is stopping")) }
            }
        }
    }

    private func readConfiguration() {
        keeper.notify(.reloading)
        let startedAt = MonotonicTime.now
        let (options, keys, sockets) = (options, policy.ticketKeys, sockets)
        startThread("baton-reload") { [self] in
            let result = Result { try ConfigurationReading(options, keys: keys, sockets: sockets) }
            loop.execute { self.hasRead(result, startedAt) }
        }
    }

    private func hasRead(_ result: Result<ConfigurationReading, any Error>, _ startedAt: UInt64) {
        let (isOfUse, actions) = reloads.hasRead()
        guard isOfUse else {
            keeper.notify(.ready)
            return perform(actions)
        }
        do {
            let reading = try result.get()
            let listening = try PreparedListening(reading.plan, backlog: reading.configuration.backlog)
            do {
                try watch(listening.opened)
            } catch {
                for socket in listening.opened { unwatch(socket) }
                listening.abandon()
                throw error
            }
            let notReloaded = reading.configuration.keysNotReloaded(since: configuration)
            if !notReloaded.isEmpty {
                let keys = notReloaded.joined(separator: ", ")
                log.warning("a reload does not change this", metadata: ["keys": "\(keys)"])
            }
            let report = ReloadReport(
                pid: getpid(), file: options.configurationPath, listeners: reading.configuration.listeners.count,
                certificates: reading.configuration.certificates.count,
                opened: listening.opened.map { "\($0.place)" }, closed: listening.surplus.map { "\($0.place)" },
                notReloaded: notReloaded, durationMilliseconds: 0)
            lastReload += 1
            reloadUnderWay = ReloadUnderWay(
                turn: lastReload, waitingFor: Set(workers.filter { $0.link != nil }.map(\.number)), report: report,
                startedAt: startedAt)
            apply(reading.configuration, reading.file, reading.policy, listening, turn: lastReload)
            let turn = lastReload
            loop.scheduleTask(in: Self.workersLimit) { [self] in
                guard let reload = reloadUnderWay, reload.turn == turn else { return }
                let names = reload.waitingFor.sorted().map { "\($0)" }.joined(separator: ", ")
                endReload(
                    .failed("the configuration is in use, but not by the workers \(names), which do not answer"))
            }
            reloadedWorker(nil, turn: turn)
        } catch {
            let reason = "\(error)".split(separator: "\n").joined(separator: "; ")
            log.error("the configuration is kept as it was", metadata: ["reason": "\(reason)"])
            endReload(.failed("the configuration is kept as it was: \(reason)"))
        }
    }

    /// A worker has taken the configuration, has failed to, or is gone.
    func reloadedWorker(_ worker: WorkerHandle?, turn: UInt64? = nil, failure: String? = nil) {
        guard let reload = reloadUnderWay, turn == nil || turn == reload.turn else { return }
        if let worker, reload.waitingFor.remove(worker.number) != nil, let failure {
            reload.failures.append("worker \(worker.number): \(failure)")
        }
        guard reload.waitingFor.isEmpty else { return }
        guard reload.failures.isEmpty else {
            let reasons = reload.failures.joined(separator: "; ")
            log.error("workers keep the configuration they had", metadata: ["reason": "\(reasons)"])
            return endReload(.failed("the configuration is in use, but not by every worker: \(reasons)"))
        }
        reload.report.durationMilliseconds = Int((MonotonicTime.now - reload.startedAt) / 1_000_000)
        log.notice(
            "the configuration has been read again",
            metadata: [
                "certificates": "\(reload.report.certificates)", "duration_ms": "\(reload.report.durationMilliseconds)",
            ])
        policy.tellOfCertificates()
        endReload(.reloaded(reload.report))
    }

    private func endReload(_ answer: ControlResponse) {
        reloadUnderWay = nil
        keeper.notify(.ready)
        let (askers, actions) = reloads.hasEnded()
        for asked in askers { asked.finish(answer) }
        perform(actions)
    }

    private func apply(
        _ changed: Configuration, _ text: String?, _ next: FrontPolicy, _ listening: PreparedListening, turn: UInt64
    ) {
        let rotates = changed.sessionTickets != configuration.sessionTickets
        let before = configuration
        configuration = changed
        if changed.workers != before.workers { workersAsked = nil }
        file = text
        logger.setLevel(changed.logLevel.swiftLog)
        // Who comes now waits until the listeners have the names of this policy.
        acceptor.close()
        let former = policy.replace(with: next)
        admission.withLock {
            $0.total = changed.limits.connections
            $0.perSource = changed.limits.connectionsPerSource
        }
        replaceSockets(listening)
        for worker in workers { worker.link?.send(.reconfigure(file: text, flags: options.flags, turn: turn)) }
        adjustWorkerCount()
        if rotates { scheduleRotation() }
        deposit()
        // Thousands of certificates take a while to free.
        startThread("baton-release") { withExtendedLifetime(former) {} }
    }
}
