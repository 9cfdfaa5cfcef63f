import BatonHummingbird
import BatonNIO
import Foundation
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// A WebSocket that counts its messages, through all deploys.
final class Counting: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private var count: Int

    init(_ count: Int) { self.count = count }

    static var webSockets: MovableChannel.WebSockets {
        .init(
            shouldUpgrade: { channel, request in
                let headers: HTTPHeaders? = request.uri == "/socket" ? [:] : nil
                return channel.eventLoop.makeSucceededFuture(headers)
            },
            initializer: { channel, arrival, _ in
                let counting = Counting(try arrival.state() ?? 0)
                try channel.pipeline.syncOperations.connectionHandler().provideState { counting.count }
                // A client that does not read its answers is not read either.
                try channel.pipeline.syncOperations.addHandler(BackPressureHandler())
                try channel.pipeline.syncOperations.addHandler(counting)
            })
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text:
            count += 1
            let text = "process \(getpid()), message \(count): \(String(buffer: frame.unmaskedData))"
            answer(context, .text, ByteBuffer(string: text))
        case .ping: answer(context, .pong, frame.unmaskedData)
        case .connectionClose:
            answer(context, .connectionClose, frame.unmaskedData)
            context.close(promise: nil)
        default: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        guard event is ChannelShouldQuiesceEvent else { return }
        // 1001: going away (RFC 6455 section 7.4.1). The program ends, and no other takes over.
        answer(context, .connectionClose, ByteBuffer(integer: UInt16(1_001)))
        context.close(promise: nil)
    }

    private func answer(_ context: ChannelHandlerContext, _ opcode: WebSocketOpcode, _ data: ByteBuffer) {
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, data: data)), promise: nil)
    }
}
