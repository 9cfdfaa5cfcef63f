public import BatonCore
internal import CLinuxSockets

/// Moves batches of connections away from this host: performs what a `SocketMigration` asks for.
///
/// Blocking, for a thread of its own. The sockets' owner must have stopped reading and writing them.
public struct MigrationSource {
    private let steering: FlowSteering
    private let transport: any MigrationTransport
    private let host: NextHop
    private let answerLimit: Duration
    private let now: () -> ContinuousClock.Instant

    /// `host` is where the other end of `transport` lives. An answer that takes longer than `answerLimit`
    /// takes the batch back; it must stay well under `FlowSteering.holdSeconds`, which are counted by `now`.
    public init(
        steering: FlowSteering, transport: any MigrationTransport, to host: NextHop,
        answerLimit: Duration = .seconds(5),
        now: @escaping () -> ContinuousClock.Instant = { .now }
    ) {
        self.steering = steering
        self.transport = transport
        self.host = host
        self.answerLimit = answerLimit
        self.now = now
    }

    /// Moves the connections and waits for the end. A descriptor whose connection did not stay is closed. Let the
    /// steering settle (`FlowSteering.settle`) before the next batch.
    ///
    /// - Parameters:
    ///   - sockets: of one batch, at most 4,096. They all stand still together until it has moved, so few at a time are better.
    ///   - groups: one number for each socket: those with equal ones move together or not at all. `nil`: each by itself.
    ///   - companion: what is to accompany the socket at an index, at most 256 MiB; `nil` for none. It is asked when the sockets are
    ///     frozen and the offer is made, and zeroed when that has been sent. The other host has it together with the socket, or
    ///     neither.
    /// - Returns: what became of each, in the same order.
    public func move(
        _ sockets: [MovableSocket], groups: [Int]? = nil, companion: @escaping (Int) -> SecretBytes? = { _ in nil }
    ) -> [SocketMigration.Outcome] {
        guard !sockets.isEmpty else { return [] }
        guard sockets.count <= MigrationMessage.batchLimit else {
            let error = MigrationError(.outOfRoom, "more than \(MigrationMessage.batchLimit) connections in a batch")
            return sockets.map { _ in .stayed(error) }
        }
        var migration = SocketMigration(groups: groups ?? Array(sockets.indices))
        var departure = Departure(sockets: sockets, companion: companion)
        var event: SocketMigration.Event? = .begin
        while let current = event {
            event = perform(migration.handle(current), &departure)
            if event == nil, !migration.isFinished { event = .failed(MigrationError(.protocolViolation)) }
        }
        return sockets.indices.map { migration.outcomes[$0] ?? .inDoubt }
    }

    /// Performs the actions in order and returns the event that results.
    private func perform(
        _ actions: [SocketMigration.Action], _ departure: inout Departure
    ) -> SocketMigration.Event? {
        var result: SocketMigration.Event?
        var failure: MigrationError?
        for action in actions {
            let isOwed =
                switch action {
                case .release, .takeBack, .close, .disown, .cancel: true
                default: false
                }
            guard failure == nil || isOwed else { continue }
            do throws(MigrationError) {
                result = try perform(action, &departure) ?? result
            } catch {
                if failure == nil { failure = error }
            }
        }
        return failure.map { .failed($0) } ?? result
    }

    private func perform(
        _ action: SocketMigration.Action, _ departure: inout Departure
    ) throws(MigrationError) -> SocketMigration.Event? {
        switch action {
        case .hold:
            departure.hold = try FlowHold(departure.sockets.map(\.flow), with: steering, now: now())
            return .held
        case .freeze:
            return .frozen(refused: departure.freeze())
        case .offer(let members):
            try departure.offer(members).withBytes { (bytes) throws(MigrationError) in try transport.send(bytes.bytes) }
            departure.isOffered = true
            guard case .answer(let declined) = try receive() else { throw MigrationError(.protocolViolation) }
            // The answer counts as the offer does: among those that were frozen.
            return .answered(declined: departure.members(declined))
        case .verify(let members):
            try requireFreshHold(departure)
            let changed = members.filter { !departure.isUnchanged($0) }
            // Once more, since the comparison takes time: what the machine answers with is the commit, which is sent at once.
            try requireFreshHold(departure)
            return .verified(changed: changed)
        case .cancel:
            // Of an offer that could not be sent the other host has heard nothing, or only a part behind which nothing is understood.
            if departure.isOffered { try? transport.send(.cancel) }
        case .commit(let members):
            try transport.send(.commit(departure.positions(members)))
        case .takeBack(let members):
            for member in members { departure.sockets[member].thawInPlace() }
        case .release(let members):
            guard let hold = departure.hold.take() else { return nil }
            _ = try hold.end(forwarding: members.map { departure.sockets[$0].flow }, to: host)
        case .awaitConfirmation:
            guard case .confirm(let lost) = try receive() else { throw MigrationError(.protocolViolation) }
            return .confirmed(lost: departure.members(lost))
        case .close(let members):
            for member in members { departure.sockets[member].closeSilently() }
        case .disown(let members):
            for member in members { departure.probes[member]?.send() }
        case .finish:
            break
        }
        return nil
    }

    private func requireFreshHold(_ departure: borrowing Departure) throws(MigrationError) {
        guard departure.hold?.isFresh(at: now()) == true else {
            throw MigrationError(.timedOut, "the hold is about to expire")
        }
    }

    private func receive() throws(MigrationError) -> MigrationMessage {
        try transport.receiveMessage(within: answerLimit)
    }
}

/// A batch on its way out: what the machine's members stand for.
private struct Departure: ~Copyable {
    let sockets: [MovableSocket]
    private let companion: (Int) -> SecretBytes?
    var hold: FlowHold?
    private var frozen: [Int: FrozenBox] = [:]
    private var standstills: [Int: Standstill] = [:]
    private(set) var probes: [Int: PeerProbe] = [:]
    /// Members by their position in the offer.
    private var offered: [Int] = []
    /// Whether the other host has it.
    var isOffered = false

    init(sockets: [MovableSocket], companion: @escaping (Int) -> SecretBytes?) {
        self.sockets = sockets
        self.companion = companion
    }

    mutating func freeze() -> [Int: MigrationError] {
        var refused: [Int: MigrationError] = [:]
        for (member, socket) in sockets.enumerated() {
            do throws(MigrationError) {
                let value = try socket.freeze()
                standstills[member] = value.standstill
                probes[member] = PeerProbe(value)
                frozen[member] = FrozenBox(value)
            } catch {
                refused[member] = error
            }
        }
        return refused
    }

    mutating func offer(_ members: Set<Int>) throws(MigrationError) -> ByteQueue {
        var offer = MigrationOffer()
        for member in members.sorted() {
            guard var value = frozen[member]?.take() else { continue }
            value.companion = companion(member)
            guard value.companionCount <= FrozenSocket.queueLimit else {
                throw MigrationError(.outOfRoom, "more than 256 MiB accompany a connection")
            }
            offer.append(value)
            offered.append(member)
        }
        frozen = [:]
        return offer.encoded()
    }

    func isUnchanged(_ member: Int) -> Bool {
        sockets[member].isUnchanged(since: standstills[member])
    }

    func positions(_ members: Set<Int>) -> Set<Int> {
        Set(offered.indices.filter { members.contains(offered[$0]) })
    }

    func members(_ positions: Set<Int>) -> Set<Int> {
        Set(positions.filter(offered.indices.contains).map { offered[$0] })
    }

    func members(_ errors: [Int: MigrationError]) -> [Int: MigrationError] {
        var result: [Int: MigrationError] = [:]
        for (position, error) in errors where offered.indices.contains(position) { result[offered[position]] = error }
        return result
    }
}

/// A box, for dictionaries hold no noncopyable values.
private final class FrozenBox {
    private var socket: FrozenSocket?

    init(_ socket: consuming FrozenSocket) { self.socket = consume socket }

    func take() -> FrozenSocket? { socket.take() }
}
