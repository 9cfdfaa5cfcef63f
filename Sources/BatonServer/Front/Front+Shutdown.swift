internal import BatonConfiguration

extension Front {
    var shutdownSurroundings: Shutdown.Surroundings {
        Shutdown.Surroundings(
            loop: loop, logger: logger, workers: workerPool, isAccepting: { [listening] in listening.isAccepting },
            configuration: { [unowned self] in configuration },
            connectionCount: { [unowned self] in connectionCount }, notify: { [keeper] in keeper.notify($0) },
            stopAccepting: { [unowned self] in stopAccepting() }, happened: { [unowned self] in handle($0) })
    }

    /// Closes the listeners' sockets. The admin address and the control socket are served to the end.
    private func stopAccepting() {
        policy.pauseRotation()
        listening.closeListeners { deposits.depositAndSettle() }
    }
}
