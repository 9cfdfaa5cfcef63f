internal import BatonConfiguration
internal import BatonCore
internal import Glibc
internal import Synchronization

/// What the server is, in numbers.
extension Front {
    /// Connections in all, those in their handshake included.
    var connectionCount: Int {
        workers.reduce(admission.present) { $0 + $1.report.connections }
    }

    /// Everything counted here and before.
    var totals: WorkerReport {
        var total = gone
        for worker in workers { total.add(worker.report) }
        return total
    }

    /// Counted by workers that are gone.
    var gone: WorkerReport { tally.withLock { $0.gone(migration.counts) } }

    /// Counted by this front and those before it.
    var countsInAll: FrontCounts { tally.withLock { $0.counts } }

    /// Lines of the log that could not be written, of all processes.
    var droppedLogLines: Int { totals.droppedLogLines + ServeLog.droppedLines }

    var status: StatusReport {
        let total = totals
        return StatusReport(
            pid: servicePid, version: BatonVersion.current,
            uptime: Int((MonotonicTime.now - startedAt) / 1_000_000_000),
            connections: connectionCount,
            workers: workers.filter { $0.state != .gone }.map {
                .init(
                    pid: $0.pid, number: $0.number, state: $0.stateName, connections: $0.report.connections,
                    movesIn: $0.report.movesIn,
                    movesOut: $0.report.movesOut)
            },
            moves: .init(
                handoff: total.movesIn, migration: total.migrations,
                failed: total.movesFailed),
            pause: .init(total.pauses), refused: countsInAll.refusals, isShort: listening.isShort,
            droppedLogLines: droppedLogLines,
            program: BinaryPath.atStart,
            frontPid: getpid(), deaths: .init(front: deaths.front, workers: deaths.workers),
            former: life.remainder.map { .init(pid: $0.pid, connections: $0.connections, silentWorkers: $0.workers) })
    }
}
