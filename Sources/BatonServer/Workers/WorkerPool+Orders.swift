internal import Libc
internal import NIOCore

/// What all workers are told.
extension WorkerPool {
    /// Has them take the configuration as it is.
    func reconfigure(turn: UInt64) {
        let (file, flags) = actions.settings()
        for worker in workers { worker.link?.send(.reconfigure(file: file, flags: flags, turn: turn)) }
    }

    /// They get no new connections, and keep what they have until they are told where it goes.
    func takeOutOfService() {
        for worker in workers { worker.state = .retiring }
    }

    /// Has them hand over all they have.
    func handOver(to paths: [String]) {
        for worker in workers {
            worker.state = .retiring
            worker.link?.send(.handOver(to: paths))
        }
    }

    /// Those who were to have their connections have failed: workers that have not left yet go on.
    func resume() {
        for worker in workers {
            worker.state = .starting
            worker.hasResumed = true
            worker.link?.send(.resume)
        }
    }

    /// Has them take no more, and leave with their last connection.
    func finish() {
        for worker in workers { worker.link?.send(.finish) }
    }

    /// Ends them, whatever they have. One that does not hear is killed: none may be left behind.
    ///
    /// - Parameter done: called when the time is over.
    func stop(within limit: TimeAmount, done: @escaping @Sendable () -> Void) {
        for worker in workers { worker.link?.send(.stop) }
        loop.scheduleTask(in: limit) { [self] in
            for worker in workers where worker.ending == nil { keeper.signal(worker.process, SIGKILL) }
            done()
        }
    }

    /// Kills them, when none has a connection.
    func kill() {
        for worker in workers { keeper.signal(worker.process, SIGKILL) }
    }
}
