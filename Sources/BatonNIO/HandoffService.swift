public import Handoff
public import Logging
package import NIOCore
internal import NIOPosix
public import ServiceLifecycle

/// A worker that was started beforehand: takes connections other processes hand to it, and attaches them to the event loops
/// of its bootstrap. It runs until graceful shutdown.
///
/// ```swift
/// let service = try HandoffService(at: "/run/example/worker", bootstrap: bootstrap)
/// try await ServiceGroup(services: [service], …).run()
/// ```
public struct HandoffService: Service {
    private let receiver: ParcelReceiver

    /// Listens at `path` at once; owners may connect from now on, and are served when `run` is called.
    ///
    /// - Parameters:
    ///   - path: of the Unix socket; see `HandoffListener`.
    ///   - users: who may hand connections over.
    ///   - bootstrap: makes channels of what comes.
    ///   - options: how much is taken, and how long is waited.
    ///   - logger: is told of what could not be taken.
    ///   - decide: looks at each parcel and says whether this process wants it. Parcels without a socket and listening
    ///     sockets are declined before.
    public init(
        at path: String, trusting users: TrustedUsers = .sameUser, bootstrap: ConnectionBootstrap,
        options: ReceiverOptions = .init(), logger: Logger = Logger(label: "baton.handoff"),
        decide: @escaping @Sendable (borrowing Parcel) -> Verdict = { _ in .accept }
    ) throws {
        receiver = try ParcelReceiver(
            listener: try HandoffListener(at: path, trusting: users), options: options,
            decide: { parcel in
                guard !parcel.sockets.isEmpty, parcel.listenerName == nil else {
                    return .decline(.unsupportedParcel)
                }
                return decide(parcel)
            },
            received: { connections in
                for connection in connections {
                    if let parcel = connection.take() { bootstrap.take(parcel, logger: logger) }
                }
            },
            report: { $0.log(to: logger) })
    }

    /// Serves until graceful shutdown or cancellation. Connections already taken go on; what is offered meanwhile is
    /// declined.
    public func run() async throws {
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        let receiver = receiver
        try await withTaskCancellationOrGracefulShutdownHandler {
            try await threads.runIfActive { receiver.run() }
        } onCancelOrGracefulShutdown: {
            receiver.stop()
        }
        try await threads.shutdownGracefully()
    }
}

extension ParcelReceiver.Trouble {
    /// Says it in a log.
    package func log(to logger: Logger) {
        switch self {
        case .refused(let error):
            logger.warning("a process that wants to hand connections over is refused", metadata: ["error": "\(error)"])
        case .discarded(let why): logger.info("an offer came to nothing", metadata: ["why": "\(why)"])
        case .failed(let error):
            logger.warning("a handoff channel has failed", metadata: ["error": "\(error)"])
        }
    }
}

extension ConnectionBootstrap {
    /// Attaches a connection that another process or host has handed over.
    @discardableResult
    package func take(_ parcel: consuming Parcel, logger: Logger) -> EventLoopFuture<any Channel> {
        parcel.metadata.moves &+= 1
        registry?.tally.countMoveIn()
        let attached = attach(parcel, on: group.next())
        attached.whenFailure { error in
            logger.error("a connection that was handed over cannot go on", metadata: ["error": "\(error)"])
        }
        return attached
    }
}
