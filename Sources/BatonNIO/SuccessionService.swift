public import Handoff
internal import Libc
public import Logging
internal import NIOCore
internal import NIOPosix
public import ServiceLifecycle
internal import Synchronization

/// Waits for the process that is to replace this one, and hands everything on to it: listening sockets first, so that no
/// connect is refused, then the connections in batches, each with the application's state
/// (`ConnectionHandler.provideState`). The other side is a `Takeover`; `Succession.start` is both in one.
///
/// `run` returns when a successor has everything it wants, and `outcome` tells what that was; the process may then end. If a
/// successor fails, this process goes on with all that was not handed over, and waits for another.
///
/// In a `ServiceGroup` it is to be run as its `configuration` says, or the group takes its end for a failure.
public final class SuccessionService: Service {
    /// What became of what this process had, when a successor or the heir has taken it over.
    public struct Outcome: Sendable {
        /// The names of the listeners that were handed on.
        public let listeners: [String]
        /// The listeners that the successor declined. They are served here as long as this process lives.
        public let declinedListeners: [Listener]
        /// How many connections were handed on.
        public let connectionCount: Int
        /// The connections that were not: declined, held here (`ConnectionHandler.hold`), in their handshake, or not to be
        /// moved.
        public let stayed: [ConnectionSummary]
        /// Those of them that were still there when `run` returned. They end with the process.
        public let remaining: [ConnectionSummary]
    }

    /// How many connections are taken out of their channels at a time.
    private static let batchLimit = 1_000

    private let heir: String?
    private let users: TrustedUsers
    private let bootstrap: ConnectionBootstrap
    private let registry: ConnectionRegistry
    private let patience: Duration
    private let lastWait: Duration
    private let logger: Logger
    private let socket: Mutex<HandoffListener?>
    private let current: Mutex<[Listener]>
    private let result = Mutex<Outcome?>(nil)
    private let isStopping = Atomic<Bool>(false)
    private let wakePipe: WakePipe

    /// Listens at `path` for a successor.
    ///
    /// - Parameters:
    ///   - path: of the Unix socket; see `HandoffListener`.
    ///   - users: who may be the successor.
    ///   - bootstrap: makes channels of what comes back.
    ///   - registry: of the connections; the bootstrap's own.
    ///   - listeners: what the successor is to go on listening at.
    ///   - heir: the path of a process that takes connections (`HandoffService`). On graceful shutdown they are handed on to
    ///     it; listening sockets are closed then. `nil`: on shutdown nothing is handed on.
    ///   - patience: how long connections that cannot be moved at once, because they are held or in their handshake, are waited
    ///     for when all others have been handed on. The successor serves what it has meanwhile.
    ///   - lastWait: how long `run` then waits for those that have stayed to end here, before it returns.
    ///   - logger: is told what is handed over, and what cannot be.
    /// - Throws: `HandoffError`; `pathInUse` if a process listens there.
    public init(
        at path: String, trusting users: TrustedUsers = .sameUser, bootstrap: ConnectionBootstrap,
        registry: ConnectionRegistry, listeners: [Listener], heir: String? = nil,
        patience: Duration = .seconds(10), lastWait: Duration = .seconds(30),
        logger: Logger = Logger(label: "baton.succession")
    ) throws {
        self.heir = heir
        self.users = users
        self.bootstrap = bootstrap
        self.registry = registry
        self.patience = patience
        self.lastWait = lastWait
        self.logger = logger
        wakePipe = try WakePipe()
        current = Mutex(listeners)
        socket = Mutex(try HandoffListener(at: path, trusting: users))
    }

    /// The listening sockets this process serves.
    public var listeners: [Listener] { current.withLock { $0 } }

    /// What was handed on and what was not; `nil` until it is over.
    public var outcome: Outcome? { result.withLock { $0 } }

    /// How a `ServiceGroup` is to run it: when a successor has everything, the other services are shut down gracefully and the
    /// group's `run` returns without an error.
    ///
    /// ```swift
    /// try await ServiceGroup(
    ///     configuration: .init(services: [succession.configuration, .init(service: metrics)], logger: logger)
    /// ).run()
    /// ```
    public var configuration: ServiceGroupConfiguration.ServiceConfiguration {
        .init(service: self, successTerminationBehavior: .gracefullyShutdownGroup)
    }

    /// Adds listeners, for the successor to go on listening at.
    func add(_ listeners: [Listener]) { current.withLock { $0 += listeners } }

    /// Waits for successors until one has everything it wants, or until graceful shutdown, which hands the connections on to
    /// the heir, if there is one.
    ///
    /// - Throws: `HandoffError` if the heir does not listen; the connections go on here as long as the process does.
    public func run() async throws {
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        do {
            try await serve(on: threads)
        } catch {
            try? await threads.shutdownGracefully()
            throw error
        }
        try await threads.shutdownGracefully()
    }

    private func serve(on threads: NIOThreadPool) async throws {
        try await withTaskCancellationOrGracefulShutdownHandler {
            while let sender = try await threads.runIfActive({ try self.awaitSuccessor() }) {
                if await succeed(sender) { return }
            }
            if let heir { try await handOnConnections(to: heir) }
        } onCancelOrGracefulShutdown: {
            self.isStopping.store(true, ordering: .relaxed)
            self.wakePipe.wake()
        }
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

    /// Hands everything on; returns whether the successor has all that it wants.
    private func succeed(_ sender: HandoffSender) async -> Bool {
        let movedBefore = registry.movesOut
        let legacy = await handOnListeners(sender)
        guard let legacy, await handOnConnections(sender) else {
            logger.warning("the successor failed; this process goes on with what it has")
            if let legacy { await takeBack(legacy.kept) }
            sender.close()
            return false
        }
        for (_, descriptor) in legacy.kept { Libc.close(descriptor) }
        current.withLock { $0 = legacy.declined }
        // The path is free before the successor hears the end, so that it can listen there at once.
        socket.withLock { $0 = nil }
        sender.close()
        await settle(
            listeners: legacy.kept.map(\.0.name), declined: legacy.declined, count: registry.movesOut - movedBefore)
        return true
    }

    // MARK: Listeners

    private struct Legacy {
        /// The listeners handed on, each with a descriptor of this process's own: should the successor fail, nothing that
        /// waits in their queues is lost.
        var kept: [(Listener, CInt)] = []
        /// Those that the successor does not want, listening here again.
        var declined: [Listener] = []
    }

    /// - Returns: `nil` if the successor failed; all listeners are this process's again then.
    private func handOnListeners(_ sender: HandoffSender) async -> Legacy? {
        var legacy = Legacy()
        for listener in listeners {
            guard let detached = try? await listener.detach().get(), let parcel = detached.take() else { continue }
            let copy = fcntl(parcel.sockets[0], F_DUPFD_CLOEXEC, 3)
            let fate = await sender.offer(DetachedConnection(parcel))
            switch fate {
            case .handedOver:
                if copy >= 0 { legacy.kept.append((listener, copy)) }
            case .returned(let box, let reason):
                // Ours is the one that came back, unless it was not to be duplicated.
                let returned = copy >= 0 ? copy : Self.descriptor(box)
                guard let reason else {
                    await takeBack(legacy.kept + [(listener, returned)])
                    return nil
                }
                logger.warning(
                    "the successor declines a listener, which goes on here",
                    metadata: ["name": "\(listener.name)", "reason": "\(reason)"])
                legacy.declined += await takeBack([(listener, returned)])
            case .closed:
                await takeBack(copy >= 0 ? legacy.kept + [(listener, copy)] : legacy.kept)
                return nil
            }
        }
        return legacy
    }

    private static func descriptor(_ box: DetachedConnection) -> CInt {
        guard var parcel = box.take() else { return -1 }
        var sockets = DescriptorSet()
        swap(&sockets, &parcel.sockets)
        return sockets.takeAll().first ?? -1
    }

    @discardableResult
    private func takeBack(_ kept: [(Listener, CInt)]) async -> [Listener] {
        var back: [Listener] = []
        for (listener, descriptor) in kept {
            do {
                let again = try await bootstrap.listen(
                    takingOver: descriptor, listener.security, name: listener.name
                ).get()
                back.append(again)
                current.withLock { all in
                    all.removeAll { $0.name == listener.name }
                    all.append(again)
                }
            } catch {
                logger.error("a listener cannot go on", metadata: ["name": "\(listener.name)", "error": "\(error)"])
            }
        }
        return back
    }

    // MARK: Connections

    private func handOnConnections(to heir: String) async throws {
        for listener in listeners { try? await listener.close().get() }
        let sender = try HandoffSender(to: heir, trusting: users)
        defer { sender.close() }
        let movedBefore = registry.movesOut
        guard await handOnConnections(sender) else {
            logger.warning("the heir failed; connections it did not take end with this process")
            return
        }
        await settle(listeners: [], declined: [], count: registry.movesOut - movedBefore)
    }

    /// All that can be moved within `patience`; returns whether the successor answered.
    private func handOnConnections(_ sender: HandoffSender) async -> Bool {
        let isAnswered = await handOnBatches(sender)
        let late = (try? await registry.stopCollecting(on: bootstrap.group.any()).get()) ?? []
        // What the successor does not take goes on here.
        return await handOn(late, sender) && isAnswered
    }

    /// In batches, until there are no more; those that cannot be moved yet follow when they can.
    private func handOnBatches(_ sender: HandoffSender) async -> Bool {
        let loop = bootstrap.group.any()
        let clock = ContinuousClock()
        var limit: ContinuousClock.Instant?
        while sender.isOpen {
            guard let found = try? await registry.detach(limit: Self.batchLimit, on: loop).get() else {
                return false
            }
            if found.connections.isEmpty {
                let end = limit ?? clock.now + patience
                limit = end
                if found.unready == 0 || clock.now >= end || Task.isCancelled { return true }
                try? await Task.sleep(for: .milliseconds(5))
                continue
            }
            // A successor that does not answer would be asked for ever.
            guard await handOn(found.connections, sender) else { return false }
        }
        return false
    }

    private func handOn(_ batch: [DetachedConnection], _ sender: HandoffSender) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            for connection in batch {
                group.addTask { await self.handOn(connection, sender) }
            }
            return await group.reduce(true) { $0 && $1 }
        }
    }

    /// Returns whether the successor answered.
    private func handOn(_ connection: DetachedConnection, _ sender: HandoffSender) async -> Bool {
        let clock = ContinuousClock()
        let begin = clock.now
        switch await sender.offer(connection) {
        case .handedOver:
            registry.tally.countMoveOut(after: clock.now - begin)
            return true
        case .closed:
            registry.tally.countMoveFailed()
            return false
        case .returned(let connection, let reason):
            registry.tally.countMoveFailed()
            guard let parcel = connection.take() else { return false }
            let arrival = Arrival.returned(applicationState: parcel.applicationState)
            // What was declined stays; what came back because the successor failed is for the next.
            let attached = bootstrap.attach(
                parcel, on: bootstrap.group.next(), arrival: arrival, staysHere: reason != nil)
            _ = try? await attached.get()
            return reason != nil
        }
    }

    // MARK: What stayed

    /// Waits for what stayed, and tells the outcome.
    private func settle(listeners: [String], declined: [Listener], count: Int) async {
        let stayed = await list()
        if !stayed.isEmpty {
            logger.notice(
                "connections stay here to their end",
                metadata: [
                    "count": "\(stayed.count)", "held": "\(stayed.count { $0.isBusy })",
                    "connections": "\(stayed.prefix(20).map(\.id))",
                ])
            await registry.whenEmpty(within: lastWait)
        }
        let remaining = stayed.isEmpty ? [] : await list()
        if !remaining.isEmpty {
            logger.warning(
                "connections end with this process",
                metadata: [
                    "count": "\(remaining.count)", "connections": "\(remaining.prefix(20).map(\.id))",
                ])
        }
        let outcome = Outcome(
            listeners: listeners, declinedListeners: declined, connectionCount: count, stayed: stayed,
            remaining: remaining)
        result.withLock { $0 = outcome }
    }

    private func list() async -> [ConnectionSummary] {
        (try? await registry.list(on: bootstrap.group.any()).get()) ?? []
    }
}
