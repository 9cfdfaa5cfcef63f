internal import Glibc

/// Two connected TCP sockets over loopback that do not block.
package enum TCPPair {
    /// - Returns: the one that has connected, and the one that was accepted.
    package static func make() throws(SocketFault) -> (CInt, CInt) {
        let stream = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let listener = socket(AF_INET, stream, 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 1) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        let first = socket(AF_INET, stream, 0)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(first, $0, length) == 0 }
        }
        let second = accept(listener, nil, nil)
        guard bound, connected, second >= 0 else { throw SocketFault(code: errno) }
        for descriptor in [first, second] { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
        return (first, second)
    }

    /// Resets the connection of one end.
    package static func reset(_ descriptor: CInt) {
        var nobody = sockaddr()
        nobody.sa_family = sa_family_t(AF_UNSPEC)
        connect(descriptor, &nobody, socklen_t(MemoryLayout<sockaddr>.size))
    }
}

/// Two connected Unix stream sockets that do not block.
package enum UnixPair {
    package static func make() throws(SocketFault) -> (CInt, CInt) {
        var pair: [CInt] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        guard socketpair(AF_UNIX, type, 0, &pair) == 0 else { throw SocketFault(code: errno) }
        return (pair[0], pair[1])
    }
}

/// The kernel gives no sockets.
package struct SocketFault: Error {
    /// From errno(3).
    package let code: CInt
}
