internal import BatonConfiguration
internal import Libc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TLSHandshake

/// The policy that holds, and what happens to its certificates and ticket keys while the server runs. `value` is read on any
/// thread; all else is used on `loop` only.
final class CurrentPolicy: @unchecked Sendable {
    /// How often the files of OCSP responses and revocation lists are looked at.
    private static let lookInterval = TimeAmount.seconds(2)

    private let loop: any EventLoop
    private let logger: SharedLogger
    private let policy: Mutex<FrontPolicy>
    /// Those of all contexts of the policy.
    private(set) var ticketKeys: TicketKeysBox
    private var rotation: Scheduled<Void>?
    /// What has been told of the certificates since all of it was.
    private var told: Set<String> = []

    init(_ policy: FrontPolicy, keys: TicketKeysBox, on loop: any EventLoop, _ logger: SharedLogger) {
        self.policy = Mutex(policy)
        ticketKeys = keys
        self.loop = loop
        self.logger = logger
    }

    /// What a connection that comes in is treated by.
    var value: FrontPolicy { policy.withLock { $0 } }

    /// Has `next` hold, with the ticket keys of this one: they may have been rotated since it was made.
    ///
    /// - Parameter keys: ticket keys that take the place of these; nil: none do.
    /// - Returns: the policy before. Thousands of certificates take a while to free.
    func replace(with next: FrontPolicy, keys: TicketKeysBox?) -> FrontPolicy {
        if let keys { ticketKeys = keys }
        for context in next.contexts.values { context.replaceTicketKeys(ticketKeys.copy()) }
        return policy.withLock { policy in
            defer { policy = next }
            return policy
        }
    }

    // MARK: Ticket keys

    /// Lets a new ticket key take over whenever the current one is old enough, by the age that it has had since before this
    /// server or this configuration.
    ///
    /// - Parameter rotated: called each time.
    func rotateTicketKeys(by settings: SessionTickets, rotated: @escaping @Sendable () -> Void) {
        rotation?.cancel()
        // Those of a file are rotated by whoever writes it.
        guard settings.keyFile == nil, let interval = settings.rotateEvery?.timeAmount else { return }
        let age = TimeAmount.seconds(max(0, Int64(time(nil)) - ticketKeys.createdAt))
        rotation = loop.scheduleTask(in: max(.zero, interval - age)) { [self] in
            ticketKeys = ticketKeys.rotated(keeping: settings.formerKeys)
            for context in value.contexts.values { context.replaceTicketKeys(ticketKeys.copy()) }
            rotateTicketKeys(by: settings, rotated: rotated)
            rotated()
        }
    }

    /// The keys stay as they are.
    func pauseRotation() { rotation?.cancel() }

    // MARK: Certificates

    /// Tells what is amiss with the certificates although they are served.
    ///
    /// - Parameter isNew: only what has not been told yet.
    func tellOfCertificates(onlyNew isNew: Bool = false) {
        if !isNew { told = [] }
        tell(value.notices.filter { !told.contains($0) })
    }

    /// Reads OCSP responses and revocation lists again when their files change, and sees certificates come to their end, off the
    /// loop.
    func watchCertificates() {
        loop.scheduleTask(in: Self.lookInterval) { [self] in
            let contexts = value.contexts
            NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
                Set(contexts.values.flatMap { $0.refresh() }).sorted()
            }.whenComplete { [self] result in
                tell((try? result.get()) ?? [])
                watchCertificates()
            }
        }
    }

    private func tell(_ notices: [String]) {
        told.formUnion(notices)
        for notice in notices {
            logger.current.warning("a certificate needs care", metadata: ["reason": "\(notice)"])
        }
    }
}
