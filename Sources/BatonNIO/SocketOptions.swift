internal import Libc
internal import NIOCore

/// What the kernel is asked of a connection's socket. The options stay with the socket when it moves.
public struct SocketOptions: Sendable, Hashable {
    /// Whether small writes leave at once (TCP_NODELAY). They do unless set otherwise.
    public var noDelay = true

    /// Seconds without traffic before the peer is asked whether it lives (TCP_KEEPIDLE); `nil` never asks. 1 to 32,767.
    public var keepAliveIdle: CInt?

    /// Seconds between questions without answer (TCP_KEEPINTVL). 1 to 32,767; 10 unless set.
    public var keepAliveInterval: CInt = 10

    /// Questions without answer before the connection is dead (TCP_KEEPCNT). 1 to 127; 3 unless set.
    public var keepAliveCount: CInt = 3

    /// Milliseconds that written data may stay unacknowledged before the connection is dead (TCP_USER_TIMEOUT); `nil`
    /// leaves it to the kernel, which tries for about 15 minutes.
    public var userTimeout: CInt?

    /// The defaults.
    public init() {}

    /// Sets them on a socket. One that is not TCP has none of them.
    func apply(to descriptor: CInt) throws(ConnectionError) {
        guard Self.isTCP(descriptor) else { return }
        func set(_ level: CInt, _ name: CInt, _ value: CInt) throws(ConnectionError) {
            var value = value
            guard setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<CInt>.size)) == 0 else {
                throw ConnectionError(.system, systemError: errno)
            }
        }
        let tcp = Int32(IPPROTO_TCP)
        try set(tcp, TCP_NODELAY, noDelay ? 1 : 0)
        if let keepAliveIdle {
            try set(SOL_SOCKET, SO_KEEPALIVE, 1)
            try set(tcp, TCP_KEEPIDLE, keepAliveIdle)
            try set(tcp, TCP_KEEPINTVL, keepAliveInterval)
            try set(tcp, TCP_KEEPCNT, keepAliveCount)
        }
        if let userTimeout { try set(tcp, TCP_USER_TIMEOUT, userTimeout) }
    }

    func apply(to channel: any Channel) throws {
        try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            try apply(to: $0)
        }
    }

    private static func isTCP(_ descriptor: CInt) -> Bool {
        var family: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &length) == 0 else { return false }
        return family == AF_INET || family == AF_INET6
    }
}
