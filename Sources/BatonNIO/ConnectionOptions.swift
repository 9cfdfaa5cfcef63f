public import NIOCore

/// How a `ConnectionHandler` behaves. The options of the socket are in `SocketOptions`.
public struct ConnectionOptions: Sendable {
    /// How long a handshake may take, from its start to its end. 10 s unless set; `nil` sets no limit.
    public var handshakeTimeout: TimeAmount? = .seconds(10)

    /// How long closing may stand still: while what waits is written the peer must take some of it in this time, and when
    /// it has everything its own end is awaited as long. After it the connection is cut off, with a reset if bytes are
    /// left. 10 s unless set.
    public var closeTimeout: TimeAmount = .seconds(10)

    /// How many bytes may be with NIO and not yet taken by the kernel; more waits in the connection, where a move finds it
    /// without copying it back. 256 KiB unless set. Not less than the channel's high water mark for writability
    /// (64 KiB unless set there), or the channel stays writable while bytes wait.
    public var writeWindow = 256 << 10

    /// Whether the application goes on sending after the peer has ended its side. It sees `ChannelEvent.inputClosed`
    /// in either case; unless this is set, the connection is then closed as soon as everything is written.
    public var allowsHalfClosure = false

    /// The defaults.
    public init() {}
}
