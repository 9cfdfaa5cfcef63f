package import BatonCore
package import Libc

extension Endpoint {
    /// Which end of a socket to ask about.
    enum Side {
        case local
        case remote
    }

    /// Asks the kernel for one end of a connected socket, and for the family of the socket itself, which is IPv6 with
    /// IPv4 addresses when a dual-stack listener accepted it.
    static func read(
        _ side: Side, of descriptor: Int32
    ) throws(MigrationError) -> (endpoint: Endpoint, socketFamily: IPAddress.Family) {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                side == .local ? getsockname(descriptor, address, &size) : getpeername(descriptor, address, &size)
            }
        }
        try checkedErrno(result, side == .local ? "getsockname" : "getpeername")
        let (port, bytes) = withUnsafeBytes(of: storage) { raw in
            // sockaddr_in: family, port, address; sockaddr_in6: family, port, flow information, address.
            let offset = Int32(storageFamily(raw)) == AF_INET6 ? 8 : 4
            let length = Int32(storageFamily(raw)) == AF_INET6 ? 16 : 4
            return (UInt16(raw[2]) << 8 | UInt16(raw[3]), Array(raw[offset..<offset + length]))
        }
        let family = Int32(storage.ss_family)
        guard family == AF_INET || family == AF_INET6, let address = IPAddress(octets: bytes) else {
            throw MigrationError(.notTCP)
        }
        return (Endpoint(address.unmapped, port: port), family == AF_INET6 ? .ipv6 : .ipv4)
    }

    /// Lends the socket address a socket of `socketFamily` takes for this endpoint.
    package func withSocketAddress<R>(
        for socketFamily: IPAddress.Family, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R {
        var bytes = [UInt8](repeating: 0, count: socketFamily == .ipv4 ? 16 : 28)
        let family = UInt16(socketFamily.number)
        withUnsafeBytes(of: family) { bytes.replaceSubrange(0..<2, with: $0) }
        bytes[2] = UInt8(port >> 8)
        bytes[3] = UInt8(port & 0xFF)
        if socketFamily == .ipv4 {
            bytes.replaceSubrange(4..<8, with: address.octets.suffix(4))
        } else {
            bytes.replaceSubrange(8..<24, with: address.mapped.octets)
        }
        return bytes.withUnsafeBytes { raw in
            raw.withMemoryRebound(to: sockaddr.self) { body($0.baseAddress!, socklen_t(raw.count)) }
        }
    }

    private static func storageFamily(_ raw: UnsafeRawBufferPointer) -> UInt16 {
        raw.loadUnaligned(as: UInt16.self)
    }
}
