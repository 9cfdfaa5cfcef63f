import BatonNIO
import NIOCore
import TLSHandshake
import TLSRecords

/// Finds out the peer's side, takes the other one, and echoes what comes over TLS.
final class RoleHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let sides: Sides
    private var detector = RoleDetector()
    private var timer: Scheduled<Void>?
    /// The side that this process has taken.
    private var role: Role?

    init(_ sides: Sides) { self.sides = sides }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: sides.patience) {
            let (handler, context) = bound.value
            handler.take(.timeLimit, nil, context)
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        if role != nil {
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        } else if let first = bytes.readableBytesView.first {
            take(.received(first: first), bytes, context)
        }
    }

    /// - Parameter received: what the peer has said, which belongs to the handshake.
    private func take(_ event: RoleDetector.Event, _ received: ByteBuffer?, _ context: ChannelHandlerContext) {
        let action = detector.handle(event)
        timer?.cancel()
        do {
            switch action {
            case .start(let role):
                self.role = role
                let handshake =
                    switch role {
                    case .server: Handshake(server: sides.server)
                    case .client: try Handshake(client: sides.client, serverName: sides.peerName)
                    }
                try context.pipeline.syncOperations.connectionHandler().startTLS(handshake, received: received)
            case .notTLS:
                print("a peer speaks first, and no TLS")
                context.close(promise: nil)
            case .close: context.close(promise: nil)
            case .ignore: return
            }
        } catch {
            errorCaught(context: context, error: error)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ConnectionEvent.established as ConnectionEvent:
            let peer = role == .server ? "client" : "server"
            print("a peer is the TLS \(peer)")
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "you are the TLS \(peer)\n")), promise: nil)
            // What was asked for before TLS has been had.
            context.read()
        case ChannelEvent.inputClosed as ChannelEvent where role == nil: take(.closed, nil, context)
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        // A peer that does not read is not read either.
        context.channel.setOption(.autoRead, value: context.channel.isWritable).whenComplete { _ in }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        print("a connection has failed: \(error)")
        context.close(promise: nil)
    }
}
