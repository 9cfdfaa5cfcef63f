internal import BatonConfiguration
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TLSHandshake

/// What happens to certificates and ticket keys while the server runs.
extension Front {
    // MARK: Ticket keys

    /// Lets a new ticket key take over once the current one is old enough, by the age that it has had since before this
    /// server or this configuration.
    func scheduleRotation() {
        rotation?.cancel()
        guard let interval = configuration.sessionTickets.rotateEvery?.timeAmount else { return }
        let age = TimeAmount.seconds(max(0, Int64(time(nil)) - ticketKeys.createdAt))
        rotation = loop.scheduleTask(in: max(.zero, interval - age)) { [self] in
            ticketKeys = ticketKeys.rotated(keeping: configuration.sessionTickets.formerKeys)
            let contexts = policy.withLock { $0.contexts }
            for context in contexts.values { context.replaceTicketKeys(ticketKeys.copy()) }
            scheduleRotation()
            depositState()
        }
    }

    // MARK: Certificates

    /// Tells what is amiss with the certificates although they are served.
    func tellOfCertificates() {
        tell(policy.withLock { $0.notices })
    }

    /// How often the files of OCSP responses and revocation lists are looked at.
    private static let lookInterval = TimeAmount.seconds(2)

    /// Reads OCSP responses and revocation lists again when their files change, off the loop.
    func watchCertificates() {
        loop.scheduleTask(in: Self.lookInterval) { [self] in
            let contexts = policy.withLock { $0.contexts }
            NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
                Set(contexts.values.flatMap { $0.refresh() }).sorted()
            }.whenComplete { [self] result in
                tell((try? result.get()) ?? [])
                watchCertificates()
            }
        }
    }

    private func tell(_ notices: [String]) {
        for notice in notices { log.warning("a certificate needs care", metadata: ["reason": "\(notice)"]) }
    }
}
