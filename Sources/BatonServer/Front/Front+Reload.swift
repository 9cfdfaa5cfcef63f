internal import BatonConfiguration
internal import Glibc
internal import Logging
internal import Synchronization

extension Front {
    /// SIGHUP or `baton reload`.
    func reload(asked: JSONLink<ControlResponse>?) {
        if asked == nil, reloads.mustWait {
            log.notice("the configuration is read again as soon as that can be", metadata: ["phase": "\(life.name)"])
        }
        reloads.ask(asked)
    }

    /// What is done here for a reload.
    var reloadActions: Reloads.Actions {
        Reloads.Actions(
            notify: { [keeper] in keeper.notify($0) },
            passOn: { [self] in upgrade?.passOnReload() },
            reading: { [self] in
                let (options, keys, sockets) = (options, policy.ticketKeys, sockets)
                return { try ConfigurationReading(options, keys: keys, sockets: sockets) }
            },
            workers: { [self] in Set(workers.filter { $0.link != nil }.map(\.number)) },
            apply: { [self] in try apply($0, turn: $1) },
            hasSucceeded: { [policy] in policy.tellOfCertificates() })
    }

    private func apply(_ reading: ConfigurationReading, turn: UInt64) throws -> ReloadReport {
        let prepared = try PreparedListening(reading.plan, backlog: reading.configuration.backlog)
        try listening.prepare(prepared)
        let notReloaded = reading.configuration.keysNotReloaded(since: configuration)
        if !notReloaded.isEmpty {
            let keys = notReloaded.joined(separator: ", ")
            log.warning("a reload does not change this", metadata: ["keys": "\(keys)"])
        }
        let report = ReloadReport(
            pid: getpid(), file: options.configurationPath, listeners: reading.configuration.listeners.count,
            certificates: reading.configuration.certificates.count,
            opened: prepared.opened.map { "\($0.place)" }, closed: prepared.surplus.map { "\($0.place)" },
            notReloaded: notReloaded, durationMilliseconds: 0)
        apply(reading.configuration, reading.file, reading.policy, prepared, turn: turn)
        return report
    }

    private func apply(
        _ changed: Configuration, _ text: String?, _ next: FrontPolicy, _ prepared: PreparedListening, turn: UInt64
    ) {
        let rotates = changed.sessionTickets != configuration.sessionTickets
        use(changed, file: text)
        // Who comes now waits until the listeners have the names of this policy.
        listening.pauseConnections()
        let former = policy.replace(with: next)
        admission.setLimits(changed.limits)
        replaceSockets(prepared)
        workerPool.reconfigure(turn: turn)
        workerPool.adjust()
        if rotates { scheduleRotation() }
        deposits.deposit()
        // Thousands of certificates take a while to free.
        startThread("baton-release") { withExtendedLifetime(former) {} }
    }
}
