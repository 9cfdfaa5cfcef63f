internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore

/// Connections for programs of somebody else's (`worker:/PATH`), whose first request line was read here.
extension Worker {
    /// A connection that no program has taken for this long is closed.
    private static let patience: UInt64 = 30_000_000_000

    /// Hands a connection to the program that listens at `path`. It finds the bytes read as they are.
    func handOut(_ parcel: consuming Parcel, to path: String) {
        parcel.applicationState = SessionState(parcel.applicationState)?.received ?? []
        parcel.metadata.stampDetached()
        underWayToPrograms += 1
        program(at: path).send([DetachedConnection(parcel)])
    }

    private func program(at path: String) -> ParcelSender {
        if let sender = programs[path] { return sender }
        let sender = ParcelSender(reconnectingTo: path) { [self] delivery in
            loop.execute { self.handedOut(delivery, to: path) }
        }
        programs[path] = sender
        return sender
    }

    private func handedOut(_ delivery: ParcelSender.Delivery, to path: String) {
        // What has come back stays under way until it has been offered again.
        underWayToPrograms -= delivery.handedOver + delivery.lost
        report.movesOut += delivery.handedOver
        report.movesFailed += delivery.returned.count + delivery.lost
        report.failures.add(delivery.failuresByLabel)
        for box in delivery.returned {
            guard let parcel = box.take() else { continue }
            let reason = delivery.reason ?? "it was not taken"
            guard MonotonicTime.now < (parcel.metadata.detachedAt ?? 0) + Self.patience else {
                underWayToPrograms -= 1
                log.error(
                    "a connection is closed, because nobody takes it",
                    metadata: ["target": "worker:\(path)", "reason": "\(reason)"])
                continue
            }
            log.debug("a connection waits for a program", metadata: ["path": "\(path)", "reason": "\(reason)"])
            let again = DetachedConnection(parcel)
            loop.scheduleTask(in: .milliseconds(50)) { self.program(at: path).send([again]) }
        }
        reportSoon()
        endIfDone()
    }
}
