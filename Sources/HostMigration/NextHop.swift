public import BatonCore

/// Where packets of a moved connection are forwarded to: the new host's own addresses on the interface's link.
public struct NextHop: Sendable, Hashable {
    /// For IPv4 flows.
    public var ipv4: IPAddress?
    /// For IPv6 flows.
    public var ipv6: IPAddress?

    /// Takes one address of each family, or either.
    public init(_ addresses: IPAddress...) {
        ipv4 = addresses.first { $0.family == .ipv4 }
        ipv6 = addresses.first { $0.family == .ipv6 }
    }

    func address(for family: IPAddress.Family) -> IPAddress? {
        family == .ipv4 ? ipv4 : ipv6
    }
}
