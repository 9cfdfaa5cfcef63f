import BatonNIO
import NIOCore
import NIOPosix

/// The process that knows no TLS: hands connections to the worker, and goes on with those that come back.
actor Parent {
    private let group: any EventLoopGroup
    private let path: String
    private var sender: HandoffSender?

    init(_ group: any EventLoopGroup, worker path: String) {
        self.group = group
        self.path = path
    }

    nonisolated var bootstrap: ConnectionBootstrap {
        ConnectionBootstrap(group: group) { channel, arrival in
            // A client that does not read its answers is not read either.
            try channel.pipeline.syncOperations.addHandler(BackPressureHandler())
            try channel.pipeline.syncOperations.addHandler(GreetingHandler(self, arrival))
        }
    }

    /// Offers a plain connection to the worker. One that nobody takes comes back to `eventLoop`.
    func handOver(_ connection: DetachedConnection, from eventLoop: any EventLoop) async {
        guard case .returned(let box, _) = await offer(connection), let parcel = box.take() else { return }
        print("the worker has not taken a connection")
        _ = bootstrap.attach(parcel, on: eventLoop, arrival: .returned(applicationState: []))
    }

    private func offer(_ connection: DetachedConnection) async -> HandoffSender.Fate {
        guard let sender = await openSender() else { return .returned(connection, nil) }
        return await sender.offer(connection)
    }

    /// A worker that has gone may have been replaced by another.
    private func openSender() async -> HandoffSender? {
        if let sender, sender.isOpen { return sender }
        let path = path
        // It waits for the other process, so not on a thread that others need.
        sender = try? await NIOThreadPool.singleton.runIfActive { try HandoffSender(to: path) }
        return sender
    }
}
