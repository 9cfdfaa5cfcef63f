public import TLSRecords

/// What a `ConnectionHandler` tells the handlers behind it, as a user inbound event. The end of the peer's side is
/// NIO's own `ChannelEvent.inputClosed`.
public enum ConnectionEvent: Sendable, Equatable {
    /// The handshake is done.
    case established(ConnectionInfo)
    /// The peer changed its key; `requested` if it asked us to do the same, which happens by itself.
    case keyUpdate(requested: Bool)
    /// The server offers a ticket.
    case sessionTicket(SessionTicket)
    /// The connection is to be taken out, and somebody holds it (`ConnectionHandler.hold`): it leaves as soon as it is let go. Told
    /// once to those who hold it; others see `ConnectionHandler.isWanted`. `QuiescingHandler` makes NIO's own event of it.
    case wanted
    /// The connection is about to be taken out of this channel. Handlers that have read bytes and not used them give them
    /// back while they are told, with `ConnectionHandler.unread`. It may still fail, and the connection stay.
    case suspending
    /// The connection has been taken out of this channel. The channel closes, the connection lives on: what handlers
    /// hold of it should have been taken before.
    case detached
}
