internal import BatonConfiguration
internal import BatonCore
internal import Libc

/// What the server is, in numbers. Used on the front's loop only.
final class Figures: @unchecked Sendable {
    /// Where the numbers come from.
    struct Sources {
        let workers: WorkerPool
        let admission: Admission
        let tally: SharedTally
        let migration: MigrationProcesses
        let listening: Listening
        /// The addresses of upstreams.
        let upstreams: (UpstreamNews) -> [StatusReport.UpstreamAddress]
        /// What the server before this one has left with workers that do not answer.
        let remainder: () -> Remainder?
    }

    /// What the keeper has seen.
    private(set) var deaths: ProcessDeaths
    /// The keeper's process, which is the service's.
    private let servicePid: Int32
    private let sources: Sources
    private let startedAt = MonotonicTime.now

    init(of sources: Sources, servicePid: Int32, deaths: ProcessDeaths) {
        self.sources = sources
        self.servicePid = servicePid
        self.deaths = deaths
    }

    func note(_ deaths: ProcessDeaths) { self.deaths = deaths }

    /// Seconds.
    var uptime: Double { Double(MonotonicTime.now - startedAt) / 1e9 }

    var workers: [WorkerHandle] { sources.workers.workers }

    /// Connections that no worker has yet, those in their handshake included.
    var newcomers: Int { sources.admission.present }

    /// Connections in all.
    var connectionCount: Int { workers.reduce(newcomers) { $0 + $1.report.connections } }

    /// Everything counted here and before.
    var totals: WorkerReport {
        var total = gone
        for worker in workers { total.add(worker.report) }
        return total
    }

    /// Counted by workers that are gone.
    var gone: WorkerReport { sources.tally.withLock { $0.gone(sources.migration.counts) } }

    /// Counted by this front and those before it.
    var counts: FrontCounts { sources.tally.withLock { $0.counts } }

    /// Lines of the log that could not be written, of all processes.
    var droppedLogLines: Int { totals.droppedLogLines + ServeLog.droppedLines }

    /// Lines of the access log that could not be.
    var droppedAccessLines: Int { totals.droppedAccessLines + AccessLog.process.droppedLines }

    /// The most connections that are let in.
    var connectionLimit: Int { sources.admission.connectionLimit }

    /// What the history is made of.
    var sampled: History.Totals {
        let (counts, totals) = (counts, totals)
        func sum(_ numbers: [String: Int]) -> Int { numbers.values.reduce(0, +) }
        func bytes(_ direction: KeyPath<ByteCounts, UInt64>) -> Int {
            Int(clamping: totals.traffic.listeners.values.reduce(0) { $0 &+ $1[keyPath: direction] })
        }
        return [
            .connections: connectionCount, .placements: counts.handedOver, .handshakes: sum(counts.handshakes),
            .handshakeFailures: sum(counts.handshakeFailures),
            .refusals: sum(counts.refusals) + sum(totals.refusals), .moves: totals.movesIn + totals.migrations,
            .movesFailed: totals.movesFailed,
            .upstreamErrors: totals.upstreamErrors.values.reduce(0) { $0 + sum($1) },
            .received: bytes(\.received), .sent: bytes(\.sent),
        ]
    }

    /// What the keeper is to have of them.
    var deposited: Deposits.Counts {
        Deposits.Counts(
            front: counts, gone: gone, lastWorkerNumber: sources.workers.lastNumber, asked: sources.workers.asked)
    }

    /// The addresses of upstreams, as they are now, with what was counted here and before.
    var upstreams: [StatusReport.UpstreamAddress] { sources.upstreams(gone.upstreams ?? UpstreamNews()) }

    var status: StatusReport {
        let total = totals
        return StatusReport(
            pid: servicePid, version: BatonVersion.current, uptime: Int(uptime), connections: connectionCount,
            workers: workers.filter { $0.state != .gone }.map {
                .init(
                    pid: $0.pid, number: $0.number, state: $0.stateName, connections: $0.report.connections,
                    movesIn: $0.report.movesIn, movesOut: $0.report.movesOut)
            },
            moves: .init(handoff: total.movesIn, migration: total.migrations, failed: total.movesFailed),
            pause: .init(total.pauses), refused: counts.refusals, isShort: sources.listening.isShort,
            droppedLogLines: droppedLogLines, program: BinaryPath.atStart, frontPid: getpid(),
            deaths: .init(front: deaths.front, workers: deaths.workers),
            former: sources.remainder().map {
                .init(pid: $0.pid, connections: $0.connections, silentWorkers: $0.workers)
            }, pidNamespace: PIDNamespace.current, upstreams: upstreams)
    }
}
