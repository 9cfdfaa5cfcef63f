internal import BatonCore
internal import HostMigration
internal import NIOCore

/// One link from another host, as long as connections arrive by it. Blocking, for one thread.
final class ArrivalSession {
    private let link: HostLink
    private let arrivals: HostArrivals
    private let hop: NextHop
    /// From `begin` on.
    private var claim: HostNetwork.Claim?

    /// How long the other host may take for its greeting.
    private static let patience = Duration.seconds(5)

    /// Greets.
    init(_ link: HostLink, _ arrivals: HostArrivals) throws(MigrationError) {
        self.link = link
        self.arrivals = arrivals
        guard case .hello(let versions, let hop) = try link.receiveMessage(within: ArrivalSession.patience) else {
            throw MigrationError(.protocolViolation)
        }
        self.hop = hop
        try link.send(.hello(versions: HostMessage.versions, arrivals.hostNetwork.hop))
        guard versions.overlaps(HostMessage.versions) else {
            throw MigrationError(.unsupportedVersion, "\(versions)")
        }
    }

    /// Does what the other host asks for, until it says good-bye or `wake` is readable.
    func serve(unless wake: Int32) throws(MigrationError) {
        while link.awaitMessage(unless: wake) {
            let message = try link.receive(within: ArrivalSession.patience)
            let kind = message.withUnsafeBytes { $0.first ?? 0 }
            guard kind >= HostMessage.lowest else {
                try take(message)
                continue
            }
            guard let order = message.withUnsafeBytes({ HostMessage($0) }) else {
                throw MigrationError(.protocolViolation)
            }
            if order == .bye { return }
            try obey(order)
        }
    }

    // MARK: Batches

    private func take(_ offer: consuming SecretBytes) throws(MigrationError) {
        guard let claim else { throw MigrationError(.protocolViolation, "a batch before its beginning") }
        // The kernel does not ask of every kind of socket whether its address is here.
        let carried = Set(InterfaceAddress.all().map(\.address))
        let arrivals = arrivals
        var accepted = 0
        let target = MigrationTarget(transport: link, steering: claim.steering) { flow, companion in
            let code = arrivals.refusal(of: flow, companion, accepted: accepted, carried: carried)
            if code == nil { accepted += 1 }
            return code
        }
        defer { try? claim.steering.settle() }
        do throws(MigrationError) {
            var attached: [EventLoopFuture<any Channel>] = []
            try target.take(offer) { descriptor, _, companion in
                if let future = arrivals.adopt(descriptor, companion) { attached.append(future) }
            }
            // The other host has the confirmation. The registry's count is to be right before the next batch.
            for future in attached { _ = try? future.wait() }
        } catch {
            // The other host has taken the batch back, and may go on.
            guard error.code == .declined else { throw error }
        }
    }

    // MARK: Orders

    private func obey(_ order: HostMessage) throws(MigrationError) {
        let answer: HostMessage
        do throws(MigrationError) {
            switch order {
            case .begin:
                if claim == nil { claim = try arrivals.hostNetwork.claim() }
            case .newcomers:
                let claim = try begun()
                if claim.steering.steersNewcomers { try claim.steering.keepNewcomers() }
            case .addresses(let addresses, let flows):
                try take(addresses, staying: flows, try begun())
            case .hello, .done, .failed, .bye:
                throw MigrationError(.protocolViolation)
            }
            answer = .done
        } catch {
            answer = .failed(error)
        }
        try link.send(answer)
        if case .addresses(let addresses, _) = order, answer == .done { arrivals.announceSoon(addresses) }
    }

    private func begun() throws(MigrationError) -> HostNetwork.Claim {
        guard let claim else { throw MigrationError(.protocolViolation, "an order before the beginning") }
        return claim
    }

    private func take(
        _ addresses: [IPAddress], staying flows: [Flow], _ claim: HostNetwork.Claim
    ) throws(MigrationError) {
        let network = arrivals.hostNetwork
        // Nothing else is forwarded on another host's word.
        guard flows.allSatisfy({ network.serviceAddresses.contains($0.local.address) }) else {
            throw MigrationError(.addressNotPermitted)
        }
        // Before the first packet comes here, or it would be answered by a reset.
        try claim.steering.steerOnly(flows, to: hop)
        try network.take(addresses)
    }
}
