internal import BatonCore
internal import Dispatch
internal import Synchronization

/// Hands parcels to one other process, from any thread. What is offered while an offer is under way goes together in the
/// next, as much of it as one offer should carry.
///
/// It works on a serial queue of its own, which has a thread while there is something to do: many senders that rest cost
/// nothing, and a receiver that does not answer holds up no other.
public final class ParcelSender: Sendable {
    /// What became of an offered parcel.
    public enum Fate: Sendable {
        /// The receiver owns it.
        case handedOver
        /// It is the caller's again, to go on here or to be offered to another process; with the receiver's reason, if the
        /// receiver gave one.
        case returned(ParcelBox, DeclineReason?)
        /// Nobody could be told to let go of it, so it was closed rather than owned twice.
        case closed
    }

    private typealias Completion = @Sendable (Fate) -> Void

    private struct Item: Sendable {
        let box: ParcelBox
        /// `nil`: its fate is part of a `Delivery`.
        let completion: Completion?
    }

    private struct State {
        var waiting: [Item] = []
        var isRunning = false
        var isClosing = false
        /// The channel is closed and is not opened again.
        var hasEnded = false
    }

    private enum Task {
        case offer([Item])
        case close
    }

    /// Where the channel is opened again when it has failed.
    private struct Place: Sendable {
        let path: String
        let users: TrustedUsers
    }

    /// The most bytes of one offer, unless a parcel alone has more: slow readers' bytes must not gather to more than a
    /// receiver takes, or copies in good time.
    package static let maxBytes = 8 << 20

    private let place: Place?
    private let timeLimit: Duration
    private let maxParcels: Int
    private let delivered: @Sendable (Delivery) -> Void
    private let state = Mutex(State())
    private let channel: Mutex<OwnerChannel?>
    private let queue = DispatchQueue(label: "baton.sender")

    private init(
        _ channel: consuming OwnerChannel?, at place: Place?, timeLimit: Duration, maxParcels: Int,
        delivered: @escaping @Sendable (Delivery) -> Void
    ) {
        self.channel = Mutex(consume channel)
        self.place = place
        self.timeLimit = timeLimit
        self.maxParcels = maxParcels
        self.delivered = delivered
    }

    /// The owner's end of `socket`.
    ///
    /// - Parameter timeLimit: after which an offer that is not answered is taken back.
    public convenience init(_ socket: consuming HandoffSocket, timeLimit: Duration = .seconds(5)) {
        self.init(OwnerChannel(socket), at: nil, timeLimit: timeLimit, maxParcels: 1_000) { _ in }
    }

    /// Connects to the process that listens at `path`; waits for it at most two seconds.
    public convenience init(
        to path: String, trusting users: TrustedUsers = .sameUser, timeLimit: Duration = .seconds(5)
    ) throws(HandoffError) {
        self.init(
            try HandoffSocket.connect(to: path, trusting: users, deadline: .after(.seconds(2))), timeLimit: timeLimit)
    }

    /// Connects to whoever listens at `path` when there is something to offer, and again when that process has gone and
    /// another has taken its place.
    ///
    /// - Parameters:
    ///   - timeLimit: how long a receiver may take to answer; the connections stand still meanwhile.
    ///   - maxParcels: of one offer. More would keep its first connection waiting for its last.
    ///   - delivered: called after each offer for what was given to `send`, on the sender's thread.
    package convenience init(
        reconnectingTo path: String, trusting users: TrustedUsers = .sameUser, timeLimit: Duration = .seconds(3),
        maxParcels: Int = 64, delivered: @escaping @Sendable (Delivery) -> Void
    ) {
        self.init(
            nil, at: Place(path: path, users: users), timeLimit: timeLimit, maxParcels: maxParcels,
            delivered: delivered)
    }

    // MARK: Offering

    /// Offers a parcel. `completion` is called once, on the sender's thread, or on the caller's if nothing can be offered any
    /// more; it must not wait.
    public func offer(_ parcel: consuming Parcel, completion: @escaping @Sendable (Fate) -> Void) {
        let box = ParcelBox(parcel)
        if !enqueue([Item(box: box, completion: completion)]) { completion(.returned(box, nil)) }
    }

    /// Offers a connection and waits for its fate. One that has been taken already is `closed`.
    public func offer(_ box: ParcelBox) async -> Fate {
        await withCheckedContinuation { continuation in
            if let parcel = box.take() {
                offer(parcel) { continuation.resume(returning: $0) }
            } else {
                continuation.resume(returning: .closed)
            }
        }
    }

    /// Offers parcels; `delivered` tells their fates.
    package func send(_ parcels: [ParcelBox]) {
        guard !parcels.isEmpty else { return }
        if !enqueue(parcels.map { Item(box: $0, completion: nil) }) {
            delivered(Delivery(returned: parcels, reason: "the sender is closed", .unreachable(.channelEnded)))
        }
    }

    /// Gives back what has not been offered yet, because the receiver is known not to answer. What is being offered comes
    /// back with the end of its offer.
    package func recall() {
        let items = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        giveBack(items, reason: "the receiver does not answer", .declined(.unresponsive))
    }

    /// Whether offers can still be made.
    public var isOpen: Bool {
        noticeEnd()
        return state.withLock { !$0.isClosing && !$0.hasEnded }
    }

    /// Closes the channel when everything offered so far has met its fate, and the receiver has confirmed it or its time is
    /// over.
    public func close() {
        start { $0.isClosing = true }
    }

    /// A receiver may go while nothing is offered to it. During an offer its end shows by itself.
    private func noticeEnd() {
        guard place == nil else { return }
        let hasFailed = channel.withLockIfAvailable { channel in
            guard channel != nil else { return true }
            _ = channel!.step()
            return channel?.failure != nil
        }
        if hasFailed == true { state.withLock { $0.hasEnded = true } }
    }

    /// Returns whether they will be offered.
    private func enqueue(_ items: [Item]) -> Bool {
        start { state in
            guard !state.isClosing, !state.hasEnded else { return false }
            state.waiting += items
            return true
        }
    }

    /// Sees that what `change` gives to do is done.
    private func start<R: Sendable>(_ change: (inout State) -> R) -> R {
        let (result, mustRun) = state.withLock { state in
            let result = change(&state)
            let mustRun = !state.isRunning && (!state.waiting.isEmpty || (state.isClosing && !state.hasEnded))
            if mustRun { state.isRunning = true }
            return (result, mustRun)
        }
        if mustRun { queue.async { self.run() } }
        return result
    }

    // MARK: On the queue

    private func run() {
        while let task = nextTask() {
            switch task {
            case .offer(let items): offer(items)
            case .close: closeChannel()
            }
        }
    }

    private func nextTask() -> Task? {
        state.withLock { state in
            let items = batch(of: state.waiting)
            guard items.isEmpty else {
                state.waiting.removeFirst(items.count)
                return .offer(items)
            }
            if state.isClosing, !state.hasEnded { return .close }
            state.isRunning = false
            return nil
        }
    }

    /// The first of `waiting` that go together.
    private func batch(of waiting: [Item]) -> [Item] {
        var bytes = 0
        return Array(
            waiting.prefix(maxParcels).enumerated().prefix { index, item in
                bytes += item.box.pendingByteCount
                return index == 0 || bytes <= Self.maxBytes
            }.map(\.element))
    }

    private func offer(_ items: [Item]) {
        var offered: [Item] = []
        var fates: [Fate] = []
        var delivery = Delivery()
        var obstacle: HandoffError?
        channel.withLock { channel in
            do throws(HandoffError) {
                try connect(&channel)
            } catch {
                obstacle = error
                return
            }
            var batch = ParcelBatch()
            batch.reserveCapacity(items.count)
            for item in items {
                if let parcel = item.box.take() {
                    batch.append(parcel)
                    offered.append(item)
                } else {
                    item.completion?(.closed)
                }
            }
            guard !batch.isEmpty, channel != nil else { return }
            let outcome = channel!.offer(batch, deadline: .after(timeLimit))
            if channel?.failure != nil { channel = nil }
            (fates, delivery) = Self.read(outcome, of: offered)
        }
        if let obstacle { return giveBack(items, reason: "\(obstacle)", .unreachable(obstacle.code)) }
        for (item, fate) in zip(offered, fates) { item.completion?(fate) }
        if offered.contains(where: { $0.completion == nil }) { delivered(delivery) }
    }

    /// The fate of each, and those of all that have no completion of their own.
    private static func read(_ outcome: consuming OfferOutcome, of offered: [Item]) -> ([Fate], Delivery) {
        let settlement = outcome.settlement
        var delivery = Delivery(reason: settlement.obstacle(outcome.error))
        var boxes: [ParcelBox] = []
        outcome.returned.consumeEach { boxes.append(ParcelBox($0)) }
        var returned = boxes.makeIterator()
        var fates: [Fate] = []
        for (item, fate) in zip(offered, settlement.fates) {
            let own: Fate =
                switch fate {
                case .handedOver: .handedOver
                case .closed: .closed
                case .declined(let reason): returned.next().map { .returned($0, reason) } ?? .closed
                case .takenBack: returned.next().map { .returned($0, nil) } ?? .closed
                }
            fates.append(own)
            if item.completion == nil { delivery.count(own, settlement.ending) }
        }
        return (fates, delivery)
    }

    private func connect(_ channel: inout OwnerChannel?) throws(HandoffError) {
        guard let place else {
            guard channel == nil else { return }
            state.withLock { $0.hasEnded = true }
            throw HandoffError(.channelEnded, "the receiver closed the channel or terminated; offer to another")
        }
        // A receiver that has gone since the last offer is noticed before anything is offered to it.
        if channel != nil {
            _ = channel!.step()
            do throws(HandoffError) {
                if let failure = channel?.failure { throw failure }
                try channel!.awaitConfirmation(deadline: .after(timeLimit))
            } catch {
                channel = nil
            }
        }
        guard channel == nil else { return }
        channel = OwnerChannel(
            try .connect(to: place.path, trusting: place.users, deadline: .after(timeLimit)))
    }

    private func giveBack(_ items: [Item], reason: String, _ failure: Delivery.Failure) {
        for item in items { item.completion?(.returned(item.box, nil)) }
        let boxes = items.filter { $0.completion == nil }.map(\.box)
        if !boxes.isEmpty { delivered(Delivery(returned: boxes, reason: reason, failure)) }
    }

    private func closeChannel() {
        channel.withLock { channel in
            if channel != nil { try? channel!.awaitConfirmation(deadline: .after(timeLimit)) }
            channel = nil
        }
        state.withLock { $0.hasEnded = true }
    }
}
