public import BatonCore
public import BatonNIO
internal import CLinuxSockets
internal import Handoff
internal import HostMigration
internal import Libc
public import Logging
internal import NIOCore
internal import NIOPosix
public import ServiceLifecycle
internal import Synchronization

/// Takes the connections that other hosts move here, and attaches them with their state to the event loops of a bootstrap: its
/// initializer gets them as `Arrival.received`. It is the other side of `HostDeparture`, and runs until graceful shutdown.
///
/// What there is no room for, what this program cannot read, and what is on an address that is no service address is declined before
/// anything is done for it, and goes on at the other host.
public final class HostArrivals: Service {
    /// Where it listens.
    public let address: IPAddress
    /// The port it listens at.
    public let port: UInt16

    /// How many other hosts, or strangers who say nothing, are listened to at a time.
    private static let maxSessions = 8

    private let listener: Listening
    private let bootstrap: ConnectionBootstrap
    private let network: HostNetwork
    private let credentials: HostCredentials
    private let maxConnections: Int
    private let decide: @Sendable (borrowing Parcel) -> Verdict
    private let logger: Logger
    private let wakePipe: WakePipe
    private let isStopping = Atomic<Bool>(false)
    private let sessions = Atomic<Int>(0)

    /// Listens at once; other hosts are served when `run` is called.
    ///
    /// - Parameters:
    ///   - address: this host's own on the link to the others; not a service address.
    ///   - port: 0 lets the kernel choose.
    ///   - maxConnections: more are declined; they are counted by the bootstrap's registry.
    ///   - decide: looks at each parcel, which has no socket yet, and says whether this program wants it. It is called on a thread of
    ///     the service's.
    /// - Throws: `MigrationError` if the address or the port cannot be had.
    public init(
        at address: IPAddress, port: UInt16, bootstrap: ConnectionBootstrap, network: HostNetwork,
        credentials: HostCredentials, maxConnections: Int = .max,
        logger: Logger = Logger(label: "baton.arrivals"),
        decide: @escaping @Sendable (borrowing Parcel) -> Verdict = { _ in .accept }
    ) throws {
        listener = try Listening(at: Endpoint(address, port: port))
        self.address = address
        self.port = listener.port
        self.bootstrap = bootstrap
        self.network = network
        self.credentials = credentials
        self.maxConnections = maxConnections
        self.decide = decide
        self.logger = logger
        wakePipe = try WakePipe()
    }

    /// Serves until graceful shutdown or cancellation; a batch that has begun is finished first.
    public func run() async throws {
        let threads = NIOThreadPool(numberOfThreads: HostArrivals.maxSessions + 1)
        threads.start()
        await withTaskCancellationOrGracefulShutdownHandler {
            try? await threads.runIfActive { self.accept(threads) }
        } onCancelOrGracefulShutdown: {
            self.isStopping.store(true, ordering: .relaxed)
            self.wakePipe.wake()
        }
        try await threads.shutdownGracefully()
    }

    private func accept(_ threads: NIOThreadPool) {
        while !isStopping.load(ordering: .relaxed) {
            var polled = [
                pollfd(fd: wakePipe.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            pollDescriptors(&polled, milliseconds: -1)
            guard polled[1].revents != 0 else { continue }
            let descriptor = baton_accept_from(listener.descriptor, nil, 0)
            guard descriptor >= 0 else {
                // Without descriptors to spare the listener would stay readable.
                if descriptor == -EMFILE || descriptor == -ENFILE {
                    var wake = [polled[0]]
                    pollDescriptors(&wake, milliseconds: 100)
                }
                continue
            }
            guard sessions.load(ordering: .relaxed) < HostArrivals.maxSessions else {
                close(descriptor)
                continue
            }
            sessions.wrappingAdd(1, ordering: .relaxed)
            threads.submit { _ in
                self.serve(descriptor)
                self.sessions.wrappingSubtract(1, ordering: .relaxed)
            }
        }
    }

    /// One link, from its handshake to its end.
    private func serve(_ descriptor: Int32) {
        do throws(MigrationError) {
            let link = try HostLink(accepting: descriptor, credentials)
            let session = try ArrivalSession(link, self)
            try session.serve(unless: wakePipe.descriptor)
        } catch {
            logger.warning("a link to another host has ended", metadata: ["error": "\(error)"])
        }
    }

    // MARK: What sessions ask

    var hostNetwork: HostNetwork { network }

    /// Why a parcel is not taken; `accepted` of the batch have been before.
    func refusal(of flow: Flow, _ companion: RawSpan, accepted: Int, carried: Set<IPAddress>) -> MigrationError.Code? {
        if let code = network.refusal(of: flow, carried: carried) { return code }
        let count = bootstrap.registry?.count ?? 0
        guard !isStopping.load(ordering: .relaxed), count + accepted < maxConnections else { return .full }
        guard let parcel = HostArrivals.parcel(companion) else { return .unreadableCompanion }
        guard parcel.secondSnapshot == nil, parcel.listenerName == nil else { return .unreadableCompanion }
        switch decide(parcel) {
        case .accept: return nil
        case .decline(.noRoom), .decline(.leaving), .decline(.unresponsive): return .full
        case .decline(.malformed), .decline(.unsupportedParcel), .decline(.unsupportedSnapshot):
            return .unreadableCompanion
        case .decline: return .declined
        }
    }

    /// A connection is this host's.
    ///
    /// - Returns: a future that is fulfilled when it is in its channel.
    func adopt(_ descriptor: Int32, _ companion: RawSpan) -> EventLoopFuture<any Channel>? {
        guard var parcel = HostArrivals.parcel(companion) else {
            // It has been read before.
            SocketReset.close(descriptor)
            return nil
        }
        parcel.sockets.append(owning: descriptor)
        return bootstrap.take(parcel, logger: logger)
    }

    /// Says once more, in a second, that the addresses are here (RFC 5227 2.3).
    func announceSoon(_ addresses: [IPAddress]) {
        let network = network
        bootstrap.group.any().scheduleTask(in: .milliseconds(1100)) { network.announce(addresses) }
    }

    private static func parcel(_ companion: RawSpan) -> Parcel? {
        companion.withUnsafeBytes { try? Parcel.decode($0) }
    }
}

/// A listening TCP socket, closed with it.
private final class Listening: Sendable {
    let descriptor: Int32
    let port: UInt16

    init(at end: Endpoint) throws(MigrationError) {
        let family = end.address.family
        let kind = SocketKind.stream | SocketKind.closeOnExec | SocketKind.nonBlocking
        let number = socket(family.number, kind, 0)
        guard number >= 0 else { throw Listening.failure("socket", end) }
        var on: CInt = 1
        setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
        guard end.withSocketAddress(for: family, { bind(number, $0, $1) }) == 0, listen(number, 64) == 0 else {
            let failure = Listening.failure("listen", end)
            close(number)
            throw failure
        }
        descriptor = number
        port = Listening.port(of: number) ?? end.port
    }

    deinit { close(descriptor) }

    private static func port(of descriptor: Int32) -> UInt16? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { raw in
            let result = raw.withMemoryRebound(to: sockaddr.self) { getsockname(descriptor, $0.baseAddress!, &length) }
            return result == 0 ? UInt16(raw[2]) << 8 | UInt16(raw[3]) : nil
        }
    }

    private static func failure(_ call: String, _ end: Endpoint) -> MigrationError {
        let code = errno
        return MigrationError(.systemCall, "\(call) at \(end): \(String(cString: strerror(code)))", errno: code)
    }
}
