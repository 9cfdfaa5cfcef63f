internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore

extension Front {
    /// Hands a connection to whom its target names; without one a worker reads what decides it. May be called from any
    /// thread. The connection is counted as one of this process until somebody has it, and against the limits until a
    /// report of its worker does.
    func place(_ box: ParcelBox, target: Target?, source: IPAddress?) {
        let order = PlacementOrder(target: target, source: source, since: MonotonicTime.now)
        loop.execute { [self] in placer.place(box, order) }
    }

    /// What is done here for the placer.
    var placementActions: Placer.Actions {
        Placer.Actions(
            choose: { [self] in receivers(of: $0) },
            delivered: { [self] in delivered($0) },
            waits: { [self] _, reason in
                log.debug("a connection waits for a worker", metadata: ["reason": "\(reason)"])
            },
            abandoned: { [self] order, reason in
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
                let worker = workers.first { $0.socket == path }
                log.warning(
                    "connections in doubt are counted no more",
                    metadata: ["count": "\(count)", "worker": "\(worker?.number ?? 0)"])
            },
            run: { [loop] in loop.run(after: $0, $1) })
    }

    private func receivers(of order: PlacementOrder) -> PlacementPlan.Receivers {
        if case .worker(let path)? = order.target { return .only(path) }
        switch life.moment {
        case .replaced: return .inTurn(successors)
        case .starting, .serving, .replacing, .stopping:
            return .leastLoaded(
                workers.filter(\.takesConnections).map {
                    .init(path: $0.socket, connections: $0.report.connections)
                })
        }
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
