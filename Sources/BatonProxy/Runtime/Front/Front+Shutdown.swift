internal import Glibc
internal import Logging
internal import NIOCore
internal import Synchronization

extension Front {
    /// How long connections that are closed may take to end.
    private static let closingLimit = TimeAmount.seconds(2)

    /// SIGTERM: says that it will end, accepts no more after `shutdown-delay`, lets connections end, and goes. Commands and the
    /// admin address are answered to the end.
    func stop() {
        // Asked twice: at once.
        guard !isStopping else { return closeRest() }
        if case .finishing = phase { return closeRest() }
        isStopping = true
        let delay = configuration.shutdownDelay.timeAmount
        log.notice(
            "stopping",
            metadata: [
                "connections": "\(connectionCount)", "accepts_for_ms": "\(delay.nanoseconds / 1_000_000)",
            ])
        ServiceNotification.stopping()
        drain?.stop()
        switch phase {
        case .starting where readiness != nil: return failReadiness("it was told to stop while it started")
        case .replacing(let successor):
            // Its end lets the phase be serving again.
            successor.why = "the server is stopping"
            successor.abandon()
        case .starting, .serving, .retiring, .finishing: break
        }
        guard delay > .zero, phase.accepts else { return endAccepting() }
        loop.scheduleTask(in: delay) { self.endAccepting() }
    }

    /// The end of `shutdown-delay`.
    private func endAccepting() {
        if case .finishing = phase { return }
        for asked in workersWaiting + upgradeAsked { asked.finish(.failed("the server is stopping")) }
        workersWaiting = []
        upgradeAsked = []
        phase = .finishing
        log.notice("draining", metadata: ["connections": "\(connectionCount)"])
        stopAccepting()
        for worker in workers { worker.link?.send(.finish) }
        if let limit = configuration.shutdownTime?.timeAmount {
            loop.scheduleTask(in: limit) { self.closeRest() }
        }
        endIfDone()
    }

    /// Closes what is left.
    private func closeRest() {
        phase = .finishing
        stopAccepting()
        for worker in workers { worker.link?.send(.stop) }
        loop.scheduleTask(in: Self.closingLimit) { self.ended.succeed() }
        endIfDone()
    }

    /// Closes the listeners' sockets. The admin address and the control socket are served to the end.
    private func stopAccepting() {
        acceptor.close()
        rotation?.cancel()
        for socket in sockets where socket.name != Self.adminName { closeForGood(socket) }
        sockets.removeAll { $0.name != Self.adminName }
    }
}

extension Front.Phase {
    /// Whether connections come to this process.
    fileprivate var accepts: Bool {
        switch self {
        case .serving, .replacing: true
        case .starting, .retiring, .finishing: false
        }
    }
}
