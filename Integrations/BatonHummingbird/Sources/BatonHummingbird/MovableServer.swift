public import BatonNIO
public import CoreMetrics
public import Hummingbird
public import HummingbirdCore
public import Logging
public import NIOCore
public import NIOPosix
public import ServiceLifecycle
internal import Synchronization
public import UnixSignals

/// The listeners and connections of a Hummingbird application, which a program that is started again takes over: idle connections
/// and WebSockets move, requests in flight are answered first. `HTTPServerBuilder.baton` shows how the parts are put together.
///
/// The application's own server accepts nobody; it listens at `address`, a socket that nobody knows of.
public final class MovableServer: Service {
    private struct Plan {
        let channel: MovableChannel
        let loop: RequestLoop
    }

    private let path: String
    private let users: TrustedUsers
    private let listeners: [ListenerDescription]
    private let group: any EventLoopGroup
    private let patience: Duration
    private let lastWait: Duration
    private let logger: Logger
    private let socket: PrivateSocket
    private let plans: AsyncStream<Plan>
    private let plan: AsyncStream<Plan>.Continuation
    private let open = OpenChannels()

    /// The live connections. With the initializer's metrics it tells of them.
    public let registry: ConnectionRegistry

    /// Where the application's own server is to listen: `ApplicationConfiguration.address`.
    public var address: BindAddress { .unixDomainSocket(path: socket.path) }

    /// A server that takes over from the program before it, if there is one.
    ///
    /// - Parameters:
    ///   - path: of the Unix socket at which programs find each other; see `Succession.start`.
    ///   - users: who may take over, and from whom to.
    ///   - listeners: where clients connect, with or without TLS.
    ///   - group: the event loops; those of the application.
    ///   - metrics: see `ConnectionRegistry`.
    ///   - patience: how long requests in flight are waited for when a successor has come, so that their connections can follow.
    ///   - lastWait: how long they may then take to their end here; on graceful shutdown without a successor, too.
    /// - Throws: `MovableServerError.noTemporaryFolder`.
    public init(
        at path: String, trusting users: TrustedUsers = .sameUser, listeners: [ListenerDescription],
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, metrics: (any MetricsFactory)? = nil,
        patience: Duration = .seconds(10), lastWait: Duration = .seconds(30),
        logger: Logger = Logger(label: "baton.hummingbird")
    ) throws {
        self.path = path
        self.users = users
        self.listeners = listeners
        self.group = group
        self.patience = patience
        self.lastWait = lastWait
        self.logger = logger
        socket = try PrivateSocket()
        registry = ConnectionRegistry(group: group, metrics: metrics)
        (plans, plan) = AsyncStream.makeStream(of: Plan.self)
    }

    /// How a `ServiceGroup` is to run it beside the application: when a successor has everything, the group ends in order.
    public var configuration: ServiceGroupConfiguration.ServiceConfiguration {
        .init(service: self, successTerminationBehavior: .gracefullyShutdownGroup)
    }

    /// Runs the application, and returns when a successor has everything, or after a graceful shutdown.
    ///
    /// - Parameter gracefulShutdownSignals: at which connections are ended in order, and nothing is handed on.
    public func run(
        _ application: some ApplicationProtocol, gracefulShutdownSignals: [UnixSignal] = [.sigterm, .sigint]
    ) async throws {
        let configuration = ServiceGroupConfiguration(
            services: [.init(service: application), configuration], gracefulShutdownSignals: gracefulShutdownSignals,
            logger: logger)
        try await ServiceGroup(configuration: configuration).run()
    }

    /// The application has its responder.
    func begin(_ channel: MovableChannel, _ responder: @escaping HTTPChannelHandler.Responder) {
        plan.yield(Plan(channel: channel, loop: RequestLoop(responder: responder)))
    }

    // MARK: Service

    /// Serves as soon as the application does: takes over, or listens. Returns when a successor has everything, or on graceful
    /// shutdown when the connections have ended.
    ///
    /// - Throws: as `Succession.start`.
    public func run() async throws {
        guard let plan = try await firstPlan() else { return }
        let (begun, begin) = AsyncStream.makeStream(of: RequestLoop.Value.self)
        // Succession and loops side by side: a loop that is cut off ends with its channel.
        async let loops: Void = run(plan.loop, of: begun)
        defer {
            open.close()
            begin.finish()
        }
        try await serve(plan, begin)
        open.close()
        begin.finish()
        await loops
    }

    /// What the application is built with, when its own server runs, and so whatever has to be done before.
    private func firstPlan() async throws -> Plan? {
        do {
            return try await cancelWhenGracefulShutdown { [self] in
                for await plan in plans {
                    try await socket.isListenedAt(on: group)
                    return plan
                }
                return nil
            }
        } catch is CancellationError {
            return nil
        }
    }

    private func serve(_ plan: Plan, _ begin: AsyncStream<RequestLoop.Value>.Continuation) async throws {
        let bootstrap = ConnectionBootstrap(group: group, registry: registry) { [open, logger] channel, arrival in
            open.add(channel)
            try plan.channel.setUp(channel, arrival, logger) { connection in
                guard case .terminated = begin.yield(connection) else { return }
                // It must be used, even if only to its end.
                Task { await plan.loop.handle(value: connection, logger: logger) }
            }
        }
        let succession = try await Succession.start(
            at: path, trusting: users, bootstrap: bootstrap, registry: registry, listeners: listeners,
            patience: patience, lastWait: lastWait, logger: logger)
        if let taken = succession.taken {
            logger.notice("took over", metadata: ["connections": "\(taken.connectionCount)"])
        }
        for listener in succession.listeners {
            logger.notice(
                "listening", metadata: ["listener": "\(listener.name)", "port": "\(listener.address?.port ?? 0)"])
        }
        try await succession.run()
        guard succession.service.outcome == nil else { return }
        // Nobody has come.
        for listener in succession.listeners { try? await listener.close().get() }
        open.quiesce()
        await registry.whenEmpty(within: lastWait)
    }

    private func run(_ loop: RequestLoop, of connections: AsyncStream<RequestLoop.Value>) async {
        await withDiscardingTaskGroup { group in
            for await connection in connections {
                group.addTask { [logger] in await loop.handle(value: connection, logger: logger) }
            }
        }
    }
}
