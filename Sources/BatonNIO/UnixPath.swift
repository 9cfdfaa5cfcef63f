internal import Libc
internal import NIOCore

/// Sockets at paths.
enum UnixPath {
    /// How often the lock is asked for, which another holds for moments only, and the milliseconds between.
    private static let (attempts, pause) = (500, CInt(10))

    /// A socket that listens at `path`. A socket that lies there and at which nobody listens is replaced.
    ///
    /// A socket refuses connections before it listens as it does when its process is gone. Therefore its directory is locked while it is
    /// looked at, and from bind(2) to listen(2).
    static func listen(_ path: String, backlog: CInt) throws -> CInt {
        let address = try SocketAddress(unixDomainSocketPath: path)
        let directory = lockDirectory(of: path)
        defer { if directory >= 0 { close(directory) } }
        let descriptor = try makeSocket()
        func isBound() -> Bool { address.withSockAddr { Libc.bind(descriptor, $0, socklen_t($1)) == 0 } }
        if !isBound() {
            let error = errno
            guard error == EADDRINUSE, isStale(address), unlink(path) == 0, isBound() else {
                close(descriptor)
                throw ConnectionError(.system, systemError: error)
            }
        }
        guard Libc.listen(descriptor, backlog) == 0 else {
            let error = errno
            close(descriptor)
            throw ConnectionError(.system, systemError: error)
        }
        return descriptor
    }

    /// The path's directory under flock(2), closed on exec; -1 if it cannot be opened. Nobody keeps it for long: if it is not to be had it
    /// is somebody else's for another purpose.
    private static func lockDirectory(of path: String) -> CInt {
        let end = path.lastIndex(of: "/")
        let directory = end.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return -1 }
        for _ in 0..<attempts {
            guard flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK else { break }
            poll(nil, 0, pause)
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
