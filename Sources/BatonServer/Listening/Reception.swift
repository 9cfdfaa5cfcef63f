internal import BatonConfiguration
internal import Logging
internal import NIOCore

/// Everything that strangers and operators can connect to, with what has to change when it opens and closes: ticket keys that
/// are rotated, and what the keeper has of the sockets. Used on `loop` only.
final class Reception: @unchecked Sendable {
    private let loop: any EventLoop
    private let logger: SharedLogger
    private let settings: Settings
    private let listening: Listening
    private let policy: CurrentPolicy
    private let admin: AdminAddress
    private let commands: CommandConnections
    private let deposits: Deposits

    init(
        on loop: any EventLoop, _ logger: SharedLogger, _ settings: Settings, _ listening: Listening,
        _ policy: CurrentPolicy, _ admin: AdminAddress, _ commands: CommandConnections, _ deposits: Deposits
    ) {
        self.loop = loop
        self.logger = logger
        self.settings = settings
        self.listening = listening
        self.policy = policy
        self.admin = admin
        self.commands = commands
        self.deposits = deposits
    }

    // MARK: Opening

    /// Does all that can fail. Nothing is accepted before `open`.
    func prepare(_ intake: Intake) throws(RuntimeError) {
        try listening.prepare(
            for: Listening.Receivers(
                connection: { intake.take($0, from: $1, at: $2) },
                command: { [loop, commands] descriptor in loop.execute { commands.take(descriptor) } },
                admin: { [loop, admin] descriptor in loop.execute { admin.take(descriptor) } }))
    }

    /// Accepts, for the first time or again.
    func open() {
        listening.limitRate(settings.configuration.limits.connectionRate)
        listening.open(backlog: settings.configuration.backlog) { deposits.depositAndSettle() }
        serveAdmin()
        rotateTicketKeys()
    }

    /// The sockets of a configuration that was read again take the place of those there are.
    func replace(with next: PreparedListening) {
        listening.limitRate(settings.configuration.limits.connectionRate)
        listening.replace(with: next, backlog: settings.configuration.backlog) {
            deposits.depositAndSettle()
        } adminHasMoved: {
            admin.close()
        }
        serveAdmin()
    }

    private func serveAdmin() {
        if !listening.adminSockets.isEmpty { admin.open() }
    }

    /// Rotates ticket keys as the configuration says.
    func rotateTicketKeys() {
        policy.rotateTicketKeys(by: settings.configuration.sessionTickets) { [self] in deposits.depositState() }
    }

    /// Tells what this machine does not give the configuration, and what is amiss with certificates.
    func tellOfShortfalls() {
        let shortfalls = Capacity.shortfalls(
            of: settings.configuration, descriptors: DescriptorLimit.current, processors: System.coreCount,
            longestQueue: Capacity.longestQueue)
        for line in shortfalls { logger.current.warning("\(line)") }
    }

    // MARK: Closing

    /// Accepts nothing more; the sockets stay open here, in case the successor that accepts at them fails.
    func pause() {
        listening.pause()
        admin.close()
        policy.pauseRotation()
    }

    /// Closes the listeners' sockets. The admin address and the control socket are served to the end.
    func closeListeners() {
        policy.pauseRotation()
        listening.closeListeners { deposits.depositAndSettle() }
    }

    /// Closes all sockets.
    func close() {
        pause()
        listening.stop()
    }
}
