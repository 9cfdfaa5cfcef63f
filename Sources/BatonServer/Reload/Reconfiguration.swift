internal import BatonConfiguration
internal import Libc
internal import Logging

/// Puts a configuration that was read again to use in the front, and tells the workers. Used on the front's loop only.
struct Reconfiguration {
    let logger: SharedLogger
    let settings: Settings
    let listening: Listening
    let reception: Reception
    let policy: CurrentPolicy
    let admission: Admission
    let workers: WorkerPool
    let deposits: Deposits
    let upstreams: UpstreamWatch

    /// - Throws: what stands against it; everything is as it was then.
    func apply(_ reading: ConfigurationReading, turn: UInt64) throws -> ReloadReport {
        guard let plan = reading.plan else { return applyCertificates(reading, turn: turn) }
        let (before, next) = (settings.configuration, reading.configuration)
        let prepared = try PreparedListening(plan, backlog: next.backlog)
        try listening.prepare(prepared)
        let notReloaded = next.keysNotReloaded(since: before)
        if !notReloaded.isEmpty {
            let keys = notReloaded.joined(separator: ", ")
            logger.current.warning("a reload does not change this", metadata: ["keys": "\(keys)"])
        }
        let report = ReloadReport(
            pid: getpid(), file: settings.options.configurationPath, listeners: next.listeners.count,
            certificates: next.certificates.count, opened: prepared.opened.map { "\($0.place)" },
            closed: prepared.surplus.map { "\($0.place)" }, notReloaded: notReloaded, durationMilliseconds: 0)
        if next.workers != before.workers { workers.forgetAsked() }
        settings.replace(with: next, file: reading.file)
        // Who comes now waits until the listeners have the names of this policy.
        listening.pauseConnections()
        let former = policy.replace(with: reading.policy, keys: reading.ticketKeys)
        admission.setLimits(next.limits)
        reception.replace(with: prepared)
        workers.reconfigure(turn: turn)
        workers.adjust()
        upstreams.use(next)
        if next.sessionTickets != before.sessionTickets { reception.rotateTicketKeys() }
        deposits.deposit()
        Self.free(former)
        return report
    }

    /// What listens stays as it is, and so does the configuration.
    private func applyCertificates(_ reading: ConfigurationReading, turn: UInt64) -> ReloadReport {
        Self.free(policy.replace(with: reading.policy, keys: reading.ticketKeys))
        // They have those that are shown to upstreams.
        workers.reconfigure(turn: turn)
        deposits.deposit()
        return ReloadReport(
            pid: getpid(), file: settings.options.configurationPath, listeners: reading.configuration.listeners.count,
            certificates: reading.configuration.certificates.count, opened: [], closed: [], notReloaded: [],
            durationMilliseconds: 0)
    }

    /// Thousands of certificates take a while to free.
    private static func free(_ former: FrontPolicy) {
        startThread("baton-release") { withExtendedLifetime(former) {} }
    }
}
