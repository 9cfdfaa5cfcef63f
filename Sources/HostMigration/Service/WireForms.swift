package import BatonCore

/// How addresses, flows and next hops are written between processes and between hosts: an address as its length (4 or
/// 16) and its bytes, a port in 16 bits, an absent address as length 0.
extension [UInt8] {
    package mutating func append(_ address: IPAddress?) {
        append(UInt8(address?.octets.count ?? 0))
        append(contentsOf: address?.octets ?? [])
    }

    package mutating func append(_ flow: Flow) {
        for end in [flow.local, flow.remote] {
            append(end.address)
            append(bigEndian: end.port)
        }
    }

    package mutating func append(_ host: NextHop) {
        append(host.ipv4)
        append(host.ipv6)
    }
}

extension WireReader {
    package mutating func address() -> IPAddress? {
        guard let count = uint8(), let bytes = bytes(Int(count)) else { return nil }
        return IPAddress(octets: bytes)?.unmapped
    }

    package mutating func flow() -> Flow? {
        guard let local = endpoint(), let remote = endpoint() else { return nil }
        return Flow(local: local, remote: remote)
    }

    /// Service addresses that move, up to 255, with their number before them, and to the end the flows that stay.
    package mutating func addressesAndFlows() -> ([IPAddress], [Flow])? {
        guard let count = uint8() else { return nil }
        var addresses: [IPAddress] = []
        for _ in 0..<count {
            guard let address = address() else { return nil }
            addresses.append(address)
        }
        var flows: [Flow] = []
        while !isAtEnd {
            guard let flow = flow() else { return nil }
            flows.append(flow)
        }
        return (addresses, flows)
    }

    package mutating func nextHop() -> NextHop? {
        var host = NextHop()
        for family in IPAddress.Family.allCases {
            guard let count = uint8() else { return nil }
            guard count > 0 else { continue }
            guard Int(count) == family.addressLength, let bytes = bytes(Int(count)),
                let address = IPAddress(octets: bytes),
                address.unmapped == address
            else { return nil }
            if family == .ipv4 { host.ipv4 = address } else { host.ipv6 = address }
        }
        return host
    }

    private mutating func endpoint() -> Endpoint? {
        guard let address = address(), let port = uint16() else { return nil }
        return Endpoint(address, port: port)
    }
}
