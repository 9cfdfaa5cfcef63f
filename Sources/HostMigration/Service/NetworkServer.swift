import BatonCore
import Libc

/// The privileged process: performs, one after the other, what a server asks for over a socket, within its policy. It has
/// no secrets of TLS and no socket to the world; what moves passes through it as frozen sockets.
///
/// Blocking, on one thread.
package final class NetworkServer {
    private let policy: NetworkPolicy
    private let channel: NetworkChannel
    /// Made at first need: another server may still hold the device while this one starts to replace it.
    private var steering: FlowSteering?
    /// Of the request being answered.
    private var number: UInt32 = 0
    /// Whether somebody has removed the hold device: every move fails from then on.
    private var isDeviceLost = false
    /// Those of `stayingFlows` that have not been told yet.
    private var staying: ArraySlice<Flow> = []
    /// Addresses to be announced once more, and when.
    private var announcements: (due: ContinuousClock.Instant, addresses: [IPAddress])?

    /// Takes the socket over.
    package init(_ policy: NetworkPolicy, owning descriptor: Int32) {
        self.policy = policy
        channel = NetworkChannel(owning: descriptor)
    }

    /// Serves until the other side is gone. What has moved stays forwarded, by rules that need no process; without any the
    /// rules go, too.
    ///
    /// - Parameter isRestarted: whether an earlier process with the same socket has died. What that held is let go.
    package func run(isRestarted: Bool) throws(MigrationError) {
        if isRestarted {
            _ = try? openSteering()
            try reply(.restarted)
        }
        while true {
            waitForRequest()
            guard let (bytes, descriptors) = try channel.receive() else { break }
            let request = bytes.withUnsafeBytes { bytes -> NetworkRequest? in
                var reader = WireReader(bytes)
                number = reader.uint32() ?? 0
                return NetworkRequest(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(4)))
            }
            guard let request else {
                for descriptor in descriptors { close(descriptor) }
                throw MigrationError(.protocolViolation, "request")
            }
            try reply(answer(request, descriptors))
        }
        guard let steering else { return }
        // The server has died in the midst of leaving: whoever asks for the addresses asks here.
        if steering.steersNewcomers, !heldAddresses.isEmpty { try? steering.keepNewcomers() }
        // While the device is ours nobody else's rules are there to be removed.
        if steering.moved.isEmpty, !steering.steersNewcomers { try? FlowSteering.cleanUp() }
    }

    private func reply(_ reply: NetworkReply, _ descriptors: [Int32] = []) throws(MigrationError) {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: number)
        try channel.send(bytes + reply.encoded, descriptors)
    }

    /// Meanwhile lets go of packets that have come to be held too late, and tells the link of a moved address once more when
    /// it is time (RFC 5227 2.3).
    private func waitForRequest() {
        while true {
            var polled = [
                pollfd(fd: channel.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: isDeviceLost ? -1 : steering?.leftover ?? -1, events: Int16(POLLIN), revents: 0),
            ]
            let left = announcements.map { ContinuousClock.now.duration(to: $0.due) / .milliseconds(1) }
            _ = poll(&polled, 2, left.map { Int32(max(0, min($0.rounded(.up), 10_000))) } ?? -1)
            if polled[1].revents != 0, (try? steering?.releaseLeftover()) == nil { isDeviceLost = true }
            if polled[0].revents != 0 { return }
            guard let (due, addresses) = announcements, ContinuousClock.now >= due else { continue }
            announcements = nil
            for address in addresses { try? takeover(of: address).announce(address) }
        }
    }

    /// Waits for the second announcement, at most a second, and makes it.
    private func announceAgain() {
        guard let (due, addresses) = announcements else { return }
        announcements = nil
        let left = ContinuousClock.now.duration(to: due) / .milliseconds(1)
        _ = poll(nil, 0, Int32(max(0, min(left.rounded(.up), 10_000))))
        for address in addresses { try? takeover(of: address).announce(address) }
    }

    private func answer(_ request: NetworkRequest, _ descriptors: [Int32]) -> NetworkReply {
        do throws(MigrationError) {
            switch request {
            case .examine:
                defer { for descriptor in descriptors { close(descriptor) } }
                return .examined(descriptors.map(examine))
            case .reset:
                for descriptor in descriptors { SocketReset.closeFromRepair(descriptor) }
            case .move(let host, let groups):
                return .outcomes(try move(descriptors, to: host, groups))
            case .arrive:
                guard let transport = descriptors.first, descriptors.count == 1 else {
                    for descriptor in descriptors { close(descriptor) }
                    throw MigrationError(.protocolViolation, "arrive")
                }
                try arrive(transport)
            default:
                for descriptor in descriptors { close(descriptor) }
                return try change(request)
            }
            return .done
        } catch {
            return .failed(error)
        }
    }

    private func change(_ request: NetworkRequest) throws(MigrationError) -> NetworkReply {
        switch request {
        case .prepare: _ = try openSteering()
        case .steerNewcomers(let ports, let host):
            // The other host ends its own forwarding now: whoever has not heard where the addresses are must have.
            announceAgain()
            try openSteering().steerNewcomers(to: policy.addresses, ports: ports, via: host)
        case .keepNewcomers:
            // A process before this one may have steered them.
            var mustEnd = steering != nil
            if !mustEnd { mustEnd = try FlowSteering.areNewcomersSteered() }
            if mustEnd { try openSteering().keepNewcomers() }
        case .leaveAddresses:
            return .addresses(try leaveAddresses())
        case .forward(let flows, let host, let isAlone):
            // Whatever the other host says: connections of this host's own addresses stay here.
            let flows = flows.filter(policy.permits)
            let steering = try openSteering()
            if isAlone {
                try steering.keepNewcomers()
                try steering.steerOnly(flows, to: host)
            } else {
                try steering.steer(flows, to: host)
            }
        case .takeAddresses(let addresses):
            guard addresses.allSatisfy(policy.addresses.contains) else { throw MigrationError(.addressNotPermitted) }
            try takeAddresses(addresses)
        case .keepAddresses(let addresses):
            guard addresses.allSatisfy(policy.addresses.contains) else { throw MigrationError(.addressNotPermitted) }
            try keepAddresses(addresses)
        case .stayingFlows(let host, let isFirst):
            if isFirst { staying = try stayingFlows(besidesThoseAt: host)[...] }
            defer { staying = staying.dropFirst(NetworkRequest.maxFlows) }
            return .flows(Array(staying.prefix(NetworkRequest.maxFlows)))
        case .countSteered:
            return .count(steering?.moved.count ?? 0)
        case .examine, .move, .arrive, .reset:
            break
        }
        return .done
    }

    private func openSteering() throws(MigrationError) -> FlowSteering {
        if let steering { return steering }
        let steering = try FlowSteering(interfaces: policy.interfaces)
        self.steering = steering
        return steering
    }

    /// Whoever answers for the addresses next is to send their packets here.
    private func stayingFlows(besidesThoseAt host: NextHop) throws(MigrationError) -> [Flow] {
        let own = try ConnectionTable.flows(of: Set(policy.addresses))
        let forwarded = steering?.moved.filter { $0.value != host.address(for: $0.key.family) } ?? [:]
        return Array(own.union(forwarded.keys))
    }

    // MARK: Connections

    private func examine(_ descriptor: Int32) -> Result<Flow, MigrationError> {
        Result { () throws(MigrationError) in try examined(descriptor).flow }
    }

    private func examined(_ descriptor: Int32) throws(MigrationError) -> MovableSocket {
        let socket = try MovableSocket(examining: descriptor)
        // The other host would decline it.
        guard policy.permits(socket.flow) else { throw MigrationError(.addressNotPermitted) }
        return socket
    }

    private func move(
        _ descriptors: [Int32], to host: NextHop, _ groups: [Int]
    ) throws(MigrationError) -> [SocketMigration.Outcome] {
        var descriptors = descriptors
        guard descriptors.count == groups.count + 1, !groups.isEmpty else {
            for descriptor in descriptors { close(descriptor) }
            throw MigrationError(.protocolViolation, "move")
        }
        let transport = StreamTransport(owning: descriptors.removeFirst())
        var outcomes = [SocketMigration.Outcome?](repeating: nil, count: descriptors.count)
        var sockets: [MovableSocket] = []
        var positions: [Int] = []
        for (index, descriptor) in descriptors.enumerated() {
            do throws(MigrationError) {
                sockets.append(try examined(descriptor))
                positions.append(index)
            } catch {
                outcomes[index] = .stayed(error)
            }
        }
        // What cannot move keeps its partners before anything is held.
        let broken = Set(outcomes.indices.filter { outcomes[$0] != nil }.map { groups[$0] })
        for (index, group) in groups.enumerated() where outcomes[index] == nil && broken.contains(group) {
            outcomes[index] = .stayed(MigrationError(.partnerStayed))
        }
        let chosen = positions.indices.filter { outcomes[positions[$0]] == nil }
        do throws(MigrationError) {
            let source = MigrationSource(steering: try openSteering(), transport: transport, to: host)
            let results = source.move(chosen.map { sockets[$0] }, groups: chosen.map { groups[positions[$0]] })
            for (choice, result) in zip(chosen, results) { outcomes[positions[choice]] = result }
        } catch {
            for choice in chosen { outcomes[positions[choice]] = .stayed(error) }
        }
        for (index, outcome) in outcomes.enumerated() {
            // Those that left are closed by now.
            if case .stayed? = outcome { close(descriptors[index]) }
        }
        return outcomes.map { $0 ?? .inDoubt }
    }

    private func arrive(_ descriptor: Int32) throws(MigrationError) {
        let transport = StreamTransport(owning: descriptor)
        let policy = policy
        let steering = try openSteering()
        // The kernel does not ask of every kind of socket whether its address is here.
        let carried = Set(InterfaceAddress.all().map(\.address))
        let target = MigrationTarget(transport: transport, steering: steering) { flow, companion in
            // Parcels travel beside the sockets here; what came with one would be lost.
            if companion.byteCount > 0 { return .unreadableCompanion }
            if !policy.permits(flow) { return .addressNotPermitted }
            return carried.contains(flow.local.address) ? nil : .addressNotLocal
        }
        try target.receive { [self] socket, flow, _ in
            // If nobody is there to take it any more, it is closed, and its peer is told by a reset.
            do throws(MigrationError) {
                try reply(.arrived(flow), [socket])
                close(socket)
            } catch {
                SocketReset.close(socket)
            }
        }
    }

    // MARK: Addresses

    /// The service addresses that this host answers for.
    private var heldAddresses: [(address: IPAddress, interface: String)] {
        let held = InterfaceAddress.all()
        return policy.addresses.flatMap { address in
            policy.interfaces.filter { interface in
                held.contains { $0.interface == interface && $0.address == address }
            }.map { (address, $0) }
        }
    }

    /// All or none.
    private func leaveAddresses() throws(MigrationError) -> [IPAddress] {
        var left: [IPAddress] = []
        do throws(MigrationError) {
            for (address, interface) in heldAddresses {
                // One that cannot be left may be gone all the same.
                left.append(address)
                try leave(address, on: interface)
            }
        } catch let failure {
            do throws(MigrationError) {
                try keepAddresses(left)
            } catch {
                throw MigrationError(
                    failure.code, "\(failure.detail); not undone: \(error.detail); make this host answer for it")
            }
            throw failure
        }
        return left
    }

    private func leave(_ address: IPAddress, on interface: String) throws(MigrationError) {
        if let command = policy.leaveCommand {
            try HookCommand.run(command, address)
        } else {
            try AddressTakeover(interface: interface).give(address)
        }
    }

    /// All or none: the host that had them answers for every one again.
    private func takeAddresses(_ addresses: [IPAddress]) throws(MigrationError) {
        var taken: [IPAddress] = []
        do throws(MigrationError) {
            for address in addresses {
                taken.append(address)
                try take(address)
            }
        } catch {
            for address in taken { try? leave(address, on: interface(of: address)) }
            throw error
        }
        announceSoon(addresses)
    }

    /// As many as possible.
    private func keepAddresses(_ addresses: [IPAddress]) throws(MigrationError) {
        var failure: MigrationError?
        for address in addresses {
            do throws(MigrationError) {
                try take(address)
            } catch {
                failure = failure ?? error
            }
        }
        announceSoon(addresses)
        if let failure { throw failure }
    }

    private func take(_ address: IPAddress) throws(MigrationError) {
        if let command = policy.takeCommand {
            try HookCommand.run(command, address)
        } else {
            try takeover(of: address).take(address)
        }
    }

    private func announceSoon(_ addresses: [IPAddress]) {
        if policy.takeCommand == nil { announcements = (.now + .milliseconds(1100), addresses) }
    }

    private func takeover(of address: IPAddress) throws(MigrationError) -> AddressTakeover {
        try AddressTakeover(interface: interface(of: address))
    }

    /// The one whose link the address belongs to.
    private func interface(of address: IPAddress) -> String {
        let held = InterfaceAddress.all()
        return policy.interfaces.first { interface in
            held.contains { $0.interface == interface && $0.isOnLink(address) }
        } ?? policy.interfaces[0]
    }
}
