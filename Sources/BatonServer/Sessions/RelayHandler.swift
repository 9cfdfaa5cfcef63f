internal import BatonNIO
internal import NIOCore

/// The two sides of a proxied session.
enum RelaySide: CaseIterable, Hashable {
    case client
    case upstream

    var other: RelaySide { self == .client ? .upstream : .client }
}

/// Passes what one side says to the other.
final class RelayHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let session: ProxySession
    private let side: RelaySide
    private var isDetached = false

    init(_ session: ProxySession, _ side: RelaySide) {
        self.session = session
        self.side = side
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        session.pass(unwrapInboundIn(data), from: side)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        session.flush(from: side)
        if side == .client { session.didRead() } else { session.touch() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        session.hasRoom(side)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ConnectionEvent == .detached {
            isDetached = true
            session.channelEnded(side, isMoved: true)
        } else if case .some(.inputClosed) = event as? ChannelEvent {
            session.inputClosed(side)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        // A channel whose connection has moved on closes, too.
        if !isDetached { session.channelEnded(side, isMoved: false) }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        session.broke(side, error)
    }
}
