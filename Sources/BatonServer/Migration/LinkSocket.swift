internal import BatonConfiguration
internal import BatonCore
internal import HostMigration
internal import Libc

/// TCP sockets between hosts.
enum LinkSocket {
    /// The addresses of a host, as far as its name can be resolved now.
    static func addresses(of address: Address) -> [IPAddress] {
        guard case .tcp(let host, _) = address else { return [] }
        if case .ip(let ip) = host { return [ip] }
        var hints = addrinfo()
        hints.ai_socktype = SocketKind.stream
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host.connectName, nil, &hints, &list) == 0, let list else { return [] }
        defer { freeaddrinfo(list) }
        return sequence(first: list, next: { $0.pointee.ai_next }).compactMap { entry in
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) {
                $0.copyBytes(
                    from: UnsafeRawBufferPointer(
                        start: entry.pointee.ai_addr, count: min($0.count, Int(entry.pointee.ai_addrlen))))
            }
            return Endpoint(storage)?.address
        }
    }

    /// Where a connection comes from.
    static func source(of descriptor: CInt) -> IPAddress? {
        var peer = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isConnected = withUnsafeMutableBytes(of: &peer) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) { getpeername(descriptor, $0.baseAddress!, &length) == 0 }
        }
        return isConnected ? Endpoint(peer)?.address : nil
    }
}
