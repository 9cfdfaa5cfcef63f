internal import Glibc
public import Handoff
internal import NIOPosix
internal import Synchronization

/// Hands connections to one other process, from any thread: the owner's end of a handoff channel with a thread of its own.
/// What is offered while an offer is under way goes together in the next.
public final class HandoffSender: Sendable {
    /// What became of an offered parcel.
    public enum Fate: Sendable {
        /// The receiver owns it.
        case handedOver
        /// It is the caller's again, to be attached here or offered to another process.
        case returned(DetachedConnection, DeclineReason?)
        /// Nobody could be told to let go of it, so it was closed rather than owned twice.
        case closed
    }

    typealias Completion = @Sendable (Fate) -> Void

    struct Item: Sendable {
        let connection: DetachedConnection
        let completion: Completion
    }

    struct Queue {
        var items: [Item] = []
        var isClosing = false
        var hasEnded = false
    }

    /// The most parcels of one offer.
    static let batchLimit = 1_000

    let queue = Mutex(Queue())
    let wakePipe: WakePipe
    let timeLimit: Duration
    private let socket: Mutex<HandoffSocket?>
    private let threads = NIOThreadPool(numberOfThreads: 1)

    /// The owner's end of `socket`.
    ///
    /// - Parameter timeLimit: after which an offer that is not answered is taken back.
    public init(_ socket: consuming HandoffSocket, timeLimit: Duration = .seconds(5)) throws(ConnectionError) {
        wakePipe = try WakePipe()
        self.timeLimit = timeLimit
        self.socket = Mutex(consume socket)
        threads.start()
        threads.submit { [self] _ in run() }
    }

    /// Connects to the process that listens at `path`; waits for it at most two seconds.
    public convenience init(
        to path: String, trusting users: TrustedUsers = .sameUser, timeLimit: Duration = .seconds(5)
    ) throws {
        try self.init(
            try HandoffSocket.connect(to: path, trusting: users, deadline: .after(.seconds(2))), timeLimit: timeLimit)
    }

    /// Offers a parcel. `completion` is called once, on the sender's thread; it must not wait.
    public func offer(_ parcel: consuming Parcel, completion: @escaping @Sendable (Fate) -> Void) {
        let item = Item(connection: DetachedConnection(parcel), completion: completion)
        let isTaken = queue.withLock { queue in
            guard !queue.isClosing, !queue.hasEnded else { return false }
            queue.items.append(item)
            return true
        }
        if isTaken { wakePipe.wake() } else { completion(.returned(item.connection, nil)) }
    }

    /// Offers a connection and waits for its fate. One that has been taken already is `closed`.
    public func offer(_ connection: DetachedConnection) async -> Fate {
        await withCheckedContinuation { continuation in
            if let parcel = connection.take() {
                offer(parcel) { continuation.resume(returning: $0) }
            } else {
                continuation.resume(returning: .closed)
            }
        }
    }

    /// Whether offers can still be made.
    public var isOpen: Bool { queue.withLock { !$0.isClosing && !$0.hasEnded } }

    /// Closes the channel when everything offered so far has met its fate and the receiver has confirmed it.
    public func close() {
        queue.withLock { $0.isClosing = true }
        wakePipe.wake()
    }

    private func run() {
        defer { threads.shutdownGracefully { _ in } }
        guard let socket = socket.withLock({ $0.take() }) else { return }
        var channel = OwnerChannel(socket)
        var offered: [Item] = []
        while true {
            if let outcome = channel.step() {
                settle(offered, outcome)
                offered = []
                continue
            }
            if !channel.isOffering, channel.failure == nil {
                offered = begin(&channel)
                if !offered.isEmpty { continue }
            }
            if !channel.isOffering, channel.failure != nil || isDone(channel.unconfirmedCount) { break }
            wait(channel)
            if let deadline = channel.deadline, deadline.hasPassed, let outcome = channel.expire() {
                settle(offered, outcome)
                offered = []
            }
        }
        let left = queue.withLock { queue in
            queue.hasEnded = true
            defer { queue.items = [] }
            return queue.items
        }
        for item in left { item.completion(.returned(item.connection, nil)) }
    }

    private func isDone(_ unconfirmed: Int) -> Bool {
        unconfirmed == 0 && queue.withLock { $0.isClosing && $0.items.isEmpty }
    }

    private func begin(_ channel: inout OwnerChannel) -> [Item] {
        let items = queue.withLock { queue in
            let taken = Array(queue.items.prefix(Self.batchLimit))
            queue.items.removeFirst(taken.count)
            return taken
        }
        var batch = ParcelBatch()
        batch.reserveCapacity(items.count)
        var offered: [Item] = []
        for item in items {
            guard let parcel = item.connection.take() else { continue }
            batch.append(parcel)
            offered.append(item)
        }
        if !offered.isEmpty { channel.begin(batch, deadline: .after(timeLimit)) }
        return offered
    }

    private func settle(_ offered: [Item], _ outcome: consuming OfferOutcome) {
        let fates = outcome.settlement.fates
        var returned: [DetachedConnection] = []
        outcome.returned.consumeEach { returned.append(DetachedConnection($0)) }
        var next = returned.makeIterator()
        for (item, fate) in zip(offered, fates) {
            switch fate {
            case .handedOver: item.completion(.handedOver)
            case .closed: item.completion(.closed)
            case .declined(let reason): item.completion(next.next().map { .returned($0, reason) } ?? .closed)
            case .takenBack: item.completion(next.next().map { .returned($0, nil) } ?? .closed)
            }
        }
    }

    private func wait(_ channel: borrowing OwnerChannel) {
        var polled = [
            pollfd(fd: wakePipe.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: channel.descriptor, events: channel.interest, revents: 0),
        ]
        let limit = channel.deadline.map { CInt(min($0.remainingMilliseconds, 60_000)) } ?? -1
        pollDescriptors(&polled, milliseconds: limit)
        if polled[0].revents != 0 { wakePipe.drain() }
    }
}
