internal import BatonConfiguration
internal import Glibc
internal import Handoff
internal import Logging
internal import Synchronization

extension Front {
    /// Starts a new server and, when it accepts, hands everything to it.
    func begin(_ request: UpgradeRequest) {
        upgradeAttempts += 1
        let directory = ControlSocket.runtimeDirectory(control.path)
        let path = "\(directory)/upgrade.\(getpid()).\(upgradeAttempts)"
        do {
            upgrade = try Upgrade(request, options, at: path, inheritance, upgradeSurroundings)
        } catch {
            handle(.upgradeFailed)
            fail(request, "\(error)")
        }
    }

    func fail(_ request: UpgradeRequest, _ why: String) {
        log.error("the upgrade failed; this server goes on", metadata: ["reason": "\(why)"])
        request.refuse(why)
    }

    private var upgradeSurroundings: Upgrade.Surroundings {
        Upgrade.Surroundings(
            loop: loop, logger: logger, keeper: keeper, keeperHandsOver: keeperHandsOver,
            workers: { [unowned self] in workers }, newcomers: { [admission] in admission.present },
            totals: { [unowned self] in totals }, counts: { [unowned self] in countsInAll },
            pauseConnections: { [listening] in listening.pauseConnections() },
            handOver: { [workerPool] in workerPool.handOver(to: $0) },
            happened: { [unowned self] in handle($0) },
            stops: { [unowned self] in shutdown.otherStops(atOnce: $0) })
    }

    /// Where the server that has replaced this one takes connections; empty if none has.
    var successors: [String] { life.moment == .replaced ? upgrade?.workers ?? [] : [] }

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

    // MARK: What becomes of this server

    /// The new server accepts.
    func handOver() {
        pauseListening()
        // The successor has processes of its own for that, and only one at a time can have the hold device. What is under
        // way in them goes to its workers.
        migration.send(.workers(successors))
        migration.end()
        workerPool.takeOutOfService()
    }

    /// The new server has failed, and nobody accepts.
    func acceptAgain() {
        beginListening()
        workerPool.adjust()
        scheduleRotation()
        deposits.deposit()
        announce()
        keeper.notify(.ready)
    }
}
