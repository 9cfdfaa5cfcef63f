public import Handoff
public import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Takes everything over from the process this one replaces: its listening sockets, then its connections. The other side is
/// a `SuccessionService`.
public struct Takeover: Sendable {
    /// What was taken over.
    public struct Outcome: Sendable {
        /// The listening sockets, which are served by this process now.
        public let listeners: [Listener]
        /// The names of listeners that were offered and declined, because this process does not want them. The old process
        /// knows, and serves them as long as it lives.
        public let declinedListeners: [String]
        /// The names of listeners that this process wants and was not offered.
        public let missingListeners: [String]
        /// Listeners that were taken and could not be listened at, with the reason. They are closed.
        public let failedListeners: [String: any Error]
        /// How many connections were taken over and go on here.
        public let connectionCount: Int
        /// How many connections were taken over and could not go on, because the initializer or the system refused.
        public let failedConnectionCount: Int
    }

    private final class Taken: Sendable {
        let listeners = Mutex<[(name: String, listener: EventLoopFuture<Listener>)]>([])
        let declined = Mutex<[String]>([])
        let connections = Mutex<[EventLoopFuture<any Channel>]>([])
    }

    private let path: String
    private let users: TrustedUsers
    private let bootstrap: ConnectionBootstrap
    private let listeners: [String: ServerSecurity]
    private let logger: Logger

    /// Prepares to take over from the process that listens at `path`.
    ///
    /// - Parameters:
    ///   - path: of the old process's Unix socket.
    ///   - users: who may be the old process.
    ///   - bootstrap: makes channels of what comes.
    ///   - listeners: the listening sockets this process wants, by name, with how their connections begin. Each of the others is
    ///     declined, and the old process keeps it.
    ///   - logger: is told what could not be taken.
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

    /// Takes over; returns when the old process has handed on all it has to hand on. If that process fails midway, what it
    /// handed on by then is this process's, and the outcome tells what that is.
    ///
    /// - Throws: `HandoffError`; `nobodyListening` if nobody listens at the path: then there is nobody to replace.
    public func run() async throws -> Outcome {
        let socket = try HandoffSocket.connect(to: path, trusting: users, deadline: .after(.seconds(2)))
        let taken = Taken()
        let receiver = try ParcelReceiver(
            listener: nil, first: socket,
            decide: { [listeners] parcel in
                if parcel.sockets.isEmpty { return .decline(.unsupportedParcel) }
                guard let name = parcel.listenerName, listeners[name] == nil else { return .accept }
                taken.declined.withLock { $0.append(name) }
                return .decline(.unsupportedParcel)
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
        return await outcome(taken)
    }

    private func take(_ parcel: consuming Parcel, _ taken: Taken) {
        guard let name = parcel.listenerName, let security = listeners[name] else {
            let attached = bootstrap.take(parcel, logger: logger)
            taken.connections.withLock { $0.append(attached) }
            return
        }
        var sockets = DescriptorSet()
        swap(&sockets, &parcel.sockets)
        guard let descriptor = sockets.takeAll().first else { return }
        let listener = bootstrap.listen(takingOver: descriptor, security, name: name)
        taken.listeners.withLock { $0.append((name, listener)) }
    }

    private func outcome(_ taken: Taken) async -> Outcome {
        var found: [Listener] = []
        var failed: [String: any Error] = [:]
        for (name, future) in taken.listeners.withLock({ $0 }) {
            do {
                found.append(try await future.get())
            } catch {
                logger.error("a listener cannot go on", metadata: ["name": "\(name)", "error": "\(error)"])
                failed[name] = error
            }
        }
        var count = 0
        let connections = taken.connections.withLock { $0 }
        for connection in connections where (try? await connection.get()) != nil { count += 1 }
        let offered = Set(found.map(\.name)).union(failed.keys)
        let declined = taken.declined.withLock { $0 }
        if !declined.isEmpty {
            logger.warning("listeners were offered and are not wanted here", metadata: ["names": "\(declined)"])
        }
        return Outcome(
            listeners: found, declinedListeners: declined,
            missingListeners: listeners.keys.filter { !offered.contains($0) }.sorted(), failedListeners: failed,
            connectionCount: count, failedConnectionCount: connections.count - count)
    }
}
