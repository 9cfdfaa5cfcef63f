internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore

/// Connections on their way to another host. The front asks for some at a time: while they are under way they stand still.
extension Worker {
    /// Offers connections that have not been offered in this sweep to the migration process, and tells the front how that
    /// ended and how many are left to be offered.
    func migrate(to path: String, sweep number: UInt64, limit: Int) {
        guard case .serving = phase else { return answer(number, handedOver: 0, returned: 0) }
        var sweep = self.sweep.flatMap { $0.number == number ? $0 : nil } ?? begin(number, to: path)
        var boxes: [ParcelBox] = []
        var relayed: [UInt64] = []
        var busy: [UInt64] = []
        while boxes.count + relayed.count < limit, let id = sweep.waiting.popLast() {
            if relays.isHere(id) {
                relayed.append(id)
            } else if let session = sessions[id] {
                guard session.mayLeaveHost, let box = detach(session) else {
                    busy.append(id)
                    continue
                }
                boxes.append(box)
            }
        }
        sweep.waiting.insert(contentsOf: busy, at: 0)
        self.sweep = sweep
        let sender = sweep.sender
        relays.take(relayed) { [self] taken in
            underWay += taken.count
            let stayed = Set(relayed).subtracting(taken.map(\.number)).filter(relays.isHere)
            if self.sweep?.number == number { self.sweep?.waiting.insert(contentsOf: stayed, at: 0) }
            let taken = boxes + taken.map(\.box)
            guard !taken.isEmpty else { return answer(number, handedOver: 0, returned: 0) }
            sender.send(taken.compactMap { Self.marked($0, number) })
        }
    }

    private static func marked(_ box: ParcelBox, _ number: UInt64) -> ParcelBox? {
        guard var parcel = box.take() else { return nil }
        parcel.metadata.annotations[SessionAnnotation.sweep] = mark(number)
        return ParcelBox(parcel)
    }

    /// What another worker has offered in this sweep and what stayed is not offered again.
    private func begin(_ number: UInt64, to path: String) -> MigrationSweep {
        let mark = Self.mark(number)
        let waiting = sessions.filter { _, session in
            (try? session.clientHandler())?.metadata.annotations[SessionAnnotation.sweep] != mark
        }
        let sender = ParcelSender(reconnectingTo: path) { [self] delivery in
            loop.execute { self.migrated(delivery, number) }
        }
        return MigrationSweep(
            number: number, sender: sender, waiting: Array(waiting.keys) + relays.numbers(withoutSweep: mark))
    }

    private static func mark(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

    private func migrated(_ delivery: ParcelSender.Delivery, _ number: UInt64) {
        underWay -= delivery.handedOver + delivery.returned.count + delivery.lost
        report.movesFailed += delivery.lost
        for box in delivery.returned {
            if let parcel = box.take() { serve(parcel) }
        }
        answer(number, handedOver: delivery.handedOver, returned: delivery.returned.count)
        endIfDone()
    }

    private func answer(_ number: UInt64, handedOver: Int, returned: Int) {
        report.connections = connectionCount
        link?.send(.report(report))
        let left = sweep.map { $0.number == number ? $0.waiting.count : 0 } ?? 0
        link?.send(.migrated(sweep: number, handedOver: handedOver, returned: returned, left: left))
    }
}
