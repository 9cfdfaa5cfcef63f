internal import BatonCore
internal import BatonNIO
internal import HostMigration
internal import Libc
internal import Synchronization
internal import TLSRecords

/// The blocking part of a departure: the link to the other host, and what crosses it. For one thread at a time.
///
/// It owns the parcels of a batch until it returns them: those of connections that stayed. Of the others nothing is left here; once a
/// commit was sent its parcel is never returned, whatever the link does then.
final class DepartureSession: @unchecked Sendable {
    private let link: HostLink
    private let claim: HostNetwork.Claim
    private let tally: ConnectionRegistry.Tally
    private let hop: NextHop
    private let patience: Duration
    private(set) var counts = Counts()
    /// Once the link has failed nothing more leaves.
    private(set) var failure: MigrationError?
    private var hasMovedAddresses = false
    private var hasSteeredNewcomers = false

    /// What became of connections so far.
    struct Counts: Sendable {
        var moved = 0
        var inDoubt = 0
        var stayed: [String: Int] = [:]
    }

    /// A connection that did not leave.
    struct Returned: Sendable {
        let connection: DetachedConnection
        /// Whether the reason is its own, so that another attempt at once would end like this one.
        let wasRefused: Bool
    }

    /// Connects and greets.
    ///
    /// - Throws: `.hostBusy` if something moves at this host already, or at the other one; or what the link throws.
    init(
        to peer: HostPeer, _ network: HostNetwork, _ credentials: HostCredentials, _ tally: ConnectionRegistry.Tally,
        patience: Duration
    ) throws(MigrationError) {
        claim = try network.claim()
        link = try HostLink(
            connectingTo: peer.host, port: peer.port, as: peer.name, credentials,
            from: { network.source(towards: $0) }, patience: patience)
        self.tally = tally
        self.patience = patience
        try link.send(.hello(versions: HostMessage.versions, network.hop))
        guard case .hello(let versions, let hop) = try link.receiveMessage(within: patience) else {
            throw MigrationError(.protocolViolation)
        }
        guard versions.overlaps(HostMessage.versions) else {
            throw MigrationError(.unsupportedVersion, "\(versions)")
        }
        // Where the packets of a committed connection go must be known before.
        let families = Set(network.serviceAddresses.map(\.family))
        guard !families.contains(.ipv4) || hop.ipv4 != nil, !families.contains(.ipv6) || hop.ipv6 != nil else {
            throw MigrationError(
                .steeringRules, "the other host has no address of each family of the service addresses on the link")
        }
        self.hop = hop
        try ask(.begin)
    }

    /// Sends what the other host answers with `done`.
    private func ask(_ message: HostMessage) throws(MigrationError) {
        try link.send(message)
        switch try link.receiveMessage(within: patience) {
        case .done: return
        case .failed(let error): throw error
        default: throw MigrationError(.protocolViolation)
        }
    }

    // MARK: Batches

    /// A parcel whose socket is about to be examined.
    private final class Leaving {
        private var parcel: Parcel?
        private let descriptor: Int32
        let socket: MovableSocket?
        private var companion: SecretBytes?
        let obstacle: MigrationError?

        init(_ parcel: consuming Parcel, _ network: HostNetwork) {
            let descriptors = parcel.sockets.takeAll()
            descriptor = descriptors.first ?? -1
            for other in descriptors.dropFirst() { close(other) }
            do throws(MigrationError) {
                let socket = try MovableSocket(examining: descriptor)
                // The other host would decline it.
                guard network.serviceAddresses.contains(socket.flow.local.address) else {
                    throw MigrationError(.addressNotPermitted)
                }
                guard parcel.secondSnapshot == nil else { throw MigrationError(.unreadableCompanion) }
                companion = try Leaving.encode(parcel)
                self.socket = socket
                obstacle = nil
            } catch {
                socket = nil
                obstacle = error
            }
            self.parcel = consume parcel
        }

        private static func encode(_ parcel: borrowing Parcel) throws(MigrationError) -> SecretBytes {
            do throws(ParcelError) {
                return try parcel.encoded().withBytes { SecretBytes(copying: $0.bytes) }
            } catch {
                throw MigrationError(.outOfRoom, "\(error)")
            }
        }

        func takeCompanion() -> SecretBytes? { companion.take() }

        /// The whole again, if the connection has not left.
        func returned(_ reason: MigrationError) -> Returned? {
            guard var parcel = self.parcel.take() else { return nil }
            companion = nil
            if descriptor >= 0 { parcel.sockets.append(owning: descriptor) }
            return Returned(connection: DetachedConnection(parcel), wasRefused: !reason.isPassing)
        }

        /// It is the other host's, or nobody's; the descriptor is closed.
        func forget() {
            parcel = nil
            companion = nil
        }
    }

    /// Moves connections, so many at a time, and returns those that stay.
    func move(_ connections: [DetachedConnection], batchLimit: Int) -> [Returned] {
        var rest = connections[...]
        var returned: [Returned] = []
        while !rest.isEmpty {
            let batch = rest.prefix(batchLimit)
            rest = rest.dropFirst(batchLimit)
            returned += moveBatch(batch)
        }
        return returned
    }

    private func moveBatch(_ connections: ArraySlice<DetachedConnection>) -> [Returned] {
        let begin = ContinuousClock.now
        var returned: [Returned] = []
        func stays(_ leaving: Leaving, _ reason: MigrationError) {
            counts.stayed[reason.code.explanation, default: 0] += 1
            tally.countMoveFailed()
            if let connection = leaving.returned(reason) { returned.append(connection) }
        }
        var leaving: [Leaving] = []
        for connection in connections {
            guard let parcel = connection.take() else { continue }
            let entry = Leaving(parcel, claim.network)
            if let reason = failure ?? entry.obstacle { stays(entry, reason) } else { leaving.append(entry) }
        }
        let sockets = leaving.compactMap(\.socket)
        guard !sockets.isEmpty else { return returned }
        let source = MigrationSource(steering: claim.steering, transport: link, to: hop, answerLimit: patience)
        let outcomes = source.move(sockets) { leaving[$0].takeCompanion() }
        for (entry, outcome) in zip(leaving, outcomes) {
            switch outcome {
            case .moved:
                entry.forget()
                counts.moved += 1
                tally.countMoveOut(after: ContinuousClock.now - begin)
            case .inDoubt:
                entry.forget()
                counts.inDoubt += 1
                tally.countMoveFailed()
            case .stayed(let reason):
                if reason.code == .protocolViolation { failure = failure ?? reason }
                stays(entry, reason)
            }
        }
        failure = failure ?? link.failure
        try? claim.steering.settle()
        return returned
    }

    /// Connections that stayed are offered, and counted, once more.
    func beginSweep() { counts.stayed = [:] }

    // MARK: Addresses

    /// Forwards what begins at the ports to the other host, from its first packet on.
    func steerNewcomers(_ ports: [UInt16]) throws(MigrationError) {
        if let failure { throw failure }
        let addresses = claim.network.answeredAddresses
        guard !addresses.isEmpty else { return }
        do throws(MigrationError) {
            // After an earlier move of the addresses the other host still forwards to this one what comes to the wrong one.
            try ask(.newcomers)
            guard !ports.isEmpty else { return }
            hasSteeredNewcomers = true
            try claim.steering.steerNewcomers(to: addresses, ports: ports, via: hop)
        } catch {
            failure = failure ?? link.failure
            throw error
        }
    }

    /// Lets the other host answer for the service addresses, which forwards `staying` back to this one.
    ///
    /// - Returns: the addresses that have moved.
    /// - Throws: why they have not. This host answers for them again; if the link has failed the other one may, too.
    func moveAddresses(staying: [Flow]) throws(MigrationError) -> [IPAddress] {
        if let failure { throw failure }
        let network = claim.network
        let addresses = Array(network.answeredAddresses.prefix(HostMessage.maxAddresses))
        guard !addresses.isEmpty else { return [] }
        // What has moved to a third host comes here no longer, either: the other host sends it by this one.
        let elsewhere = claim.steering.moved.filter { flow, host in
            addresses.contains(flow.local.address) && host != hop.ipv4 && host != hop.ipv6
        }
        let staying = staying + elsewhere.keys
        // Two hosts that answer for one address are worse than none for a moment.
        try network.give(addresses)
        do throws(MigrationError) {
            try ask(.addresses(addresses, staying: staying))
        } catch {
            failure = failure ?? link.failure
            do throws(MigrationError) {
                try network.take(addresses)
            } catch let second {
                throw MigrationError(error.code, "\(error.detail); nor does this host answer for them again: \(second)")
            }
            throw error
        }
        hasMovedAddresses = true
        return addresses
    }

    /// Says good-bye. Unless the addresses have moved, connections begin here again.
    func end() {
        if hasSteeredNewcomers, !hasMovedAddresses { try? claim.steering.keepNewcomers() }
        if failure == nil { try? link.send(.bye) }
    }
}

extension MigrationError {
    /// Whether the same connection may well move in a moment: what went wrong was not its own.
    fileprivate var isPassing: Bool {
        switch code {
        case .changedAfterFreezing, .unsettled, .urgentData, .linkEnded, .timedOut, .protocolViolation: true
        default: false
        }
    }
}
