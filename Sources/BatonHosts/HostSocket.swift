internal import BatonCore
internal import HostMigration
internal import Libc

/// A connected TCP socket between hosts, which does not block. It is closed with this value.
struct HostSocket: ~Copyable {
    let descriptor: Int32

    init(owning descriptor: Int32) {
        self.descriptor = descriptor
        prepare()
    }

    deinit { close(descriptor) }

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
    borrowing func wait(_ events: Int32, until deadline: Deadline) throws(MigrationError) {
        guard !deadline.hasPassed else { throw MigrationError(.timedOut) }
        var request = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        if poll(&request, 1, deadline.pollTimeout) == 0, deadline.hasPassed { throw MigrationError(.timedOut) }
    }

    /// Writes what the kernel takes now.
    ///
    /// - Returns: how many bytes that were; 0 if it takes none now.
    borrowing func write(_ bytes: RawSpan) throws(MigrationError) -> Int {
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
    borrowing func read(into space: UnsafeMutableRawBufferPointer) throws(MigrationError) -> Int? {
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
    static func connect(
        _ host: String, _ port: UInt16, from source: ((IPAddress) -> IPAddress?)?, _ deadline: Deadline
    ) throws(MigrationError) -> HostSocket {
        var hints = addrinfo()
        hints.ai_socktype = SocketKind.stream
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &list) == 0, let list else {
            throw MigrationError(.linkEnded, "'\(host)' cannot be resolved")
        }
        defer { freeaddrinfo(list) }
        var why = ETIMEDOUT
        for entry in sequence(first: list, next: { $0.pointee.ai_next }) {
            let kind = SocketKind.stream | SocketKind.closeOnExec | SocketKind.nonBlocking
            let number = Libc.socket(entry.pointee.ai_family, kind, 0)
            guard number >= 0 else { continue }
            let socket = HostSocket(owning: number)
            if let address = IPAddress(entry.pointee.ai_addr), let own = source?(address) {
                _ = Endpoint(own, port: 0).withSocketAddress(for: own.family) { bind(number, $0, $1) }
            }
            if Libc.connect(number, entry.pointee.ai_addr, entry.pointee.ai_addrlen) != 0, errno == EINPROGRESS {
                try socket.wait(POLLOUT, until: deadline)
            }
            var code: CInt = 0
            var length = socklen_t(MemoryLayout<CInt>.size)
            getsockopt(number, SOL_SOCKET, SO_ERROR, &code, &length)
            if code == 0, Flow(of: number) != nil { return socket }
            if code != 0 { why = code }
        }
        throw MigrationError(
            .linkEnded, "\(host), port \(port): \(String(cString: strerror(why))); is it running?", errno: why)
    }

    private static func ended(_ code: Int32) -> MigrationError {
        MigrationError(.linkEnded, String(cString: strerror(code)), errno: code)
    }
}

extension IPAddress {
    /// The address in a socket address; `nil` if it is of another family.
    fileprivate init?(_ address: UnsafeMutablePointer<sockaddr>?) {
        guard let address else { return nil }
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        // After family and port; in sockaddr_in6 also after the flow information.
        case AF_INET: self.init(octets: UnsafeRawBufferPointer(start: raw + 4, count: 4))
        case AF_INET6: self.init(octets: UnsafeRawBufferPointer(start: raw + 8, count: 16))
        default: return nil
        }
    }
}
