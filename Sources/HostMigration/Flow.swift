public import BatonCore

/// The two ends of a TCP connection as this host sees them. Both addresses are of one family.
public struct Flow: Hashable, Sendable {
    /// The end at this host.
    public let local: Endpoint
    /// The peer.
    public let remote: Endpoint

    /// Nil if the ends are of different families. IPv4-mapped addresses become the IPv4 addresses that are on the wire.
    public init?(local: Endpoint, remote: Endpoint) {
        self.local = Endpoint(local.address.unmapped, port: local.port)
        self.remote = Endpoint(remote.address.unmapped, port: remote.port)
        guard self.local.address.family == self.remote.address.family else { return nil }
    }

    /// The version of IP that is on the wire.
    public var family: IPAddress.Family { local.address.family }
}

extension Flow: CustomStringConvertible {
    /// As the peer's packets go.
    public var description: String { "\(remote) -> \(local)" }
}

extension Flow {
    /// The flow of a connected TCP socket; nil if it is none.
    public init?(of descriptor: Int32) {
        guard let local = try? Endpoint.read(.local, of: descriptor),
            let remote = try? Endpoint.read(.remote, of: descriptor)
        else { return nil }
        self.init(local: local.endpoint, remote: remote.endpoint)
    }
}
