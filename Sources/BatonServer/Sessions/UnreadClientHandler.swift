internal import BatonNIO
internal import NIOCore

/// The client's side of a session that reads nothing of it: its end is noticed when the socket is closed.
final class UnreadClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let session: Session
    private let ended: () -> Void
    private let broke: () -> Void

    /// - Parameters:
    ///   - ended: the client's channel has closed, and the connection has not moved.
    ///   - broke: the connection has ended, and not in order.
    init(_ session: Session, ended: @escaping () -> Void, broke: @escaping () -> Void) {
        self.session = session
        self.ended = ended
        self.broke = broke
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ConnectionEvent == .detached { session.end(isMoved: true) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        session.worker.note(error, of: session)
        broke()
    }
}
