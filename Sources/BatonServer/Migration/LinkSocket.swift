internal import BatonConfiguration
internal import BatonCore
internal import HostMigration
internal import Libc

/// TCP sockets between hosts.
enum LinkSocket {
    /// Connects within the link's patience, from no service address; the socket does not block.
    static func connect(_ address: Address, service: [IPAddress]) throws -> CInt {
        guard case .tcp(let host, let port) = address else { throw LinkError("\(address) is no address of a host") }
        var hints = addrinfo()
        hints.ai_socktype = SocketKind.stream
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host.connectName, "\(port)", &hints, &list) == 0, let list else {
            throw LinkError("the address \(address) of the peer cannot be resolved")
        }
        defer { freeaddrinfo(list) }
        let deadline = Deadline.after(LinkProtocol.patience)
        var why = ETIMEDOUT
        for entry in sequence(first: list, next: { $0.pointee.ai_next }) {
            let descriptor = socket(
                entry.pointee.ai_family,
                SocketKind.stream | SocketKind.closeOnExec | SocketKind.nonBlocking, 0)
            guard descriptor >= 0 else { continue }
            if let own = InterfaceAddress.own(towards: entry.pointee.ai_addr, except: service) {
                _ = Endpoint(own, port: 0).withSocketAddress(for: own.family) {
                    bind(descriptor, $0, $1)
                }
            }
            let result = Libc.connect(descriptor, entry.pointee.ai_addr, entry.pointee.ai_addrlen)
            if result != 0, errno == EINPROGRESS { try? wait(descriptor, POLLOUT, until: deadline) }
            var peer = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let isConnected = withUnsafeMutableBytes(of: &peer) { bytes in
                bytes.withMemoryRebound(to: sockaddr.self) { getpeername(descriptor, $0.baseAddress!, &length) == 0 }
            }
            if isConnected {
                prepare(descriptor)
                return descriptor
            }
            var code: CInt = 0
            length = socklen_t(MemoryLayout<CInt>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
            if code != 0 { why = code }
            close(descriptor)
        }
        throw LinkError("the peer at \(address) cannot be reached (\(String(cString: strerror(why)))); is it running?")
    }

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

    /// Small frames leave at once, and an end that nobody told of is noticed.
    static func prepare(_ descriptor: CInt) {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        for (level, name, value) in [
            (Int32(IPPROTO_TCP), TCP_NODELAY, CInt(1)), (SOL_SOCKET, SO_KEEPALIVE, 1),
            (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 5), (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 2),
            (Int32(IPPROTO_TCP), TCP_KEEPCNT, 5), (Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, 15_000),
        ] {
            var value = value
            setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<CInt>.size))
        }
    }

    static func wait(_ descriptor: CInt, _ events: Int32, until deadline: Deadline) throws(LinkError) {
        var request = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        guard !deadline.hasPassed else { throw .silent }
        if poll(&request, 1, deadline.pollTimeout) == 0, deadline.hasPassed { throw .silent }
    }
}
