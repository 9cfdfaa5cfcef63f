import BatonNIO
import NIOCore
import NIOPosix
import Synchronization

/// The other fronts: hands connections to them, and tries again while one of them is being deployed.
actor Neighbours {
    private static let patience = Duration.seconds(10)
    private let cluster: Cluster
    private var bootstrap: ConnectionBootstrap?
    private var senders: [String: HandoffSender] = [:]
    /// Connections on their way, which are in no channel.
    private let deliveries = Atomic<Int>(0)

    init(_ cluster: Cluster) { self.cluster = cluster }

    /// What nobody takes is served by this bootstrap again.
    func serve(_ bootstrap: ConnectionBootstrap) { self.bootstrap = bootstrap }

    /// Hands a connection to a front. One that does not take it in time leaves it with us: `Seat.stranded`.
    /// It is counted before this returns, so that the process does not end between the two.
    nonisolated func deliver(_ connection: DetachedConnection, to front: String, on loop: any EventLoop) {
        deliveries.add(1, ordering: .sequentiallyConsistent)
        Task {
            await tryToDeliver(connection, to: front, on: loop)
            deliveries.subtract(1, ordering: .sequentiallyConsistent)
        }
    }

    /// Waits until every connection has got to its front, or has come back.
    func finish() async {
        while deliveries.load(ordering: .sequentiallyConsistent) > 0 { try? await Task.sleep(for: .milliseconds(20)) }
    }

    private func tryToDeliver(_ connection: DetachedConnection, to front: String, on loop: any EventLoop) async {
        var connection = connection
        let end = ContinuousClock.now + Self.patience
        while ContinuousClock.now < end {
            if let sender = await sender(to: front) {
                switch await sender.offer(connection) {
                case .handedOver, .closed: return
                case .returned(let back, let reason):
                    connection = back
                    // The channel is as good as new if the front has merely declined.
                    if reason == nil { senders[front] = nil }
                }
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
        guard let bootstrap, let parcel = connection.take() else { return }
        let arrival = Arrival.returned(applicationState: (try? Seat.stranded.encoded()) ?? [])
        _ = try? await bootstrap.attach(parcel, on: loop, arrival: arrival).get()
    }

    private func sender(to front: String) async -> HandoffSender? {
        if let sender = senders[front], sender.isOpen { return sender }
        let path = cluster.handoffPath(of: front)
        // It waits for the other process, so not on a thread that others need.
        let sender = try? await NIOThreadPool.singleton.runIfActive { try HandoffSender(to: path) }
        senders[front] = sender
        return sender
    }
}
