internal import Glibc
public import Handoff
public import Logging
internal import NIOCore
internal import NIOPosix
public import ServiceLifecycle
internal import Synchronization

/// Waits for the process that is to replace this one, and hands everything on to it: listening sockets first, so that no
/// connect is refused, then the connections in batches, each with the application's state
/// (`ConnectionHandler.provideState`). The other side is a `Takeover`.
///
/// `run` returns when a successor has everything; the process may then end. If a successor fails, this process goes on
/// with all that was not handed over, and waits for another.
public final class SuccessionService: Service {
    /// How long connections in their handshake are waited for, so that they can follow.
    private static let handshakePatience = Duration.seconds(10)

    /// How many connections are taken out of their channels at a time.
    private static let batchLimit = 1_000

    private let heir: String?
    private let users: TrustedUsers
    private let bootstrap: ConnectionBootstrap
    private let registry: ConnectionRegistry
    private let logger: Logger
    private let socket: Mutex<HandoffListener?>
    private let current: Mutex<[Listener]>
    private let isStopping = Atomic<Bool>(false)
    private let wakePipe: WakePipe

    /// Listens at `path` for a successor.
    ///
    /// - Parameters:
    ///   - path: of the Unix socket; see `HandoffListener`.
    ///   - registry: of the connections; the bootstrap's own.
    ///   - listeners: what the successor is to go on listening at.
    ///   - heir: the path of a process that takes connections (`HandoffService`). On graceful shutdown they are handed on to
    ///     it; listening sockets are closed then. `nil`: on shutdown nothing is handed on.
    public init(
        at path: String, trusting users: TrustedUsers = .sameUser, bootstrap: ConnectionBootstrap,
        registry: ConnectionRegistry, listeners: [Listener], heir: String? = nil,
        logger: Logger = Logger(label: "baton.succession")
    ) throws {
        self.heir = heir
        self.users = users
        self.bootstrap = bootstrap
        self.registry = registry
        self.logger = logger
        wakePipe = try WakePipe()
        current = Mutex(listeners)
        socket = Mutex(try HandoffListener(at: path, trusting: users))
    }

    /// The listening sockets this process serves.
    public var listeners: [Listener] { current.withLock { $0 } }

    /// Waits for successors until one has everything, or until graceful shutdown, which hands the connections on to the
    /// heir, if there is one.
    ///
    /// - Throws: `HandoffError` if the heir does not listen; the connections go on here as long as the process does.
    public func run() async throws {
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        try await withTaskCancellationOrGracefulShutdownHandler {
            while let sender = try await threads.runIfActive({ try self.awaitSuccessor() }) {
                if await succeed(sender) { return }
            }
            if let heir { try await handOnConnections(to: heir) }
        } onCancelOrGracefulShutdown: {
            self.isStopping.store(true, ordering: .relaxed)
            self.wakePipe.wake()
        }
        try await threads.shutdownGracefully()
    }

    /// Blocks until somebody connects; `nil` when stopped.
    private func awaitSuccessor() throws -> HandoffSender? {
        while !isStopping.load(ordering: .relaxed) {
            let descriptor = socket.withLock { listener in
                switch listener {
                case .some(let listener): listener.descriptor
                case .none: CInt(-1)
                }
            }
            guard descriptor >= 0 else { return nil }
            var polled = [
                pollfd(fd: wakePipe.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            ]
            pollDescriptors(&polled, milliseconds: -1)
            if polled[0].revents != 0 { wakePipe.clear() }
            do {
                if let sender = try accept() { return sender }
            } catch {
                logger.warning("a successor is refused", metadata: ["error": "\(error)"])
            }
        }
        return nil
    }

    private func accept() throws -> HandoffSender? {
        try socket.withLock { listener in
            switch listener {
            case .some(let listener):
                guard let socket = try listener.acceptWaiting() else { return nil }
                return HandoffSender(socket)
            case .none: return nil
            }
        }
    }

    /// Hands everything on; returns whether the successor has it all.
    private func succeed(_ sender: HandoffSender) async -> Bool {
        let kept = await handOnListeners(sender)
        guard let kept, await handOnConnections(sender) else {
            logger.warning("the successor failed; this process goes on with what it has")
            if let kept { await takeBack(kept) }
            sender.close()
            return false
        }
        for (_, descriptor) in kept { Glibc.close(descriptor) }
        // The path is free before the successor hears the end, so that it can listen there at once.
        socket.withLock { $0 = nil }
        sender.close()
        return true
    }

    /// The listeners handed on, each with a descriptor of this process's own: should the successor fail, nothing that
    /// waits in their queues is lost. `nil` if one was not taken; all are this process's again then.
    private func handOnListeners(_ sender: HandoffSender) async -> [(Listener, CInt)]? {
        var kept: [(Listener, CInt)] = []
        for listener in listeners {
            guard let detached = try? await listener.detach().get(), let parcel = detached.take() else { continue }
            let copy = fcntl(parcel.sockets[0], F_DUPFD_CLOEXEC, 3)
            if copy >= 0 { kept.append((listener, copy)) }
            guard case .handedOver = await sender.offer(DetachedConnection(parcel)) else {
                await takeBack(kept)
                return nil
            }
        }
        return kept
    }

    private func takeBack(_ kept: [(Listener, CInt)]) async {
        for (listener, descriptor) in kept {
            do {
                let again = try await bootstrap.listen(
                    takingOver: descriptor, listener.security, name: listener.name
                ).get()
                current.withLock { all in
                    all.removeAll { $0.name == listener.name }
                    all.append(again)
                }
            } catch {
                logger.error("a listener cannot go on", metadata: ["name": "\(listener.name)", "error": "\(error)"])
            }
        }
    }

    private func handOnConnections(to heir: String) async throws {
        for listener in listeners { try? await listener.close().get() }
        let sender = try HandoffSender(to: heir, trusting: users)
        defer { sender.close() }
        guard await handOnConnections(sender) else {
            logger.warning("the heir failed; connections it did not take end with this process")
            return
        }
    }

    /// In batches, until there are no more; those in their handshake follow when it is done.
    private func handOnConnections(_ sender: HandoffSender) async -> Bool {
        let loop = bootstrap.group.any()
        let clock = ContinuousClock()
        let limit = clock.now + Self.handshakePatience
        while sender.isOpen {
            guard let batch = try? await registry.detach(limit: Self.batchLimit, on: loop).get() else {
                return false
            }
            if batch.isEmpty {
                let handshaking = (try? await registry.handshaking(on: loop).get()) ?? 0
                if handshaking == 0 || clock.now >= limit || Task.isCancelled { return true }
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            let isAnswered = await withTaskGroup(of: Bool.self) { group in
                for connection in batch {
                    group.addTask { await self.handOn(connection, sender) }
                }
                return await group.reduce(true) { $0 && $1 }
            }
            // A successor that does not answer would be asked for ever.
            guard isAnswered else { return false }
        }
        return false
    }

    /// Returns whether the successor answered.
    private func handOn(_ connection: DetachedConnection, _ sender: HandoffSender) async -> Bool {
        switch await sender.offer(connection) {
        case .handedOver:
            registry.tally.countMovesOut(1)
            return true
        case .closed:
            registry.tally.countMovesFailed(1)
            return false
        case .returned(let connection, let reason):
            registry.tally.countMovesFailed(1)
            guard let parcel = connection.take() else { return false }
            let arrival = Arrival.returned(applicationState: parcel.applicationState)
            // What was declined stays; what came back because the successor failed is for the next.
            let attached = bootstrap.attach(
                parcel, on: bootstrap.group.next(), arrival: arrival, staysHere: reason != nil)
            _ = try? await attached.get()
            return reason != nil
        }
    }
}
