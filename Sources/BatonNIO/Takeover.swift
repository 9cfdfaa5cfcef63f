public import Handoff
public import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Takes everything over from the process this one replaces: its listening sockets, then its connections. The other side is
/// a `SuccessionService`.
public struct Takeover: Sendable {
    private final class Taken: Sendable {
        let listeners = Mutex<[EventLoopFuture<Listener>]>([])
        let connections = Atomic<Int>(0)
    }

    /// What was taken over.
    public struct Outcome: Sendable {
        /// The listening sockets, which are served by this process now.
        public let listeners: [Listener]
        /// How many connections there were.
        public let connectionCount: Int
    }

    private let path: String
    private let users: TrustedUsers
    private let bootstrap: ConnectionBootstrap
    private let listeners: [String: ServerSecurity]
    private let logger: Logger

    /// Prepares to take over from the process that listens at `path`.
    ///
    /// - Parameter listeners: the listening sockets this process wants, by name, with how their connections begin. Others
    ///   are declined, and the old process keeps them.
    public init(
        from path: String, trusting users: TrustedUsers = .sameUser, bootstrap: ConnectionBootstrap,
        listeners: [String: ServerSecurity], logger: Logger = Logger(label: "baton.takeover")
    ) {
        self.path = path
        self.users = users
        self.bootstrap = bootstrap
        self.listeners = listeners
        self.logger = logger
    }

    /// Takes over; returns when the old process has handed on all it has to hand on.
    ///
    /// - Throws: `HandoffError` if nobody listens at the path: then there is nobody to replace.
    public func run() async throws -> Outcome {
        let socket = try HandoffSocket.connect(to: path, trusting: users, deadline: .after(.seconds(2)))
        let taken = Taken()
        let receiver = try ParcelReceiver(
            listener: nil, first: socket,
            decide: { [listeners] parcel in
                if parcel.sockets.isEmpty { return .decline(.unsupportedParcel) }
                guard let name = parcel.listenerName else { return .accept }
                return listeners[name] == nil ? .decline(.unsupportedParcel) : .accept
            },
            received: { [self] connections in
                for connection in connections {
                    if let parcel = connection.take() { take(parcel, taken) }
                }
            },
            report: { [logger] in $0.log(to: logger) })
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        try await threads.runIfActive { receiver.run() }
        try await threads.shutdownGracefully()
        var listeners: [Listener] = []
        for future in taken.listeners.withLock({ $0 }) { listeners.append(try await future.get()) }
        return Outcome(listeners: listeners, connectionCount: taken.connections.load(ordering: .relaxed))
    }

    private func take(_ parcel: consuming Parcel, _ taken: Taken) {
        guard let name = parcel.listenerName, let security = listeners[name] else {
            taken.connections.wrappingAdd(1, ordering: .relaxed)
            bootstrap.take(parcel, logger: logger)
            return
        }
        var sockets = DescriptorSet()
        swap(&sockets, &parcel.sockets)
        guard let descriptor = sockets.takeAll().first else { return }
        let listener = bootstrap.listen(takingOver: descriptor, security, name: name)
        taken.listeners.withLock { $0.append(listener) }
    }
}
