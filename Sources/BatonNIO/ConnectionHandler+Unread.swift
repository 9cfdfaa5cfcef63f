public import NIOCore

extension ConnectionHandler {
    /// Gives back bytes that the application has read and not used, such as the beginning of a message whose rest has yet to
    /// come. They are in front of everything that waits, also of what was given back before, so handlers give back in the
    /// order in which they are told of `ConnectionEvent.suspending`.
    ///
    /// When the connection moves they go with it, and the next owner's application reads them first, without anything new
    /// from the peer. As long as it stays they are handed on in one piece with what the peer sends next, or before its end.
    ///
    /// A move takes at most `Parcel.maxUnread` bytes (1 MiB). With more, `detach` throws `tooMuchUnread` and the connection
    /// stays.
    ///
    /// - Throws: `detached` if the connection has moved already, `closed` if nothing of it is read any more.
    public func unread(_ buffer: ByteBuffer) throws(ConnectionError) {
        switch layer.phase {
        case .plain, .established: break
        case .handshaking: throw ConnectionError(.handshaking)
        case .detached: throw ConnectionError(.detached)
        case .failed, .closed: throw ConnectionError(.closed)
        }
        guard !ending.isClosing else { throw ConnectionError(.closed) }
        inbound.giveBack(buffer)
    }
}
