internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import NIOCore

/// Gives sessions of a worker to others: takes them out of their channels or of the engine, offers them, and has served
/// here what comes back. Used on the worker's event loop only.
final class SessionOffers {
    /// What sessions are offered for.
    enum Purpose: Hashable, Sendable {
        /// Another worker is to serve them.
        case move
        /// Another host is to: a sweep of a drain, by its number. They carry its mark.
        case sweep(UInt64)
    }

    /// Sessions that go together. While they are under way they stand still.
    struct Batch {
        let purpose: Purpose
        /// How many at most.
        let limit: Int
        /// The number of the next that may go. `nil`: there is none.
        let next: () -> UInt64?
        /// Whether a session that NIO serves may leave now.
        var mayLeave: (Session) -> Bool = { _ in true }
        /// Those that are here still, though they were next.
        var stayed: ([UInt64]) -> Void = { _ in }
        /// Who gets them, each in turn, when they have been taken out. Nobody: they are served here.
        let receivers: () -> [String]
    }

    /// What has become of a batch, or of what was offered together.
    enum Outcome {
        /// Nothing could leave.
        case none
        /// They have been taken out, and are served here, for they are not wanted elsewhere any more.
        case kept
        case delivered(ParcelSender.Delivery)
    }

    struct Actions {
        /// A session that NIO serves.
        let session: (UInt64) -> Session?
        let serve: (consuming Parcel) -> Void
        /// A session cannot leave now.
        let hindered: (any Error) -> Void
        let settled: (Purpose, Outcome) -> Void
    }

    private struct Way: Hashable {
        let purpose: Purpose
        let path: String
    }

    private let loop: any EventLoop
    private let relays: Relays
    private let actions: Actions
    private var senders: [Way: ParcelSender] = [:]
    private var turn = RoundRobin()
    /// Batches that are being taken out of the engine.
    private var gathering = 0

    /// Connections on their way: not served here, and not gone either.
    private(set) var count = 0

    init(of relays: Relays, on loop: any EventLoop, _ actions: Actions) {
        self.relays = relays
        self.loop = loop
        self.actions = actions
    }

    /// Whether the end of anything is to be told still.
    var isBusy: Bool { count > 0 || gathering > 0 }

    /// Offers sessions. What becomes of them is told by `settled`, once for each time that some were offered together.
    func offer(_ batch: Batch) {
        var boxes: [ParcelBox] = []
        var relayed: [UInt64] = []
        var stayed: [UInt64] = []
        while boxes.count + relayed.count < batch.limit, let number = batch.next() {
            if relays.isHere(number) {
                relayed.append(number)
            } else if let session = actions.session(number) {
                if batch.mayLeave(session), let box = detach(session) {
                    boxes.append(box)
                } else {
                    stayed.append(number)
                }
            }
        }
        gathering += 1
        relays.take(relayed) { [self] taken in
            gathering -= 1
            count += taken.count
            let left = Set(relayed).subtracting(taken.map(\.number)).filter(relays.isHere)
            batch.stayed(left + stayed)
            send(boxes + taken.map(\.box), of: batch)
        }
    }

    private func detach(_ session: Session) -> ParcelBox? {
        do {
            var parcel = try session.detach()
            parcel.metadata.stampDetached()
            parcel.metadata.idleFor = session.idleTime(at: MonotonicTime.now)
            count += 1
            return ParcelBox(parcel)
        } catch {
            actions.hindered(error)
            return nil
        }
    }

    private func send(_ boxes: [ParcelBox], of batch: Batch) {
        guard !boxes.isEmpty else { return actions.settled(batch.purpose, .none) }
        let receivers = batch.receivers()
        guard !receivers.isEmpty else {
            count -= boxes.count
            serve(boxes)
            return actions.settled(batch.purpose, .kept)
        }
        var shares = receivers.map { _ in [ParcelBox]() }
        for box in boxes {
            guard let index = turn.next(of: receivers.indices) else { break }
            shares[index].append(Self.marked(box, for: batch.purpose))
        }
        for (path, share) in zip(receivers, shares) {
            sender(for: Way(purpose: batch.purpose, path: path)).send(share)
        }
    }

    private static func marked(_ box: ParcelBox, for purpose: Purpose) -> ParcelBox {
        guard case .sweep(let number) = purpose, var parcel = box.take() else { return box }
        parcel.metadata.annotations[SessionAnnotation.sweep] = MigrationSweep.mark(number)
        return ParcelBox(parcel)
    }

    private func sender(for way: Way) -> ParcelSender {
        if let sender = senders[way] { return sender }
        let offers = NIOLoopBound(self, eventLoop: loop)
        let sender = ParcelSender(reconnectingTo: way.path) { [loop] delivery in
            loop.execute { offers.value.delivered(delivery, way.purpose) }
        }
        // Of a sweep before this one nothing more is offered.
        if case .sweep = way.purpose {
            senders = senders.filter { $0.key.purpose == .move || $0.key.purpose == way.purpose }
        }
        senders[way] = sender
        return sender
    }

    private func delivered(_ delivery: ParcelSender.Delivery, _ purpose: Purpose) {
        count -= delivery.count
        serve(delivery.returned)
        actions.settled(purpose, .delivered(delivery))
    }

    private func serve(_ boxes: [ParcelBox]) {
        for box in boxes {
            if let parcel = box.take() { actions.serve(parcel) }
        }
    }

    /// Takes back what workers other than these have not been offered yet: they are gone, or do not answer.
    func recall(allBut paths: [String]) {
        for (way, sender) in senders where way.purpose == .move && !paths.contains(way.path) { sender.recall() }
    }
}
