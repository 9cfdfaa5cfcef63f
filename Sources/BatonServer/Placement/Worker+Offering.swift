internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore

/// Which connections leave a worker, and where they go.
extension Worker {
    func makeOffers() -> SessionOffers {
        SessionOffers(
            of: relays, on: loop,
            .init(
                session: { [unowned self] in sessions[$0] },
                serve: { [unowned self] in serve($0) },
                hindered: { [unowned self] in
                    log.debug("a connection cannot be moved now", metadata: ["reason": "\($0)"])
                },
                settled: { [unowned self] in settled($0, $1) }))
    }

    // MARK: To other workers

    /// `--move-every`: connections go to the next of the other workers.
    func moveOn(_ numbers: [UInt64]) {
        guard case .serving = phase, !siblings.isEmpty else { return relays.goOn(numbers) }
        var next = numbers.makeIterator()
        offers.offer(
            .init(purpose: .move, limit: numbers.count, next: { next.next() }) { [unowned self] in
                if case .serving = phase { siblings } else { Array(siblings.prefix(1)) }
            })
    }

    /// Hands all connections over, some at a time. Those that cannot be moved now are tried again.
    func handOver() {
        guard case .handingOver(let paths) = phase else { return endIfDone() }
        isAccepting.withLock { $0 = false }
        guard !paths.isEmpty, connectionCount > programs.count else { return endIfDone() }
        guard !offers.isBusy else { return }
        var numbers = movable()
        if numbers.isEmpty {
            unmovable = []
            numbers = movable()
        }
        var next = numbers.makeIterator()
        offers.offer(
            .init(
                purpose: .move, limit: HandoverLimits.batch, next: { next.next() },
                stayed: { [unowned self] in unmovable.formUnion($0) },
                receivers: { [unowned self] in
                    if case .handingOver(let paths) = phase { paths } else { [] }
                }))
    }

    /// Those of which none has stayed when it was to go, until all others have gone.
    private func movable() -> [UInt64] {
        sessions.keys.filter { !unmovable.contains($0) }
            + relays.numbers(upTo: HandoverLimits.batch, without: unmovable)
    }

    private func settled(_ purpose: SessionOffers.Purpose, _ outcome: SessionOffers.Outcome) {
        switch purpose {
        case .move:
            if case .delivered(let delivery) = outcome { moved(delivery) }
        case .sweep(let number): migrated(outcome, number)
        }
        guard case .handingOver = phase else { return endIfDone() }
        switch outcome {
        case .delivered(let delivery) where delivery.handedOver > 0: handOver()
        case .kept: handOver()
        case .delivered: handOver(after: HandoverLimits.pauseAfterRefusal)
        case .none: handOver(after: HandoverLimits.pauseAfterNone)
        }
    }

    private func handOver(after pause: Duration) {
        loop.scheduleTask(in: pause.timeAmount) { self.handOver() }
    }

    private func moved(_ delivery: ParcelSender.Delivery) {
        let failures = delivery.returned.count + delivery.lost
        report.movesOut += delivery.handedOver
        report.movesFailed += failures
        report.failures.add(delivery.failuresByLabel)
        if let reason = delivery.reason, failures > 0 {
            log.notice(
                "connections came back from a move",
                metadata: [
                    "count": "\(delivery.returned.count)", "lost": "\(delivery.lost)", "reason": "\(reason)",
                ])
        }
        reportSoon()
    }

    // MARK: To another host

    /// Offers connections that have not been offered in this sweep to the migration process, and tells the front how that
    /// ended and how many are left to be offered. The front asks for some at a time.
    func migrate(to path: String, sweep number: UInt64, limit: Int) {
        guard case .serving = phase else { return answer(number, handedOver: 0, returned: 0) }
        if sweep?.number != number { sweep = begin(number) }
        offers.offer(
            .init(
                purpose: .sweep(number), limit: limit,
                next: { [unowned self] in sweep?.next() },
                mayLeave: { $0.mayLeaveHost },
                stayed: { [unowned self] in if sweep?.number == number { sweep?.putBack($0) } },
                receivers: { [path] }))
    }

    /// What another worker has offered in this sweep and what stayed is not offered again.
    private func begin(_ number: UInt64) -> MigrationSweep {
        let mark = MigrationSweep.mark(number)
        let waiting = sessions.filter { _, session in
            (try? session.clientHandler())?.metadata.annotations[SessionAnnotation.sweep] != mark
        }
        return MigrationSweep(number: number, waiting: Array(waiting.keys) + relays.numbers(withoutSweep: mark))
    }

    private func migrated(_ outcome: SessionOffers.Outcome, _ number: UInt64) {
        switch outcome {
        case .none, .kept: answer(number, handedOver: 0, returned: 0)
        case .delivered(let delivery):
            report.movesFailed += delivery.lost
            answer(number, handedOver: delivery.handedOver, returned: delivery.returned.count)
        }
    }

    private func answer(_ number: UInt64, handedOver: Int, returned: Int) {
        report.connections = connectionCount
        link?.send(.report(report))
        let left = sweep.map { $0.number == number ? $0.left : 0 } ?? 0
        link?.send(.migrated(sweep: number, handedOver: handedOver, returned: returned, left: left))
    }
}
