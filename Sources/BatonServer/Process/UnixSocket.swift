internal import CLinuxSockets
// `stat` belongs to whichever C module was loaded first.
internal import CoreFoundation
internal import Libc

/// Stream sockets in the file system.
enum UnixSocket {
    /// Connects, blocking; `nil` if nobody listens or the path is too long.
    static func connect(_ path: String) -> CInt? {
        guard var address = address(path) else { return nil }
        let descriptor = socket(AF_UNIX, SocketKind.stream | SocketKind.closeOnExec, 0)
        guard descriptor >= 0 else { return nil }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Libc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if result == 0 { return descriptor }
        let code = errno
        close(descriptor)
        errno = code
        return nil
    }

    /// Two connected sockets.
    static func pair(_ kind: CInt) throws(RuntimeError) -> (CInt, CInt) {
        var ends: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, kind | SocketKind.closeOnExec, 0, &ends) == 0 else {
            throw .system("cannot make a pair of sockets")
        }
        return (ends[0], ends[1])
    }

    /// Whether there is a socket at the path; what it leads to if it is a link does not count.
    static func isSocket(_ path: String) -> Bool {
        var status = baton_file_status()
        return baton_file_at(path, 0, &status) == 0 && status.kind == S_IFSOCK
    }

    /// Whether somebody listens there, or may: only a refusal proves that nobody does. It does not wait.
    static func answers(_ path: String) -> Bool {
        guard let address = address(path) else { return false }
        let descriptor = socket(
            AF_UNIX, SocketKind.stream | SocketKind.closeOnExec | SocketKind.nonBlocking, 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Libc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // A full queue, a socket of another kind and one that this user may not use have somebody.
        return result == 0 || ![ECONNREFUSED, ENOENT, ENOTDIR].contains(errno)
    }

    /// Removes a socket nobody listens at any more, and nothing else.
    static func removeDead(_ path: String) {
        if isSocket(path), !answers(path) { unlink(path) }
    }

    /// Binds and listens with mode 0600.
    static func listen(_ path: String) throws(RuntimeError) -> CInt {
        guard var address = address(path) else {
            throw RuntimeError(.cannotListen, "the socket path \(path) is longer than 107 bytes; choose a shorter one")
        }
        let descriptor = socket(
            AF_UNIX, SocketKind.stream | SocketKind.closeOnExec | SocketKind.nonBlocking, 0)
        guard descriptor >= 0 else { throw .system("cannot make a socket") }
        let mask = umask(0o177)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        umask(mask)
        guard result == 0, Libc.listen(descriptor, 64) == 0 else {
            let error = RuntimeError.system("cannot listen at \(path)")
            close(descriptor)
            throw error
        }
        return descriptor
    }

    static func address(_ path: String) -> sockaddr_un? {
        guard (1...107).contains(path.utf8.count) else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return address
    }
}
