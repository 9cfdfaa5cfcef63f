internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Libc
internal import Logging
internal import NIOCore

/// Connections that have come to this front and belong to somebody else: a worker, a program, or a worker of the server that has
/// replaced this one. Used on `loop` only, where it does not say otherwise.
final class Newcomers: @unchecked Sendable {
    private let loop: any EventLoop
    private let logger: SharedLogger
    private let admission: Admission
    private let tally: SharedTally
    private let workers: WorkerPool
    private let successors: () -> [String]?
    /// No other server of the line has the same numbers.
    private lazy var placer = Placer(
        .newcomers, numberedAfter: UInt64(UInt32(bitPattern: getpid())) << 32, actions)

    /// - Parameter successors: where the workers of the server that has replaced this one take connections; `nil`: none has.
    init(
        on loop: any EventLoop, _ logger: SharedLogger, _ admission: Admission, _ tally: SharedTally,
        _ workers: WorkerPool, successors: @escaping () -> [String]?
    ) {
        self.loop = loop
        self.logger = logger
        self.admission = admission
        self.tally = tally
        self.workers = workers
        self.successors = successors
    }

    private var log: Logger { logger.current }

    /// Hands a connection to whom its target names; without one a worker reads what decides it. May be called from any
    /// thread. The connection is counted as one of this process until somebody has it, and against the limits until a
    /// report of its worker does.
    func place(_ box: ParcelBox, target: Target?, source: IPAddress?) {
        let order = PlacementOrder(target: target, source: source, since: MonotonicTime.now)
        loop.execute { [self] in placer.place(box, order) }
    }

    /// Whether some are on their way.
    var areUnderWay: Bool { admission.present > 0 || placer.isAwaiting }

    // MARK: What workers say

    /// A worker has these.
    func arrived(_ numbers: [UInt64], at worker: WorkerHandle) { placer.arrived(numbers, at: worker.socket) }

    /// What a worker has not been offered goes to others at once; what it has been offered comes back with the offer's end.
    func recall(from worker: WorkerHandle) { placer.recall(from: worker.socket) }

    /// A worker is gone.
    func forget(_ worker: WorkerHandle) { placer.forget(worker.socket) }

    // MARK: What the placer asks for

    private var actions: Placer.Actions {
        Placer.Actions(
            choose: { [self] in receivers(of: $0) },
            delivered: { [self] in delivered($0) },
            waits: { [logger] _, reason in
                logger.current.debug("a connection waits for a worker", metadata: ["reason": "\(reason)"])
            },
            abandoned: { [self] order, note, reason in
                if let note { AccessLog.process.write(AccessRecord(note, .notServed, detail: reason)) }
                log.error(
                    "a connection is closed, because nobody takes it",
                    metadata: [
                        "target": "\(order.target.map { "\($0)" } ?? "undecided")", "reason": "\(reason)",
                    ])
                admission.dismiss(from: order.source)
            },
            released: { [admission] in admission.release(from: $0) },
            adopted: { [admission] in admission.adopt(from: $0) },
            doubted: { [self] count, path in
                let worker = workers.workers.first { $0.socket == path }
                log.warning(
                    "connections in doubt are counted no more",
                    metadata: ["count": "\(count)", "worker": "\(worker?.number ?? 0)"])
            },
            run: { [loop] in loop.run(after: $0, $1) })
    }

    private func receivers(of order: PlacementOrder) -> PlacementPlan.Receivers {
        if case .worker(let path)? = order.target { return .only(path) }
        if let successors = successors() { return .inTurn(successors) }
        return .leastLoaded(
            workers.workers.filter(\.takesConnections).map {
                .init(path: $0.socket, connections: $0.report.connections)
            })
    }

    private func delivered(_ delivery: ParcelSender.Delivery) {
        admission.dismiss(delivery.handedOver + delivery.lost)
        tally.withLock {
            $0.delivered(
                handedOver: delivery.handedOver, returned: delivery.returned.count, failures: delivery.failuresByLabel)
        }
        if delivery.lost > 0 {
            log.warning("connections in doubt were closed", metadata: ["count": "\(delivery.lost)"])
        }
    }
}

extension EventLoop {
    /// Does something after a time, or in its turn.
    func run(after delay: Duration?, _ task: @escaping @Sendable () -> Void) {
        if let delay { scheduleTask(in: delay.timeAmount, task) } else { execute(task) }
    }
}
