internal import BatonConfiguration
internal import Glibc
internal import Logging
internal import NIOCore
internal import Synchronization

extension Front {
    /// How long connections that are closed may take to end.
    private static let closingLimit = TimeAmount.seconds(2)
    static let stoppedWhileStarting = "the server was told to stop while it started"

    /// SIGTERM: says that it will end, accepts no more after `shutdown-delay`, lets connections end, and goes. Commands and the
    /// admin address are answered to the end.
    func stop() {
        // Asked twice: at once.
        guard !isStopping else { return closeRest() }
        isStopping = true
        // At some steps of an upgrade nobody accepts here, and a delay would only keep waiting who connects.
        let delay = listening.isAccepting ? configuration.shutdownDelay.timeAmount : .zero
        log.notice(
            "stopping",
            metadata: [
                "connections": "\(connectionCount)", "accepts_for_ms": "\(delay.nanoseconds / 1_000_000)",
            ])
        keeper.notify(.stopping)
        drain?.stop()
        stopOthers()
        // Nobody depends on it yet.
        if case .starting = phase, failReadiness(Self.stoppedWhileStarting) { return }
        guard delay > .zero else { return endAccepting() }
        loop.scheduleTask(in: delay) { self.endAccepting() }
    }

    /// The other server of an upgrade was told to stop: so is this one.
    func stop(atOnce: Bool) {
        if !isStopping { stop() }
        if atOnce { closeRest() }
    }

    /// The other server of an upgrade stops with this one.
    private func stopOthers() {
        switch phase {
        case .starting: predecessor?.turn.fail(RuntimeError(.processFailed, Self.stoppedWhileStarting))
        case .replacing(let successor): advance(successor, .stop)
        case .retiring(let successor):
            advance(successor, .stop)
            // What is left stays, and what still comes here is placed here.
            workerPool.resume()
        case .serving: tellPredecessor(.stopping(atOnce: false))
        case .finishing: return
        }
    }

    /// The end of `shutdown-delay`.
    private func endAccepting() {
        if case .finishing = phase { return }
        workerPool.refuseWaiting("the server is stopping")
        for asked in upgradeAsked { asked.finish(.failed("the server is stopping")) }
        upgradeAsked = []
        phase = .finishing
        stopAccepting()
        log.notice("draining", metadata: ["connections": "\(connectionCount)"])
        workerPool.finish()
        if let limit = configuration.shutdownTime?.timeAmount {
            loop.scheduleTask(in: limit) { self.closeRest() }
        }
        endIfDone()
    }

    /// Closes what is left.
    private func closeRest() {
        guard !isClosingRest else { return }
        isClosingRest = true
        if case .finishing = phase {} else { endAccepting() }
        tellPredecessor(.stopping(atOnce: true))
        stoppedSuccessor?.tell(.stop(atOnce: true))
        workerPool.stop(within: Self.closingLimit) { [ended] in ended.succeed() }
    }

    /// Closes the listeners' sockets. The admin address and the control socket are served to the end.
    private func stopAccepting() {
        policy.pauseRotation()
        listening.closeListeners { deposits.depositAndSettle() }
    }
}
