package import BatonCore
package import HostMigration
internal import Libc

/// A connected TCP socket between hosts, which does not block. Whoever has the descriptor closes it.
package struct HostSocket {
    let descriptor: Int32

    /// A socket that was accepted, or that `connect` has given.
    package init(_ descriptor: Int32) {
        self.descriptor = descriptor
        prepare()
    }

    /// Small messages leave at once, and an end that nobody told of is noticed.
    private func prepare() {
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

    /// Waits for an event.
    ///
    /// - Throws: `.timedOut`.
    func wait(_ events: Int32, until deadline: Deadline) throws(MigrationError) {
        guard !deadline.hasPassed else { throw MigrationError(.timedOut) }
        var request = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        if poll(&request, 1, deadline.pollTimeout) == 0, deadline.hasPassed { throw MigrationError(.timedOut) }
    }

    /// Writes what the kernel takes now.
    ///
    /// - Returns: how many bytes that were; 0 if it takes none now.
    func write(_ bytes: RawSpan) throws(MigrationError) -> Int {
        while true {
            let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count >= 0 { return count }
            let code = errno
            if code == EAGAIN { return 0 }
            guard code == EINTR else { throw HostSocket.ended(code) }
        }
    }

    /// Reads what is there.
    ///
    /// - Returns: how many bytes that were; `nil` if nothing is there now.
    /// - Throws: `.linkEnded`, also when the other host has said that no more will come.
    func read(into space: UnsafeMutableRawBufferPointer) throws(MigrationError) -> Int? {
        while true {
            let count = recv(descriptor, space.baseAddress, space.count, 0)
            let code = errno
            if count > 0 { return count }
            if count == 0 { throw MigrationError(.linkEnded) }
            if code == EAGAIN { return nil }
            guard code == EINTR else { throw HostSocket.ended(code) }
        }
    }

    /// Connects to the first address of a host that answers.
    ///
    /// - Parameters:
    ///   - source: the address to connect from, by the other host's.
    ///   - limit: for all addresses together.
    /// - Returns: the descriptor, the caller's.
    package static func connect(
        _ host: String, _ port: UInt16, from source: ((IPAddress) -> IPAddress?)?, within limit: Deadline
    ) throws(MigrationError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = SocketKind.stream
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &list) == 0, let list else {
            throw MigrationError(.linkEnded, "'\(host)' cannot be resolved")
        }
        defer { freeaddrinfo(list) }
        var why = ETIMEDOUT
        let entries = Array(sequence(first: list, next: { $0.pointee.ai_next }))
        for (index, entry) in entries.enumerated() {
            let kind = SocketKind.stream | SocketKind.closeOnExec | SocketKind.nonBlocking
            let descriptor = Libc.socket(entry.pointee.ai_family, kind, 0)
            guard descriptor >= 0 else { continue }
            if let address = InterfaceAddress.address(entry.pointee.ai_addr), let own = source?(address) {
                _ = Endpoint(own, port: 0).withSocketAddress(for: own.family) { bind(descriptor, $0, $1) }
            }
            // An address that does not answer leaves time for the others.
            let share = Deadline.after(.milliseconds(limit.remainingMilliseconds / UInt64(entries.count - index)))
            let socket = HostSocket(descriptor)
            if Libc.connect(descriptor, entry.pointee.ai_addr, entry.pointee.ai_addrlen) != 0, errno == EINPROGRESS {
                try? socket.wait(POLLOUT, until: share)
            }
            var code: CInt = 0
            var length = socklen_t(MemoryLayout<CInt>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
            if code == 0, Flow(of: descriptor) != nil { return descriptor }
            if code != 0 { why = code }
            close(descriptor)
        }
        throw MigrationError(
            .linkEnded, "\(host), port \(port): \(String(cString: strerror(why))); is it running?", errno: why)
    }

    private static func ended(_ code: Int32) -> MigrationError {
        MigrationError(.linkEnded, String(cString: strerror(code)), errno: code)
    }
}
