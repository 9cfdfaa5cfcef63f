internal import Glibc
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

    /// The options for a channel, beside those every connection needs.
    var channelOptions: [(ChannelOptions.Types.SocketOption, SocketOptionValue)] {
        var options: [(ChannelOptions.Types.SocketOption, SocketOptionValue)] = [
            (.tcpOption(.tcp_nodelay), noDelay ? 1 : 0)
        ]
        if let keepAliveIdle {
            options.append((.socketOption(.so_keepalive), 1))
            options.append((.tcpOption(.keepAliveIdle), SocketOptionValue(keepAliveIdle)))
            options.append((.tcpOption(.keepAliveInterval), SocketOptionValue(keepAliveInterval)))
            options.append((.tcpOption(.keepAliveCount), SocketOptionValue(keepAliveCount)))
        }
        if let userTimeout { options.append((.tcpOption(.userTimeout), SocketOptionValue(userTimeout))) }
        return options
    }
}

extension NIOBSDSocket.Option {
    static let keepAliveIdle = NIOBSDSocket.Option(rawValue: TCP_KEEPIDLE)
    static let keepAliveInterval = NIOBSDSocket.Option(rawValue: TCP_KEEPINTVL)
    static let keepAliveCount = NIOBSDSocket.Option(rawValue: TCP_KEEPCNT)
    static let userTimeout = NIOBSDSocket.Option(rawValue: TCP_USER_TIMEOUT)
}
