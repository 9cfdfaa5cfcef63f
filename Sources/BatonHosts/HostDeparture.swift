internal import BatonCore
public import BatonNIO
public import HostMigration
public import Logging
internal import NIOCore
internal import NIOPosix

/// Moves the connections of a registry to another host, where `HostArrivals` attaches them with their state, and the service addresses
/// after them. Peers notice a pause of milliseconds.
///
/// ```swift
/// let departure = HostDeparture(bootstrap: bootstrap, network: network, credentials: credentials)
/// let report = try await departure.move(to: HostPeer(host: "10.0.0.3", port: 9440, name: "b.example"), ports: [443])
/// ```
///
/// A connection is at one host or at the other at every moment, with its state: socket and state are offered together and committed
/// together. What the other host declines, or what cannot move, is attached again here and goes on. If the link ends between the commit
/// and its confirmation, a connection is in doubt: it is closed here, and the other host has it or its peer hears a reset.
public struct HostDeparture: Sendable {
    /// What became of it.
    public struct Report: Sendable {
        /// How many connections are the other host's now.
        public internal(set) var moved = 0
        /// Those that were closed here because nobody could say whether they had arrived.
        public internal(set) var inDoubt = 0
        /// How many attempts left a connection here when all were tried for the last time, by reason. One that would have moved a moment
        /// later is tried several times.
        public internal(set) var stayed: [String: Int] = [:]
        /// How many connections are here at the end: those that stayed, were held or in their handshake, or came meanwhile.
        public internal(set) var remaining = 0
        /// The service addresses for which the other host answers now.
        public internal(set) var addresses: [IPAddress] = []
        /// What ended it before it was complete.
        public internal(set) var failure: MigrationError?

        /// Whether nothing is left here.
        public var isComplete: Bool { remaining == 0 && inDoubt == 0 && failure == nil }
    }

    private let bootstrap: ConnectionBootstrap
    private let registry: ConnectionRegistry
    private let network: HostNetwork
    private let credentials: HostCredentials
    private let batchLimit: Int
    private let patience: Duration
    private let answerLimit: Duration
    private let logger: Logger

    /// Prepares it; nothing happens before `move(to:)`.
    ///
    /// - Parameters:
    ///   - bootstrap: with a registry, whose connections are to move; it attaches again what stays.
    ///   - batchLimit: how many connections stand still together, 1 to 32. More at a time are faster in all, and pause for longer each.
    ///   - patience: how long connections are waited for that are held (`ConnectionHandler.hold`) or in their handshake, when all
    ///     others have moved.
    ///   - answerLimit: how long the other host may take for an answer, at most 10 s. Then what was not committed stays.
    public init(
        bootstrap: ConnectionBootstrap, network: HostNetwork, credentials: HostCredentials, batchLimit: Int = 16,
        patience: Duration = .seconds(10), answerLimit: Duration = .seconds(5),
        logger: Logger = Logger(label: "baton.departure")
    ) {
        guard let registry = bootstrap.registry else {
            preconditionFailure("a departure moves the connections of a registry; give the bootstrap one")
        }
        self.bootstrap = bootstrap
        self.registry = registry
        self.network = network
        self.credentials = credentials
        self.batchLimit = min(max(batchLimit, 1), 32)
        self.patience = patience
        self.answerLimit = min(answerLimit, .seconds(10))
        self.logger = logger
    }

    /// Moves every connection that can, then the service addresses.
    ///
    /// - Parameters:
    ///   - movesAddresses: whether the service addresses for which this host answers move, too. Else clients go on turning to this
    ///     host, which forwards what belongs to connections that have moved.
    ///   - ports: of the listeners. What begins there while the addresses move is forwarded to the other host from its first packet on,
    ///     so that it is served whichever host a client turns to. A connection to a port that is not named is lost if it is accepted in
    ///     that moment.
    /// - Throws: `MigrationError` if it could not begin: nothing has happened then. What ends it later is in the report.
    public func move(
        to peer: HostPeer, movesAddresses: Bool = true, ports: [UInt16] = []
    ) async throws -> Report {
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        do {
            let (network, credentials, tally, limit) = (network, credentials, registry.tally, answerLimit)
            let session = try await run(threads) {
                try DepartureSession(to: peer, network, credentials, tally, patience: limit)
            }
            let report = await perform(session, threads, movesAddresses, ports)
            try? await threads.shutdownGracefully()
            return report
        } catch {
            try? await threads.shutdownGracefully()
            throw error
        }
    }

    /// Runs something on the departure's thread. Unlike NIO's own it does so although the task has been cancelled: what has left its
    /// channel must cross or come back, and what is steered be put right again.
    private func run<T: Sendable>(
        _ threads: NIOThreadPool, _ body: @escaping @Sendable () throws -> T
    ) async throws -> T {
        try await threads.runIfActive(eventLoop: bootstrap.group.any(), body).get()
    }

    private func perform(
        _ session: DepartureSession, _ threads: NIOThreadPool, _ movesAddresses: Bool, _ ports: [UInt16]
    ) async -> Report {
        var report = Report()
        await sweep(session, threads, patience)
        if movesAddresses {
            do {
                try checkCancellation()
                try await run(threads) { try session.steerNewcomers(ports) }
                // What had begun before: it is in its handshake, or not yet accepted.
                try? await Task.sleep(for: .milliseconds(100))
                await sweep(session, threads, patience)
                try checkCancellation()
                let staying = await flows()
                report.addresses = try await run(threads) { try session.moveAddresses(staying: staying) }
                await sweep(session, threads, .zero)
            } catch {
                report.failure = error as? MigrationError
            }
        }
        let counts = try? await run(threads) {
            session.end()
            return (session.counts, session.failure)
        }
        if let (counts, failure) = counts {
            report.moved = counts.moved
            report.inDoubt = counts.inDoubt
            report.stayed = counts.stayed
            report.failure = report.failure ?? failure
        }
        report.remaining = registry.count
        if let failure = report.failure {
            logger.warning("connections stay here", metadata: ["count": "\(report.remaining)", "error": "\(failure)"])
        }
        return report
    }

    // MARK: Connections

    private func checkCancellation() throws(MigrationError) {
        if Task.isCancelled { throw MigrationError(.cancelled) }
    }

    /// Moves all that can be moved; waits for those that cannot yet, or would not just now. Where connections go on coming it ends after
    /// twice as many attempts as there were connections at its begin, and after the batch under way if the task is cancelled.
    private func sweep(_ session: DepartureSession, _ threads: NIOThreadPool, _ patience: Duration) async {
        let loop = bootstrap.group.any()
        let clock = ContinuousClock()
        var limit: ContinuousClock.Instant?
        let count = registry.count
        var attempts = 0
        try? await run(threads) { session.beginSweep() }
        try? await registry.forgetRefusals(on: loop).get()
        while attempts <= 2 * count + batchLimit, await isUsable(session, threads) {
            guard let found = try? await registry.detach(limit: batchLimit, on: loop).get() else { break }
            let hasMoved = await move(found.connections, session, threads)
            attempts += found.connections.count
            if Task.isCancelled { break }
            if hasMoved { continue }
            // Each is tried once. One whose peer does what hinders it, again and again, is not waited for any longer than one that is
            // held.
            let end = limit ?? clock.now + patience
            limit = end
            let isTried = found.connections.isEmpty || attempts >= count
            if found.connections.isEmpty && found.unready == 0 || isTried && clock.now >= end { break }
            if isTried { try? await Task.sleep(for: .milliseconds(5)) }
        }
        let late = (try? await registry.stopCollecting(on: loop).get()) ?? []
        _ = await move(late, session, threads)
    }

    private func isUsable(_ session: DepartureSession, _ threads: NIOThreadPool) async -> Bool {
        (try? await run(threads) { session.failure == nil }) ?? false
    }

    /// - Returns: whether one of them has not stayed.
    private func move(
        _ batch: [DetachedConnection], _ session: DepartureSession, _ threads: NIOThreadPool
    ) async -> Bool {
        guard !batch.isEmpty else { return false }
        let limit = batchLimit
        let returned = (try? await run(threads) { session.move(batch, batchLimit: limit) }) ?? []
        await withTaskGroup(of: Void.self) { group in
            for connection in returned {
                group.addTask { await attach(connection) }
            }
        }
        return returned.count < batch.count
    }

    /// What did not leave goes on here.
    private func attach(_ returned: DepartureSession.Returned) async {
        guard let parcel = returned.connection.take() else { return }
        let arrival = Arrival.returned(applicationState: parcel.applicationState)
        let attached = bootstrap.attach(parcel, on: bootstrap.group.next(), arrival: arrival).map { channel in
            (try? channel.pipeline.syncOperations.connectionHandler())?.wasRefused = returned.wasRefused
        }
        do {
            try await attached.get()
        } catch {
            logger.error("a connection that stayed cannot go on", metadata: ["error": "\(error)"])
        }
    }

    /// Those that are still here and whose address moves.
    private func flows() async -> [Flow] {
        let addresses = Set(network.serviceAddresses)
        let flows = try? await registry.collect(on: bootstrap.group.any()) { Flow(of: $0) }.get()
        return (flows ?? []).filter { addresses.contains($0.local.address) }
    }
}
