internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore
internal import Synchronization

extension Front {
    /// A connection that no worker has taken for this long is closed.
    private static let patience: UInt64 = 30_000_000_000

    /// Hands a connection to whom its target names; without one a worker reads what decides it. May be called from any thread. The connection is counted as one of
    /// this process until somebody has it, and against the limits until a report of its worker does.
    func place(_ box: DetachedConnection, target: Target?, source: IPAddress?, since: UInt64 = MonotonicTime.now) {
        loop.execute { [self] in placeHere(box, target: target, source: source, since: since) }
    }

    /// - Parameter avoided: where it has come back from: others are tried first.
    private func placeHere(
        _ box: DetachedConnection, target: Target?, source: IPAddress?, since: UInt64, avoiding avoided: String? = nil
    ) {
        if case .worker(let path)? = target {
            admission.release(from: source)
            return sender(to: path).send([box])
        }
        switch life.moment {
        case .replaced:
            let others = successors.filter { $0 != avoided }
            let paths = others.isEmpty ? successors : others
            successorTurn = (successorTurn + 1) % max(1, paths.count)
            if paths.indices.contains(successorTurn) {
                admission.release(from: source)
                return sender(to: paths[successorTurn]).send([box])
            }
        case .starting, .serving, .replacing, .stopping:
            let ready = workers.filter(\.takesConnections)
            let others = ready.filter { $0.socket != avoided }
            if let worker = (others.isEmpty ? ready : others).min(by: { $0.load < $1.load }) {
                lastPlacement += 1
                guard var parcel = box.take() else { return }
                worker.underWay.add(lastPlacement, from: source, at: MonotonicTime.now)
                sweepLater(worker)
                parcel.metadata.mark(placement: lastPlacement)
                return sender(to: worker.socket).send([DetachedConnection(parcel)])
            }
        }
        retry(box, target: target, source: source, since: since, reason: "no worker is ready")
    }

    /// One sender for each receiver: parcels that come back are placed anew by their target.
    private func sender(to path: String) -> ParcelSender {
        if let sender = senders[path] { return sender }
        let sender = ParcelSender(reconnectingTo: path) { [self] delivery in
            loop.execute { self.delivered(delivery, to: path) }
        }
        senders[path] = sender
        return sender
    }

    private func delivered(_ delivery: ParcelSender.Delivery, to path: String) {
        admission.dismiss(delivery.handedOver + delivery.lost)
        tally.withLock {
            $0.delivered(
                handedOver: delivery.handedOver, returned: delivery.returned.count, failures: delivery.failuresByLabel)
        }
        if delivery.lost > 0 {
            log.warning("connections in doubt were closed", metadata: ["count": "\(delivery.lost)"])
        }
        for box in delivery.returned {
            guard var parcel = box.take() else { continue }
            let target = parcel.metadata.target
            let stamp = parcel.metadata.annotations[SessionAnnotation.detachedAt] ?? []
            let since = stamp.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let source = parcel.metadata.source?.address
            let placement = parcel.metadata.takePlacement() ?? 0
            let isCounted = workers.first { $0.socket == path }?.underWay.remove(placement) != nil
            if !isCounted { admission.adopt(from: source) }
            retry(
                DetachedConnection(parcel), target: target, source: source, since: since,
                reason: delivery.reason ?? "the worker did not take it", from: path)
        }
    }

    /// What a worker never tells of is not counted for ever.
    private func sweepLater(_ worker: WorkerHandle) {
        guard !worker.isSweepDue else { return }
        worker.isSweepDue = true
        let bound = NIOLoopBound(worker, eventLoop: loop)
        loop.scheduleTask(in: .nanoseconds(Int64(Placements.patience))) { [self] in
            let worker = bound.value
            worker.isSweepDue = false
            let overdue = worker.underWay.removeOverdue(at: MonotonicTime.now)
            admission.release(from: overdue)
            if !overdue.isEmpty {
                log.warning(
                    "connections in doubt are counted no more",
                    metadata: ["count": "\(overdue.count)", "worker": "\(worker.number)"])
            }
            if !worker.underWay.isEmpty { sweepLater(worker) }
        }
    }

    private func retry(
        _ box: DetachedConnection, target: Target?, source: IPAddress?, since: UInt64, reason: String,
        from path: String? = nil
    ) {
        guard MonotonicTime.now < since + Self.patience else {
            log.error(
                "a connection is closed, because nobody takes it",
                metadata: ["target": "\(target.map { "\($0)" } ?? "undecided")", "reason": "\(reason)"])
            return admission.dismiss(from: source)
        }
        log.debug("a connection waits for a worker", metadata: ["reason": "\(reason)"])
        loop.scheduleTask(in: .milliseconds(50)) { [self] in
            placeHere(box, target: target, source: source, since: since, avoiding: path)
        }
    }
}
