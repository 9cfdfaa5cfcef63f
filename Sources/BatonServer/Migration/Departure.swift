internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import HostMigration
internal import Libc
internal import TLSRecords

/// One drain, at the host that connections leave: the link to the peer, and what has become of them so far. This process
/// owns each parcel from the worker's commit until it has moved or a worker has it again. Blocking, for one thread.
final class Departure {
    private let link: PeerLink
    private let network: NetworkClient
    private let peer: LinkHello
    /// Gives a connection that stays back to a worker.
    private let keep: (consuming Parcel) -> Void
    private(set) var tally = DrainTally()
    private var haveAddressesMoved = false
    /// Once the link has failed nothing more leaves.
    private(set) var failure: LinkError?

    /// Greets the peer.
    init(
        _ link: PeerLink, _ network: NetworkClient, hop: NextHop, keep: @escaping (consuming Parcel) -> Void
    ) throws {
        self.link = link
        self.network = network
        self.keep = keep
        let hello = LinkHello(hop: hop, takesConnections: false)
        try link.queue(.hello, hello.encoded)
        try link.flush()
        let answer = try link.receive()
        guard answer.kind == .hello, let peer = answer.withBytes({ LinkHello($0) }) else { throw LinkError.violation }
        guard hello.common(with: peer) != nil else {
            throw LinkError("the other host speaks no version of the protocol in common; run the same release on both")
        }
        guard peer.takesConnections else {
            throw LinkError("the other host takes no connections now: it is being drained, or takes others; try again")
        }
        self.peer = peer
    }

    /// Has both hosts make ready, so that the first batch need not wait for it.
    func prepare() throws {
        try network.prepare()
        try link.queue(.prepare)
        try link.flush()
        guard try link.receive().kind == .taken else { throw LinkError.violation }
    }

    /// The peer's addresses on the shared link.
    var host: NextHop { peer.hop }

    /// Connections that stayed are offered again from here on.
    func beginSweep() {
        tally.stayed = [:]
    }

    /// What a dry run asks of each: whether it could move.
    func examine(_ parcel: borrowing Parcel) {
        var sockets: [CInt] = []
        for index in 0..<parcel.sockets.count { sockets.append(parcel.sockets[index]) }
        let results = (try? network.examine(sockets)) ?? []
        if let reason = Self.obstacle(results, sockets.count) {
            tally.stayed[reason, default: 0] += 1
        } else {
            tally.moved += 1
        }
    }

    private static func obstacle(_ results: some Collection<Result<Flow, MigrationError>>, _ count: Int) -> String? {
        for case .failure(let error) in results { return error.code.explanation }
        return results.count == count && count > 0 ? nil : MigrationError.Code.systemCall.explanation
    }

    // MARK: A batch

    /// A parcel that has been taken apart: its sockets, and the rest.
    private final class Leaving {
        private var parcel: Parcel?
        let sockets: [CInt]
        let flows: [Flow]
        let detachedAt: UInt64?

        init(_ parcel: consuming Parcel, sockets: [CInt], flows: [Flow], detachedAt: UInt64?) {
            self.parcel = consume parcel
            self.sockets = sockets
            self.flows = flows
            self.detachedAt = detachedAt
        }

        /// What the peer gets before the sockets: the flows, and everything but the sockets.
        func message() throws(ParcelError) -> ByteQueue {
            var head: [UInt8] = [UInt8(flows.count)]
            for flow in flows { head.append(flow) }
            var message = ByteQueue()
            head.withUnsafeBytes { message.append($0) }
            switch parcel {
            case .some(let parcel): try parcel.encoded().withBytes { message.append($0) }
            case .none: break
            }
            return message
        }

        /// The whole again.
        func reassemble() -> Parcel? {
            guard var parcel = self.parcel.take() else { return nil }
            for socket in sockets { parcel.sockets.append(owning: socket) }
            return parcel
        }

        /// It is the peer's, or nobody's.
        func forget(reset: Bool) {
            parcel = nil
            for socket in sockets {
                if reset { SocketReset.close(socket) } else { close(socket) }
            }
        }
    }

    /// Moves connections, and gives those that stay back.
    func move(_ boxes: [DetachedConnection]) {
        var leaving: [Leaving] = []
        for box in boxes {
            guard let parcel = box.take() else { continue }
            tally.handled += 1
            if let entry = opened(parcel) { leaving.append(entry) }
        }
        var rest = leaving[...]
        while !rest.isEmpty {
            let part = rest.prefix(min(peer.maxParcels, LinkProtocol.maxParcels))
            rest = rest.dropFirst(part.count)
            moveBatch(Array(part))
        }
    }

    /// Takes the parcel apart. Whether its sockets can move is examined when they are about to.
    private func opened(_ parcel: consuming Parcel) -> Leaving? {
        let stamp = parcel.metadata.annotations.removeValue(forKey: SessionAnnotation.detachedAt)
        let detachedAt = stamp.map { $0.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
        let sockets = parcel.sockets.takeAll()
        let flows = sockets.compactMap { Flow(of: $0) }
        let entry = Leaving(parcel, sockets: sockets, flows: flows, detachedAt: detachedAt)
        let obstacle = flows.count == sockets.count ? nil : MigrationError.Code.notTCP.explanation
        guard let obstacle = failure?.description ?? obstacle else { return entry }
        stay(entry, obstacle)
        return nil
    }

    /// Gives it back, unless that has been done.
    private func stay(_ entry: Leaving, _ reason: String) {
        guard let parcel = entry.reassemble() else { return }
        tally.stayed[reason, default: 0] += 1
        keep(parcel)
    }

    private static let little = 1 << 15
    private static let maxLate = 8

    private func moveBatch(_ entries: [Leaving]) {
        // One that has died since the last batch has harmed none of these.
        guard (try? network.steeredCount()) != nil else {
            for entry in entries { stay(entry, "the privileged process has died; drain again") }
            return
        }
        var sent: [Leaving] = []
        do {
            try link.queue(.batch, [UInt8(clamping: entries.count)])
            for entry in entries {
                do {
                    let message = try entry.message()
                    guard message.count <= LinkFrame.parcel.limit else { throw MigrationError(.outOfRoom) }
                    try message.withBytes { try link.queue(.parcel, $0) }
                    sent.append(entry)
                } catch let error as LinkError {
                    throw error
                } catch {
                    // Its place in the batch stays empty.
                    try link.queue(.parcel)
                    stay(entry, "the connection has too much to carry")
                }
                if !link.hasRoom { try link.flush() }
            }
            // A little leaves while the sockets are frozen; much would keep the offer of them waiting.
            if link.waiting > Self.little { try link.flush() }
        } catch {
            return fail(error, keeping: entries)
        }
        do {
            settle(sent, try exchange(sent))
        } catch {
            // The privileged process has died: whether it had sent the commit is not known.
            failure = failure ?? LinkError("\(error)")
            tally.linkFailure = "\(error)"
            try? network.reset(sent.flatMap(\.sockets))
            for entry in sent {
                tally.inDoubt += 1
                entry.forget(reset: false)
            }
        }
    }

    /// Lets the privileged processes of both hosts move the sockets.
    private func exchange(_ entries: [Leaving]) throws -> [SocketMigration.Outcome] {
        guard !entries.isEmpty else { return [] }
        var sockets: [CInt] = []
        var groups: [Int] = []
        for (group, entry) in entries.enumerated() {
            sockets += entry.sockets
            groups += entry.sockets.map { _ in group }
        }
        let (near, far) = try UnixSocket.pair(SocketKind.stream)
        let relay = BatchRelay(link, local: near)
        do {
            defer { close(far) }
            try network.beginMove(sockets, groups: groups, over: far, to: peer.hop)
        }
        while !relay.step(watching: network.descriptor) {}
        let outcomes = try network.outcomes()
        guard outcomes.count == sockets.count else { throw LinkError("the privileged process gave a wrong answer") }
        // What it said last may still be on its way to the link.
        while !relay.isLocalEnded { _ = relay.step(watching: -1) }
        failure = relay.failure
        return outcomes
    }

    /// Acts on what became of the sockets, and hears what became of the parcels.
    private func settle(_ entries: [Leaving], _ outcomes: [SocketMigration.Outcome]) {
        var rest = outcomes[...]
        var moved: [Leaving] = []
        for entry in entries {
            let own = rest.prefix(entry.sockets.count)
            rest = rest.dropFirst(own.count)
            if own.allSatisfy({ $0 == .moved }) {
                moved.append(entry)
            } else if let reason = own.lazy.compactMap(\.reason).first, !own.contains(where: \.hasLeft) {
                stay(entry, reason)
            } else {
                tally.inDoubt += 1
                entry.forget(reset: true)
            }
        }
        var lost = 0
        var lag: UInt64 = 0
        do throws(LinkError) {
            if let failure { throw failure }
            try link.queue(.batchEnd)
            try link.flush()
            var answer = try link.receive(within: LinkProtocol.patience * 3)
            // What the relay has not seen of this batch: its end, and before it an answer that came too late.
            for _ in 0..<Self.maxLate where answer.kind == .relay || answer.kind == .batchEnd {
                answer = try link.receive(within: LinkProtocol.patience * 3)
            }
            let counts = answer.withBytes { bytes -> (UInt16, UInt64)? in
                var reader = WireReader(bytes)
                guard let lost = reader.uint16(), let lag = reader.uint64(), reader.isAtEnd else { return nil }
                return (lost, lag)
            }
            guard answer.kind == .adopted, let counts, Int(counts.0) <= moved.count else { throw .violation }
            (lost, lag) = (Int(counts.0), counts.1)
        } catch {
            failure = error
            tally.linkFailure = error.description
            // The other host's kernel has them; whether a worker took them it could not say.
            tally.inDoubt += moved.count
            for entry in moved { entry.forget(reset: false) }
            return
        }
        let now = MonotonicTime.now
        tally.moved += moved.count - lost
        tally.lost += lost
        for entry in moved {
            entry.forget(reset: false)
            // The lag is the peer's word, and may be any number.
            guard let then = entry.detachedAt, now > then, now - then > lag else { continue }
            tally.pauses.record(nanoseconds: now - then - lag)
        }
    }

    private func fail(_ error: any Error, keeping entries: [Leaving]) {
        failure = LinkError("\(error)")
        tally.linkFailure = "\(error)"
        for entry in entries { stay(entry, "\(error)") }
    }

    // MARK: The end

    /// Lets the peer answer for the service addresses this host answers for. Returns them.
    func moveAddresses() throws -> [IPAddress] {
        if let failure { throw failure }
        // Not what was offered and stays alone: a connection that was on its way between workers is among them, one whose
        // handshake is under way, one of another program, and what is forwarded to a third host.
        let staying = try network.stayingFlows(besidesThoseAt: peer.hop)
        let addresses = try network.leaveAddresses()
        guard !addresses.isEmpty else { return [] }
        do {
            var body: [UInt8] = [UInt8(clamping: addresses.count)]
            for address in addresses { body.append(address) }
            for flow in staying { body.append(flow) }
            try link.queue(.takeAddresses, body)
            try link.flush()
            // A program may take each of them, and where one fails leave each of them again.
            let patience = LinkProtocol.patience + LinkProtocol.hookPatience * (2 * addresses.count)
            let answer = try link.receive(within: patience)
            guard answer.kind == .taken else {
                let why = answer.withBytes { String(decoding: $0.prefix(500), as: UTF8.self) }
                throw LinkError("the other host does not take the addresses: \(why.printable)")
            }
        } catch {
            // Answering for them twice is better than not at all, and the last word counts.
            do {
                try network.keepAddresses(addresses)
            } catch let second {
                throw LinkError("\(error); nor does this host answer for all of them again: \(second)")
            }
            throw error
        }
        haveAddressesMoved = true
        return addresses
    }

    /// Forwards what begins at these ports.
    func steerNewcomers(_ ports: [UInt16]) throws {
        if let failure { throw failure }
        // After an earlier move of the addresses the peer still forwards to this host what comes to the wrong one.
        try link.queue(.newcomers)
        try link.flush()
        guard try link.receive().kind == .taken else { throw LinkError.violation }
        try network.steerNewcomers(ports: ports, to: peer.hop)
    }

    /// Says good-bye. Unless the addresses have moved, connections begin here again. If they have, clients and switches may
    /// not know yet, and new connections are forwarded on.
    func end() {
        if !haveAddressesMoved { try? network.keepNewcomers() }
        try? link.queue(.bye)
        try? link.flush(within: .seconds(1))
    }
}

extension SocketMigration.Outcome {
    fileprivate var reason: String? {
        if case .stayed(let error) = self { error.code.explanation } else { nil }
    }

    fileprivate var hasLeft: Bool {
        if case .stayed = self { false } else { true }
    }
}

extension String {
    /// Without control characters, for a log.
    fileprivate var printable: String {
        String(String.UnicodeScalarView(unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }))
    }
}
