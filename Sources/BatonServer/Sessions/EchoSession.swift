internal import BatonNIO
internal import NIOCore

/// Sends every byte back. It reads no faster than the client does.
final class EchoSession: Session {
    override func install(in channel: any Channel, _ state: SessionState) throws {
        try super.install(in: channel, state)
        try channel.pipeline.syncOperations.addHandler(Handler(self, state.received))
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let session: EchoSession
        private var received: [UInt8]
        private var waitsForRoom = false

        init(_ session: EchoSession, _ received: [UInt8]) {
            self.session = session
            self.received = received
        }

        func channelActive(context: ChannelHandlerContext) {
            if !received.isEmpty {
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: received)), promise: nil)
                received = []
            }
            context.fireChannelActive()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.write(data, promise: nil)
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            context.flush()
            readOn(context)
            session.didRead()
        }

        func channelWritabilityChanged(context: ChannelHandlerContext) {
            if waitsForRoom { readOn(context) }
            context.fireChannelWritabilityChanged()
        }

        private func readOn(_ context: ChannelHandlerContext) {
            waitsForRoom = (try? session.clientHandler().isWritable) == false
            if !waitsForRoom { context.read() }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event as? ConnectionEvent == .detached {
                session.end(isMoved: true)
            } else if case .some(.inputClosed) = event as? ChannelEvent {
                context.close(promise: nil)
            }
            context.fireUserInboundEventTriggered(event)
        }

        func channelInactive(context: ChannelHandlerContext) {
            session.end(isMoved: false)
            context.fireChannelInactive()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            // The connection resets itself, behind what has been echoed.
            session.worker.note(error, of: session)
        }
    }
}
