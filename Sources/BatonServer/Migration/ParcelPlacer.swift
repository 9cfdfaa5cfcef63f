internal import BatonCore
internal import BatonNIO
internal import Dispatch
internal import Handoff
internal import Logging
internal import Synchronization

/// Gives connections to the workers of this host, each in turn, and tries again when they do not take them.
final class ParcelPlacer: Sendable {
    private struct State {
        var workers: [String] = []
        var turn = 0
        var senders: [String: ParcelSender] = [:]
    }

    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "baton.placer")
    private let log: Logger
    /// Called for each parcel: whether somebody took it. On any thread.
    private let settled: @Sendable (_ placed: Int, _ lost: Int) -> Void

    /// A connection that nobody takes for this long is closed, in nanoseconds.
    private static let patience: UInt64 = 5_000_000_000

    init(log: Logger, settled: @escaping @Sendable (_ placed: Int, _ lost: Int) -> Void) {
        self.log = log
        self.settled = settled
    }

    /// The parcel sockets of the workers from now on.
    func use(_ workers: [String]) {
        state.withLock { state in
            state.workers = workers
            state.senders = state.senders.filter { workers.contains($0.key) }
        }
    }

    /// Gives the connection to the next worker. A target that names another program is no reason to give it there: what
    /// programs were given never comes here, and another host has no say in who is connected to.
    func place(_ parcel: consuming Parcel) {
        parcel.metadata.stampDetached()
        place(parcel, since: MonotonicTime.now)
    }

    private func place(_ parcel: consuming Parcel, since: UInt64) {
        let box = DetachedConnection(parcel)
        let sender = state.withLock { state -> ParcelSender? in
            guard !state.workers.isEmpty else { return nil }
            state.turn = (state.turn + 1) % state.workers.count
            let path = state.workers[state.turn]
            if let sender = state.senders[path] { return sender }
            let sender = ParcelSender(reconnectingTo: path) { [self] delivery in delivered(delivery) }
            state.senders[path] = sender
            return sender
        }
        guard let sender else { return retry(box, since: since, reason: "no worker is ready") }
        sender.send([box])
    }

    private func delivered(_ delivery: ParcelSender.Delivery) {
        if delivery.handedOver + delivery.lost > 0 { settled(delivery.handedOver, delivery.lost) }
        for box in delivery.returned {
            guard let parcel = box.take() else { continue }
            let stamp = parcel.metadata.annotations[SessionAnnotation.detachedAt] ?? []
            let since = stamp.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            retry(DetachedConnection(parcel), since: since, reason: delivery.reason ?? "the worker did not take it")
        }
    }

    private func retry(_ box: DetachedConnection, since: UInt64, reason: String) {
        guard MonotonicTime.now < since + Self.patience else {
            log.error("a connection is closed, because no worker takes it", metadata: ["reason": "\(reason)"])
            _ = box.take()
            return settled(0, 1)
        }
        queue.asyncAfter(deadline: .now() + .milliseconds(50)) { [self] in
            if let parcel = box.take() { place(parcel, since: since) }
        }
    }
}
