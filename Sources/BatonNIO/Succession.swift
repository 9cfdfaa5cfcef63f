public import Handoff
public import Logging
internal import NIOCore
public import ServiceLifecycle

/// A program that replaces the one before it, and is replaced by the one after it: the same text for the first of them and for
/// all others.
///
/// ```swift
/// let succession = try await Succession.start(
///     at: "/run/example/succession", bootstrap: bootstrap, registry: registry,
///     listeners: [.init("main", host: "::", port: 443, .tls(context))])
/// try await succession.run()
/// // Here a successor has everything; end.
/// ```
public struct Succession: Service {
    /// How often a process that listens at the path is asked, if none of them hands on and none lets the path go.
    private static let attempts = 3

    /// What was taken over; `nil` if nobody was there.
    public let taken: Takeover.Outcome?

    /// Waits for the successor.
    public let service: SuccessionService

    /// The listening sockets this process serves.
    public var listeners: [Listener] { service.listeners }

    /// How a `ServiceGroup` is to run it; see `SuccessionService.configuration`.
    public var configuration: ServiceGroupConfiguration.ServiceConfiguration { service.configuration }

    /// Takes over from the process that listens at `path`, if there is one, and listens at what is missing then. When it
    /// returns, this process serves the listeners, and a successor finds it at `path`; it is served by `run`.
    ///
    /// Processes that start at the same time do so one after the other, by a lock beside the socket (`<path>.start.lock`, which
    /// the kernel frees with its holder): the first listens, and the second takes over from it.
    ///
    /// - Parameters:
    ///   - path: of the Unix socket; see `HandoffListener`.
    ///   - users: who may be the old process, and the successor.
    ///   - bootstrap: makes channels of what is accepted and of what comes.
    ///   - registry: of the connections; the bootstrap's own.
    ///   - listeners: what this process wants to listen at. What the old process has beside them is declined.
    ///   - heir: see `SuccessionService`.
    ///   - patience: see `SuccessionService`.
    ///   - lastWait: see `SuccessionService`.
    ///   - startTime: how long other processes that start may take before this one gives up.
    ///   - logger: is told what is handed over, and what cannot be.
    /// - Throws: `HandoffError`; `pathInUse` if others have been starting for so long, or somebody listens at the path who
    ///   neither hands on nor ends. What NIO throws where a socket cannot be bound, unless connections were taken over: then it
    ///   is logged, and the program goes on with what it has.
    public static func start(
        at path: String, trusting users: TrustedUsers = .sameUser, bootstrap: ConnectionBootstrap,
        registry: ConnectionRegistry, listeners: [ListenerDescription], heir: String? = nil,
        patience: Duration = .seconds(10), lastWait: Duration = .seconds(30), startTime: Duration = .seconds(60),
        logger: Logger = Logger(label: "baton.succession")
    ) async throws -> Succession {
        let lock = try await SocketLock.start(at: path, trusting: users, within: startTime)
        defer { withExtendedLifetime(lock) {} }
        let wanted = Dictionary(listeners.map { ($0.name, $0.security) }) { first, _ in first }
        let takeover = Takeover(
            from: path, trusting: users, bootstrap: bootstrap, listeners: wanted, logger: logger)
        var taken: Takeover.Outcome?
        for attempt in 1... {
            do {
                taken = try await takeover.run()
            } catch let error as HandoffError where error.code == .nobodyListening {}
            do {
                // From here on this process is the one that a successor finds.
                let service = try SuccessionService(
                    at: path, trusting: users, bootstrap: bootstrap, registry: registry,
                    listeners: taken?.listeners ?? [], heir: heir, patience: patience, lastWait: lastWait,
                    logger: logger)
                let succession = Succession(taken: taken, service: service)
                try await succession.listen(listeners, bootstrap, logger)
                return succession
            } catch let error as HandoffError where error.code == .pathInUse && attempt < attempts {
                // Somebody who knows nothing of the lock has been quicker.
                if taken.map({ !$0.listeners.isEmpty || $0.connectionCount > 0 }) == true { throw error }
            }
        }
        preconditionFailure("the loop has no end")
    }

    /// Serves until a successor has everything it wants, or until graceful shutdown; see `SuccessionService.run`.
    public func run() async throws { try await service.run() }

    /// Listens at what was not taken over.
    private func listen(
        _ descriptions: [ListenerDescription], _ bootstrap: ConnectionBootstrap, _ logger: Logger
    ) async throws {
        let found = Set(service.listeners.map(\.name))
        for description in descriptions where !found.contains(description.name) {
            do {
                service.add([try await bootstrap.listen(description).get()])
            } catch {
                guard taken != nil else {
                    for listener in service.listeners { try? await listener.close().get() }
                    throw error
                }
                logger.error(
                    "a listener that the process before had not cannot be made",
                    metadata: ["name": "\(description.name)", "error": "\(error)"])
            }
        }
    }
}
