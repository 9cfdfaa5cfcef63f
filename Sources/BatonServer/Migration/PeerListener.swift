internal import BatonConfiguration
internal import BatonCore
internal import CLinuxSockets
internal import Dispatch
internal import Libc
internal import Logging
internal import Synchronization

/// Listens for other hosts, and serves each on a thread of its own once it has shown who it is.
final class PeerListener: Sendable {
    private struct State {
        var admission = PeerAdmission()
        /// The sockets of those who are being authenticated.
        var descriptors: [PeerAdmission.Place: CInt] = [:]
        var refusals = Refusals()
    }

    /// Links that can be there at a time. One brings connections, others hear that it does.
    private static let maxLinks = 8
    /// How long one has to show its certificate.
    private static let patience = Duration.seconds(3)
    /// How long nobody is accepted after accepting failed for want of descriptors or memory, in milliseconds.
    private static let rest: CInt = 100

    private let sockets: [ListeningSocket]
    private let addresses: [Address]
    private let handshake: PeerHandshake
    private let log: Logger
    private let serve: @Sendable (_ link: PeerLink, _ peer: String) -> Void
    private let state: Mutex<State>
    /// One that was hung up on may be there a moment longer, and a peer's name can have several addresses.
    private let threads: DispatchSemaphore
    private let links = DispatchSemaphore(value: maxLinks)

    /// - Parameters:
    ///   - peers: the configured ones; an address given as a name is resolved once.
    ///   - serve: called for each link, on its thread.
    init(
        at address: Address, _ handshake: PeerHandshake, peers: some Sequence<Peer>, log: Logger,
        serve: @escaping @Sendable (_ link: PeerLink, _ peer: String) -> Void
    ) throws {
        sockets = try ListeningSocket.open(key: "migration.listen", address, sharesPort: true, backlog: 128)
        self.handshake = handshake
        self.log = log
        self.serve = serve
        addresses = peers.map(\.address)
        state = Mutex(State())
        threads = DispatchSemaphore(value: 2 * PeerAdmission.maxStrangers + 4 * addresses.count)
    }

    /// Begins to accept.
    func start() {
        for socket in sockets {
            log.notice("listening for other hosts", metadata: ["address": "\(socket.place)"])
        }
        // Those that are given as names are known when they have been resolved.
        for address in addresses {
            if case .tcp(.ip(let ip), _) = address { state.withLock { $0.admission.expect([ip]) } }
        }
        startThread("baton-resolve") { [self] in
            for address in addresses {
                let found = LinkSocket.addresses(of: address)
                state.withLock { $0.admission.expect(found) }
            }
        }
        for socket in sockets { startThread("baton-peers") { [self] in while true { accept(at: socket) } } }
    }

    private func accept(at socket: ListeningSocket) {
        var request = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&request, 1, -1)
        let descriptor = baton_accept(socket.descriptor)
        guard descriptor >= 0 else {
            guard descriptor != -EAGAIN else { return }
            note("cannot accept: \(String(cString: strerror(-descriptor)))")
            _ = poll(nil, 0, Self.rest)
            return
        }
        guard let source = LinkSocket.source(of: descriptor) else {
            close(descriptor)
            return
        }
        threads.wait()
        let place = state.withLock { state in
            let (place, hangUp) = state.admission.admit(from: source)
            // Its thread closes it.
            if let given = hangUp.flatMap({ state.descriptors.removeValue(forKey: $0) }) {
                shutdown(given, Int32(SHUT_RDWR))
            }
            state.descriptors[place] = descriptor
            return place
        }
        startThread("baton-peer") { [self] in
            let result = Result { try handshake.accept(descriptor, within: Self.patience) }
            state.withLock { state in
                state.admission.leave(place)
                state.descriptors[place] = nil
            }
            threads.signal()
            switch result {
            case .success(let (link, peer)):
                guard links.wait(timeout: .now()) == .success else {
                    return note("\(peer) has \(Self.maxLinks) links already")
                }
                serve(link, peer)
                links.signal()
            case .failure(let error):
                close(descriptor)
                note("\(error)")
            }
        }
    }

    /// Whoever connects can make one line a second of the log.
    private func note(_ reason: String) {
        guard let others = state.withLock({ $0.refusals.count(at: MonotonicTime.now) }) else { return }
        var metadata: Logger.Metadata = ["reason": "\(reason)"]
        if others > 0 { metadata["others"] = "\(others)" }
        log.warning("a host that connected is no peer", metadata: metadata)
    }

    /// Which refusals are told, and how many were not.
    private struct Refusals {
        private static let interval: UInt64 = 1_000_000_000
        private var toldAt: UInt64?
        private var untold = 0

        /// How many were not told since the last that was; `nil` if this one is not to be told.
        mutating func count(at now: UInt64) -> Int? {
            if let toldAt, now < toldAt + Self.interval {
                untold += 1
                return nil
            }
            defer { (toldAt, untold) = (now, 0) }
            return untold
        }
    }
}
