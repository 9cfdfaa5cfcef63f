package import BatonCore

/// Receives batches of connections from another host: performs what a `SocketArrival` asks for.
///
/// Blocking, for a thread of its own.
public struct MigrationTarget {
    private let transport: any MigrationTransport
    private let steering: FlowSteering?
    private let refusal: (Flow, RawSpan) -> MigrationError.Code?

    /// With `steering`, a flow that this host forwards to the other, because it had moved there or because the service
    /// address is here already, is held while it arrives and no longer forwarded when it has.
    ///
    /// - Parameters:
    ///   - transport: the link. An offer comes as it is in the memory of the other host: it must be authenticated and secret.
    ///   - steering: of this host, or `nil` if nothing is ever forwarded here.
    ///   - refusal: gets each flow and what accompanies it (empty if nothing does), before anything is done for it. If it has a
    ///     reason, the connection is declined, and goes on at the other host. What `receive` could not use has to be refused here:
    ///     after the commit it would be lost.
    public init(
        transport: any MigrationTransport, steering: FlowSteering? = nil,
        refusal: @escaping (Flow, RawSpan) -> MigrationError.Code? = { _, _ in nil }
    ) {
        self.transport = transport
        self.steering = steering
        self.refusal = refusal
    }

    /// Waits for one batch and takes it. Let the steering settle (`FlowSteering.settle`) before the next one.
    ///
    /// - Parameter adopt: gets each connection as soon as it is this host's: the descriptor, which is its own to close, the flow,
    ///   and what accompanies it (empty if nothing does), which is zeroed when it returns.
    /// - Throws: why nothing came. The source owns the connections then, or they are in doubt, and none is left here.
    public func receive(adopt: (Int32, Flow, RawSpan) -> Void) throws(MigrationError) {
        try take(try transport.receive(within: nil), adopt: adopt)
    }

    /// As `receive`, of a batch whose offer has come already.
    package func take(
        _ offer: consuming SecretBytes, adopt: (Int32, Flow, RawSpan) -> Void
    ) throws(MigrationError) {
        var arrival = SocketArrival()
        var batch = Batch(offer)
        var event: SocketArrival.Event
        do throws(MigrationError) {
            event = .offered(count: try batch.count())
        } catch {
            event = .failed(error)
        }
        while !arrival.isFinished {
            var next: SocketArrival.Event?
            for action in arrival.handle(event) {
                next = perform(action, &batch, adopt) ?? next
            }
            event = next ?? .failed(MigrationError(.protocolViolation))
        }
        batch.endHold(steering)
        if let failure = arrival.failure { throw failure }
    }

    private func perform(
        _ action: SocketArrival.Action, _ batch: inout Batch, _ adopt: (Int32, Flow, RawSpan) -> Void
    ) -> SocketArrival.Event? {
        switch action {
        case .restore:
            return .restored(declined: batch.restore(steering, refusal))
        case .answer(let declined):
            do throws(MigrationError) {
                try transport.send(.answer(declined: declined))
                switch try transport.receiveMessage(within: nil) {
                case .commit(let members): return .commit(members)
                case .cancel: return .cancel
                default: return .failed(MigrationError(.protocolViolation))
                }
            } catch {
                return .failed(error)
            }
        case .activate(let members):
            return .activated(lost: activate(members, &batch, adopt))
        case .discard(let members):
            for member in members { batch.thawed[member]?.drop() }
        case .disown(let members):
            for member in members { batch.thawed[member]?.disown() }
        case .confirm(let lost):
            try? transport.send(.confirm(lost: lost))
        case .finish:
            break
        }
        return nil
    }

    private func activate(
        _ members: Set<Int>, _ batch: inout Batch, _ adopt: (Int32, Flow, RawSpan) -> Void
    ) -> Set<Int> {
        var lost: Set<Int> = []
        var flows: [Flow] = []
        for member in members.sorted() {
            guard let thawed = batch.thawed[member], let socket = thawed.take() else {
                lost.insert(member)
                continue
            }
            let flow = socket.flow
            do throws(MigrationError) {
                let descriptor = try socket.activate()
                thawed.withCompanion { adopt(descriptor, flow, $0) }
                flows.append(flow)
            } catch {
                lost.insert(member)
            }
        }
        try? steering?.forget(flows)
        batch.endHold(steering, arrived: Set(flows))
        return lost
    }
}

/// A batch on its way in.
private struct Batch: ~Copyable {
    private var offer: SecretBytes?
    private(set) var thawed: [Int: Thawed] = [:]
    private var hold: FlowHold?

    init(_ offer: consuming SecretBytes) { self.offer = consume offer }

    private borrowing func withOffer(_ body: (UnsafeRawBufferPointer) -> Void) {
        switch offer {
        case .some(let offer): offer.withUnsafeBytes(body)
        case .none: break
        }
    }

    borrowing func count() throws(MigrationError) -> Int {
        var result: Result<Int, MigrationError> = .failure(MigrationError(.protocolViolation))
        withOffer { bytes in
            result = Result { () throws(MigrationError) in try MigrationOffer.forEach(in: bytes) { _, _ in } }
        }
        return try result.get()
    }

    /// Restores every member; what is declined, with its reason.
    mutating func restore(
        _ steering: FlowSteering?, _ refusal: (Flow, RawSpan) -> MigrationError.Code?
    ) -> [Int: MigrationError] {
        var declined: [Int: MigrationError] = [:]
        var frozen: [Int: Frozen] = [:]
        withOffer { bytes in
            _ = try? MigrationOffer.forEach(in: bytes) { member, encoded in
                do throws(MigrationError) {
                    let value = Frozen(try FrozenSocket.decode(encoded))
                    if let code = value.withCompanion({ refusal(value.flow, $0) }) { throw MigrationError(code) }
                    frozen[member] = value
                } catch {
                    declined[member] = error
                }
            }
        }
        offer = nil
        do throws(MigrationError) {
            try holdForwarded(frozen.values.map(\.flow), steering)
        } catch {
            for member in frozen.keys { declined[member] = error }
            frozen = [:]
        }
        let settings = TCPSettings()
        for (member, box) in frozen {
            guard var socket = box.take() else { continue }
            do throws(MigrationError) {
                let companion = socket.companion.take()
                thawed[member] = Thawed(try ThawedSocket(restoring: socket, settings: settings), companion)
            } catch {
                declined[member] = error
            }
        }
        return declined
    }

    /// A packet of a forwarded flow must not go round between the hosts while each takes the other for the owner, and
    /// must not reach a socket that may yet be discarded.
    private mutating func holdForwarded(_ flows: [Flow], _ steering: FlowSteering?) throws(MigrationError) {
        guard let steering else { return }
        let forwarded = flows.filter(steering.isForwarded)
        guard !forwarded.isEmpty else { return }
        hold = try FlowHold(forwarded, with: steering)
    }

    /// Lets the held packets go: to the sockets that have arrived, and on to the other host for those that have not.
    mutating func endHold(_ steering: FlowSteering?, arrived: Set<Flow> = []) {
        guard let hold = hold.take() else { return }
        // One that began while new ones were forwarded is forwarded by another rule than what has been held.
        if let steering, steering.steersNewcomers, !arrived.isSuperset(of: hold.flows) {
            try? steering.learnNewcomers()
        }
        _ = try? hold.end(forwarding: [], to: NextHop())
    }
}

/// A box, for dictionaries hold no noncopyable values.
private final class Frozen {
    let flow: Flow
    private var socket: FrozenSocket?

    init(_ socket: consuming FrozenSocket) {
        flow = socket.flow
        self.socket = consume socket
    }

    func take() -> FrozenSocket? { socket.take() }

    func withCompanion<R>(_ body: (RawSpan) -> R) -> R {
        switch socket {
        case .some(let socket): socket.companion.withSpan(body)
        case .none: Optional<SecretBytes>.none.withSpan(body)
        }
    }
}

extension Optional<SecretBytes> {
    /// Lends the bytes; none if there are none.
    fileprivate borrowing func withSpan<R>(_ body: (RawSpan) -> R) -> R {
        switch self {
        case .some(let bytes): bytes.withUnsafeBytes { body($0.bytes) }
        case .none: body(UnsafeRawBufferPointer(start: nil, count: 0).bytes)
        }
    }
}

/// As `Frozen`.
private final class Thawed {
    private var socket: ThawedSocket?
    private let companion: SecretBytes?
    private let probe: PeerProbe

    init(_ socket: consuming ThawedSocket, _ companion: consuming SecretBytes?) {
        probe = socket.probe
        self.socket = consume socket
        self.companion = consume companion
    }

    func withCompanion<R>(_ body: (RawSpan) -> R) -> R { companion.withSpan(body) }

    func take() -> ThawedSocket? { socket.take() }
    func drop() { socket = nil }

    /// The probe leaves when the socket is gone, which would swallow the answer.
    func disown() {
        socket = nil
        probe.send()
    }
}
