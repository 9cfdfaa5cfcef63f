internal import BatonConfiguration
internal import BatonCore
internal import Glibc
internal import Handoff
internal import Logging
internal import NIOCore

/// A worker whose event loop does not turn (stopped, spinning, blocked) serves nobody, and looks like the one with the most
/// room. It answers no beat, by which it is told from one that is idle.
extension Front {
    private static let beat = TimeAmount.milliseconds(500)
    /// Beats without an answer after which a worker is silent. Beats are counted rather than time: a front that was stopped
    /// itself has sent none.
    private static let mostUnanswered = 6
    /// How long a worker is silent before another is started beside it.
    private static let patienceWithSilence: UInt64 = 10_000_000_000

    /// Begins to ask the workers whether they are there.
    func startHeartbeat() {
        let task = loop.scheduleRepeatedTask(initialDelay: Self.beat, delay: Self.beat) { [self] _ in
            for worker in workers { beat(worker) }
            depositCounts()
            // Time passes for an upgrade that waits for a silent worker.
            if case .retiring(let successor) = phase { checkProgress(of: successor) }
        }
        ended.futureResult.whenComplete { _ in task.cancel() }
    }

    private func beat(_ worker: WorkerHandle) {
        guard worker.state == .ready || worker.state == .draining, let link = worker.link else { return }
        guard let unanswered = worker.unansweredBeats else {
            // Not more than one at a time: what a stopped process does not read must not gather.
            worker.unansweredBeats = 0
            return link.send(.beat)
        }
        worker.unansweredBeats = unanswered + 1
        if worker.silentSince == nil, unanswered + 1 >= Self.mostUnanswered { becameSilent(worker) }
        if let limit = configuration.limits.workerSilence,
            Self.beat.nanoseconds * Int64(unanswered + 1)
                >= limit.timeAmount.nanoseconds
        {
            return kill(worker)
        }
        if let since = worker.silentSince, MonotonicTime.now >= since + Self.patienceWithSilence {
            replaceSilent(worker)
        }
    }

    private func becameSilent(_ worker: WorkerHandle) {
        worker.silentSince = MonotonicTime.now
        log.error(
            "a worker does not answer; it gets no new connections",
            metadata: [
                "worker": "\(worker.number)", "pid": "\(worker.pid)", "connections": "\(worker.report.connections)",
            ])
        // What it has not been offered goes to others at once; what it has been offered comes back with the offer's end.
        senders[worker.socket]?.recall()
        tellSiblings()
    }

    /// Its parent waits for its end, and another takes its place as of any that has died.
    private func kill(_ worker: WorkerHandle) {
        guard !worker.isKilled else { return }
        worker.isKilled = true
        log.error(
            "a worker has not answered for too long; it is killed",
            metadata: [
                "worker": "\(worker.number)", "pid": "\(worker.pid)", "connections": "\(worker.report.connections)",
            ])
        keeper.signal(worker.process, SIGKILL)
    }

    /// Another is started beside it. There are never more of those than workers.
    private func replaceSilent(_ worker: WorkerHandle) {
        guard case .serving = phase, worker.state == .ready, !worker.isReplaced,
            workers.count(where: { $0.isReplaced }) < workerCount
        else { return }
        worker.isReplaced = true
        adjustWorkerCount()
    }

    /// A worker has answered.
    func answered(_ worker: WorkerHandle) {
        worker.unansweredBeats = nil
        guard worker.silentSince != nil else { return }
        worker.silentSince = nil
        log.notice(
            "a worker answers again", metadata: ["worker": "\(worker.number)", "pid": "\(worker.pid)"])
        tellSiblings()
        guard worker.isReplaced else { return }
        worker.isReplaced = false
        if case .serving = phase { adjustWorkerCount() }
    }

    /// Ends the workers, whatever they have, and then this server. A worker that does not hear is killed: none may be left
    /// behind.
    func endWorkers(within limit: TimeAmount) {
        for worker in workers { worker.link?.send(.stop) }
        loop.scheduleTask(in: limit) { [self] in
            for worker in workers where worker.ending == nil { keeper.signal(worker.process, SIGKILL) }
            ended.succeed()
        }
    }
}
