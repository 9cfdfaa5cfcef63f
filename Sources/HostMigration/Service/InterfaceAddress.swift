package import BatonCore
package import Libc

/// An address of an interface of this host.
package struct InterfaceAddress: Hashable, Sendable {
    /// The interface's name.
    package let interface: String
    /// The address.
    package let address: IPAddress
    /// How many of its bits are the same on the whole link.
    package let prefixLength: Int

    /// All addresses, in the network namespace of the calling thread.
    package static func all() -> [InterfaceAddress] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        return sequence(first: first, next: { $0?.pointee.ifa_next }).compactMap { entry in
            guard let entry = entry?.pointee, let address = address(entry.ifa_addr) else {
                return nil
            }
            let mask = bytes(entry.ifa_netmask) ?? []
            return InterfaceAddress(
                interface: String(cString: entry.ifa_name), address: address,
                prefixLength: mask.reduce(0) { $0 + $1.nonzeroBitCount })
        }
    }

    /// Whether `other` is on the link that this address is on.
    package func isOnLink(_ other: IPAddress) -> Bool {
        guard other.family == address.family, prefixLength < address.octets.count * 8 else { return false }
        return (0..<prefixLength).allSatisfy { bit in
            let mask = UInt8(0x80) >> UInt8(bit % 8)
            return other.octets[bit / 8] & mask == address.octets[bit / 8] & mask
        }
    }

    /// This host's own addresses on an interface, to which others forward what is to reach it: no service address, none
    /// that is link-local.
    package static func hop(on interface: String, except service: [IPAddress]) -> NextHop {
        let own = all().filter {
            $0.interface == interface && !$0.address.isLinkLocal && !service.contains($0.address)
        }.map(\.address)
        var host = NextHop()
        host.ipv4 = own.first { $0.family == .ipv4 }
        host.ipv6 = own.first { $0.family == .ipv6 }
        return host
    }

    /// This host's own address on a link that it shares with `peer`: no service address. The kernel could choose one of
    /// those (IPv6: the longest common prefix), and the peer, which carries it, too, would answer itself.
    package static func own(
        towards peer: IPAddress, except service: [IPAddress]
    ) -> IPAddress? {
        all().first {
            !service.contains($0.address) && !$0.address.isLinkLocal && $0.isOnLink(peer)
        }?.address
    }

    /// As it is on the wire: an IPv4-mapped one is the IPv4 address.
    package static func address(_ address: UnsafeMutablePointer<sockaddr>?) -> IPAddress? {
        bytes(address).flatMap { IPAddress(octets: $0) }?.unmapped
    }

    private static func bytes(_ address: UnsafeMutablePointer<sockaddr>?) -> [UInt8]? {
        guard let address else { return nil }
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        // After family and port; in sockaddr_in6 also after the flow information.
        case AF_INET: return Array(UnsafeRawBufferPointer(start: raw + 4, count: 4))
        case AF_INET6: return Array(UnsafeRawBufferPointer(start: raw + 8, count: 16))
        default: return nil
        }
    }
}
