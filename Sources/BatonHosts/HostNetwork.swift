internal import BatonCore
public import HostMigration
internal import Synchronization

/// What moves of connections need of this host: its packet filter, and the service addresses, which follow the connections.
///
/// There is one of it in a network namespace. It takes CAP_NET_ADMIN and CAP_NET_RAW as long as it is used. What it installs, and what
/// of that outlives the process, is in docs/host-migration.md; `FlowSteering.cleanUp()` removes it.
public final class HostNetwork: Sendable {
    /// The interfaces by which the connections' packets arrive. The first is the link to the other hosts.
    public let interfaces: [String]

    /// The addresses that clients know. Every host has them on `lo`; connections on others do not move.
    public let serviceAddresses: [IPAddress]

    /// Used by the one who has the claim.
    private let steering: Steering
    private let isClaimed = Mutex(false)

    private struct Steering: @unchecked Sendable {
        let value: FlowSteering
    }

    /// Installs the packet filter's rules. Flows that an earlier process has steered stay steered.
    ///
    /// - Throws: `MigrationError` with `.notPermitted`, `.deviceBusy` if another process has them, `.steeringRules`.
    public init(interfaces: [String], serviceAddresses: [IPAddress]) throws(MigrationError) {
        steering = Steering(value: try FlowSteering(interfaces: interfaces))
        self.interfaces = interfaces
        self.serviceAddresses = serviceAddresses.map(\.unmapped)
    }

    // MARK: One at a time

    /// The right to let connections leave or arrive; given back with it.
    final class Claim {
        let network: HostNetwork
        /// The packet filter.
        var steering: FlowSteering { network.steering.value }

        fileprivate init(_ network: HostNetwork) { self.network = network }

        deinit { network.isClaimed.withLock { $0 = false } }
    }

    /// - Throws: `.hostBusy` if somebody has it.
    func claim() throws(MigrationError) -> Claim {
        let isFree = isClaimed.withLock { isClaimed in
            defer { isClaimed = true }
            return !isClaimed
        }
        guard isFree else { throw MigrationError(.hostBusy) }
        return Claim(self)
    }

    // MARK: Addresses

    /// Where other hosts forward what is to reach this one.
    var hop: NextHop { InterfaceAddress.hop(on: interfaces[0], except: serviceAddresses) }

    /// This host's own address on the link that it shares with `peer`.
    func source(towards peer: IPAddress) -> IPAddress? {
        InterfaceAddress.own(towards: peer, except: serviceAddresses)
    }

    /// Why a connection cannot live here.
    func refusal(of flow: Flow, carried: Set<IPAddress>) -> MigrationError.Code? {
        guard serviceAddresses.contains(flow.local.address) else { return .addressNotPermitted }
        return carried.contains(flow.local.address) ? nil : .addressNotLocal
    }

    /// The service addresses for which this host answers.
    public var answeredAddresses: [IPAddress] {
        let held = InterfaceAddress.all()
        return serviceAddresses.filter { address in
            held.contains { $0.address == address && interfaces.contains($0.interface) }
        }
    }

    /// Stops answering for the addresses; all or none.
    func give(_ addresses: [IPAddress]) throws(MigrationError) {
        for (index, address) in addresses.enumerated() {
            do throws(MigrationError) {
                for entry in InterfaceAddress.all()
                where entry.address == address && interfaces.contains(entry.interface) {
                    try AddressTakeover(interface: entry.interface).give(address)
                }
            } catch {
                try? take(Array(addresses[...index]))
                throw error
            }
        }
    }

    /// Answers for the addresses, of which each must be a service address; all or none.
    func take(_ addresses: [IPAddress]) throws(MigrationError) {
        for (index, address) in addresses.enumerated() {
            do throws(MigrationError) {
                guard serviceAddresses.contains(address) else {
                    throw MigrationError(.addressNotPermitted, "\(address)")
                }
                try takeover(of: address).take(address)
            } catch {
                try? give(Array(addresses[..<index]))
                throw error
            }
        }
    }

    /// Says once more that the addresses are here, which a link may have lost.
    func announce(_ addresses: [IPAddress]) {
        for address in addresses { try? takeover(of: address).announce(address) }
    }

    private func takeover(of address: IPAddress) throws(MigrationError) -> AddressTakeover {
        let held = InterfaceAddress.all()
        let interface = interfaces.first { interface in
            held.contains { $0.interface == interface && $0.isOnLink(address) }
        }
        return try AddressTakeover(interface: interface ?? interfaces[0])
    }
}
