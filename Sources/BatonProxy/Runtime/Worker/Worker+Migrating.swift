internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore

/// Connections on their way to another host. The front asks for some at a time: while they are under way they stand still.
extension Worker {
    /// Offers connections that have not been offered in this sweep to the migration process, and tells the front how that
    /// ended and how many are left to be offered.
    func migrate(to path: String, sweep: UInt64, limit: Int) {
        guard case .serving = phase else { return answer(sweep, handedOver: 0, returned: 0) }
        let mark = withUnsafeBytes(of: sweep.bigEndian) { Array($0) }
        var boxes: [DetachedConnection] = []
        for session in Array(sessions.values) where boxes.count < limit {
            guard session.mayLeaveHost, isUnmarked(session, mark), var parcel = detach(session)?.take() else {
                continue
            }
            parcel.metadata.annotations[SessionAnnotation.sweep] = mark
            boxes.append(DetachedConnection(parcel))
        }
        guard !boxes.isEmpty else { return answer(sweep, handedOver: 0, returned: 0) }
        migrationCourier(to: path, sweep).send(boxes)
    }

    private func isUnmarked(_ session: Session, _ mark: [UInt8]) -> Bool {
        guard let handler = try? session.clientHandler() else { return true }
        return handler.metadata.annotations[SessionAnnotation.sweep] != mark
    }

    private func migrationCourier(to path: String, _ sweep: UInt64) -> ParcelCourier {
        if let (courier, current) = migrator, courier.path == path, current == sweep { return courier }
        let courier = ParcelCourier(path: path) { [self] delivery in
            loop.execute { self.migrated(delivery, sweep) }
        }
        migrator = (courier, sweep)
        return courier
    }

    private func migrated(_ delivery: ParcelCourier.Delivery, _ sweep: UInt64) {
        underWay -= delivery.handedOver + delivery.returned.count + delivery.lost
        report.movesFailed += delivery.lost
        for box in delivery.returned {
            if let parcel = box.take() { serve(parcel) }
        }
        answer(sweep, handedOver: delivery.handedOver, returned: delivery.returned.count)
        endIfDone()
    }

    private func answer(_ sweep: UInt64, handedOver: Int, returned: Int) {
        let mark = withUnsafeBytes(of: sweep.bigEndian) { Array($0) }
        report.connections = sessions.count + underWay
        link?.send(.report(report))
        link?.send(
            .migrated(
                sweep: sweep, handedOver: handedOver, returned: returned,
                left: sessions.values.count { isUnmarked($0, mark) }))
    }
}
