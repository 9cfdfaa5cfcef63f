internal import BatonCore
internal import BatonNIO
internal import Handoff

/// Gives parcels to others: has a receiver chosen for each, offers it, and offers what comes back once more, until its
/// patience is over. It is used by one thread at a time, the one on which `run` has things done.
final class Placer: @unchecked Sendable {
    /// What its owner decides and hears.
    struct Actions {
        /// Who may have this one.
        let choose: (PlacementOrder) -> PlacementPlan.Receivers
        /// An offer has ended. Of what has come back `waits` or `abandoned` tells, too.
        let delivered: (ParcelSender.Delivery) -> Void
        /// One is offered again later, for this reason.
        var waits: (PlacementOrder, _ reason: String) -> Void = { _, _ in }
        /// One is closed, because nobody has taken it.
        let abandoned: (PlacementOrder, RelayNote?, _ reason: String) -> Void
        /// Connections of these sources are not counted here any more: they are others' to count.
        var released: ([IPAddress?]) -> Void = { _ in }
        /// One is counted here again.
        var adopted: (IPAddress?) -> Void = { _ in }
        /// So many are in doubt: they are counted no more, though the receiver at this path has not told of them.
        var doubted: (Int, _ path: String) -> Void = { _, _ in }
        /// Has something done after a time, or in its turn.
        let run: (_ delay: Duration?, @escaping @Sendable () -> Void) -> Void
    }

    private let actions: Actions
    private var plan: PlacementPlan
    private var senders: [String: ParcelSender] = [:]

    init(_ limits: PlacementLimits, numberedAfter number: UInt64 = 0, _ actions: Actions) {
        plan = PlacementPlan(limits, numberedAfter: number)
        self.actions = actions
    }

    /// Parcels that no receiver has yet.
    var count: Int { plan.count }

    /// Whether a receiver has to tell of a parcel still.
    var isAwaiting: Bool { plan.isAwaiting }

    // MARK: Placing

    /// Gives a connection to whom its target names.
    func place(_ parcel: consuming Parcel) {
        let order = PlacementOrder(parcel.metadata)
        place(ParcelBox(parcel), order)
    }

    /// - Parameter order: what the parcel's own metadata say, or will.
    func place(_ box: ParcelBox, _ order: PlacementOrder) {
        plan.begin()
        offer(box, order)
    }

    private func offer(_ box: ParcelBox, _ order: PlacementOrder) {
        guard let offer = plan.offer(order, to: actions.choose(order), at: MonotonicTime.now) else {
            return retry(box, order, reason: "no worker is ready")
        }
        if let delay = offer.looksAfter { look(at: offer.path, after: delay) }
        guard let number = offer.number else {
            actions.released([order.source])
            return sender(to: offer.path).send([box])
        }
        guard var parcel = box.take() else { return }
        parcel.metadata.mark(placement: number)
        sender(to: offer.path).send([ParcelBox(parcel)])
    }

    private func sender(to path: String) -> ParcelSender {
        if let sender = senders[path] { return sender }
        let sender = ParcelSender(reconnectingTo: path) { [self] delivery in
            actions.run(nil) { self.delivered(delivery, by: path) }
        }
        senders[path] = sender
        return sender
    }

    private func delivered(_ delivery: ParcelSender.Delivery, by path: String) {
        plan.settle(delivery.handedOver + delivery.lost)
        actions.delivered(delivery)
        for box in delivery.returned {
            guard var parcel = box.take() else { continue }
            var order = PlacementOrder(parcel.metadata)
            order.avoided = path
            if let source = plan.remove(parcel.metadata.takePlacement() ?? 0, at: path) {
                // It may have been counted before its source was known.
                order.source = source
            } else {
                actions.adopted(order.source)
            }
            retry(ParcelBox(parcel), order, reason: delivery.reason ?? "the worker did not take it")
        }
    }

    private func retry(_ box: ParcelBox, _ order: PlacementOrder, reason: String) {
        switch plan.retry(order, at: MonotonicTime.now) {
        case .after(let delay):
            actions.waits(order, reason)
            actions.run(delay) { [self] in offer(box, order) }
        case .givenUp:
            var note: RelayNote?
            if let parcel = box.take() { note = RelayNote(parcel.metadata, parcel.info, tellsSubject: true) }
            actions.abandoned(order, note, reason)
        }
    }

    // MARK: Receivers

    /// A receiver tells that it has these.
    func arrived(_ numbers: [UInt64], at path: String) {
        for number in numbers {
            if let source = plan.remove(number, at: path) { actions.released([source]) }
        }
    }

    /// Gives nobody what this receiver has not been offered yet: it is known not to answer.
    func recall(from path: String) { senders[path]?.recall() }

    /// A receiver is gone.
    func forget(_ path: String) {
        actions.released(plan.removeAll(at: path))
        senders[path] = nil
    }

    /// Receivers other than these are gone.
    func forget(allBut paths: [String]) {
        for path in senders.keys where !paths.contains(path) { forget(path) }
    }

    /// What a receiver never tells of is not counted for ever.
    private func look(at path: String, after delay: Duration) {
        actions.run(delay) { [self] in
            let overdue = plan.removeOverdue(at: path, at: MonotonicTime.now)
            actions.released(overdue.sources)
            if !overdue.sources.isEmpty { actions.doubted(overdue.sources.count, path) }
            if let delay = overdue.looksAfter { look(at: path, after: delay) }
        }
    }
}
