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
