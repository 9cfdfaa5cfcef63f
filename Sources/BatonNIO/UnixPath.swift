internal import Libc
internal import NIOCore

/// Sockets at paths.
enum UnixPath {
    /// A socket bound to `path`, not listening yet. A socket that lies there and at which nobody listens is replaced.
    static func bind(_ path: String) throws -> CInt {
        let address = try SocketAddress(unixDomainSocketPath: path)
        let descriptor = try makeSocket()
        func isBound() -> Bool { address.withSockAddr { Libc.bind(descriptor, $0, socklen_t($1)) == 0 } }
        guard !isBound() else { return descriptor }
        let error = errno
        guard error == EADDRINUSE, isStale(address), unlink(path) == 0, isBound() else {
            close(descriptor)
            throw ConnectionError(.system, systemError: error)
        }
        return descriptor
    }

    private static func isStale(_ address: SocketAddress) -> Bool {
        guard let descriptor = try? makeSocket() else { return false }
        defer { close(descriptor) }
        return address.withSockAddr { connect(descriptor, $0, socklen_t($1)) != 0 && errno == ECONNREFUSED }
    }

    private static func makeSocket() throws(ConnectionError) -> CInt {
        let descriptor = socket(AF_UNIX, SocketKind.stream | SocketKind.closeOnExec | SocketKind.nonBlocking, 0)
        guard descriptor >= 0 else { throw ConnectionError(.system, systemError: errno) }
        return descriptor
    }
}
