import TLSRecords

/// Receives batches of connections from another host: performs what a `SocketArrival` asks for.
///
/// Blocking, for a thread of its own.
public struct MigrationTarget {
    private let transport: any MigrationTransport
    private let steering: FlowSteering?

    /// With `steering`, a flow that this host had moved away earlier stops being forwarded when it comes back.
    public init(transport: any MigrationTransport, steering: FlowSteering? = nil) {
        self.transport = transport
        self.steering = steering
    }

    /// Waits for one batch and takes it. `adopt` gets each connection as soon as it is this host's; the descriptor is
    /// its own.
    ///
    /// - Throws: why nothing came. The source owns the connections then, or they are in doubt, and none is left here.
    public func receive(adopt: (Int32, Flow) -> Void) throws(MigrationError) {
        var arrival = SocketArrival()
        var batch = Batch()
        var event: SocketArrival.Event
        do throws(MigrationError) {
            batch.offer = try transport.receive(within: nil)
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
        if let failure = arrival.failure { throw failure }
    }

    private func perform(
        _ action: SocketArrival.Action, _ batch: inout Batch, _ adopt: (Int32, Flow) -> Void
    ) -> SocketArrival.Event? {
        switch action {
        case .restore:
            return .restored(declined: batch.restore())
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
        case .confirm(let lost):
            try? transport.send(.confirm(lost: lost))
        case .finish:
            break
        }
        return nil
    }

    private func activate(
        _ members: Set<Int>, _ batch: inout Batch, _ adopt: (Int32, Flow) -> Void
    ) -> Set<Int> {
        var lost: Set<Int> = []
        var flows: [Flow] = []
        for member in members.sorted() {
            guard let socket = batch.thawed[member]?.take() else {
                lost.insert(member)
                continue
            }
            let flow = socket.flow
            do throws(MigrationError) {
                adopt(try socket.activate(), flow)
                flows.append(flow)
            } catch {
                lost.insert(member)
            }
        }
        // Harmless if it fails: packets of a flow that is here do not come by way of this host's forwarding.
        try? steering?.forget(flows)
        return lost
    }
}

/// A batch on its way in.
private struct Batch: ~Copyable {
    var offer: SecretBytes?
    var thawed: [Int: Thawed] = [:]

    borrowing func count() throws(MigrationError) -> Int {
        var result: Result<Int, MigrationError> = .failure(MigrationError(.protocolViolation))
        offer?.withUnsafeBytes { bytes in
            result = Result { () throws(MigrationError) in try MigrationOffer.forEach(in: bytes) { _, _ in } }
        }
        return try result.get()
    }

    /// Restores every member; what is declined, with its reason.
    mutating func restore() -> [Int: MigrationError] {
        var declined: [Int: MigrationError] = [:]
        var thawed: [Int: Thawed] = [:]
        offer?.withUnsafeBytes { bytes in
            _ = try? MigrationOffer.forEach(in: bytes) { member, encoded in
                do throws(MigrationError) {
                    let frozen = try FrozenSocket.decode(encoded)
                    thawed[member] = Thawed(try ThawedSocket(restoring: frozen))
                } catch {
                    declined[member] = error
                }
            }
        }
        self.thawed = thawed
        offer = nil
        return declined
    }
}

/// A box, for dictionaries hold no noncopyable values.
private final class Thawed {
    private var socket: ThawedSocket?

    init(_ socket: consuming ThawedSocket) {
        self.socket = consume socket
    }

    func take() -> ThawedSocket? { socket.take() }
    func drop() { socket = nil }
}
