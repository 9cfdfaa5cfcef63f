import BatonNIO
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// A server of HTTP and WebSockets: requests are answered with their path, a little later, and frames are sent back.
enum Web {
    private static let state = "WebSocket"

    static func initialize(_ channel: any Channel, _ arrival: Arrival) throws {
        let pipeline = channel.pipeline.syncOperations
        if try arrival.state(String.self) == state {
            try pipeline.connectionHandler().provideState { state }
            try pipeline.addHandler(WebSocketFrameEncoder())
            try pipeline.addHandler(MovableDecoderHandler(WebSocketFrameDecoder()))
            return try pipeline.addHandler(FrameEcho())
        }
        let upgrader = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.connectionHandler().provideState { state }
                    pipeline.removeHandler(try pipeline.handler(type: PathAnswer.self), promise: nil)
                    try pipeline.addHandler(FrameEcho())
                    return try pipeline.makeDecoderMovable(WebSocketFrameDecoder())
                }.flatMap { $0 }
            })
        try pipeline.addMovableHTTPServerHandlers(upgrade: (upgraders: [upgrader], completionHandler: { _ in }))
        try pipeline.addHandler(PathAnswer())
    }
}

final class PathAnswer: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart
    private var path = ""

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): path = head.uri
        case .body: break
        case .end:
            let handler = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: .milliseconds(5)) { handler.value.0.answer(handler.value.1) }
        }
    }

    private func answer(_ context: ChannelHandlerContext) {
        let headers: HTTPHeaders = ["content-length": String(path.utf8.count)]
        context.write(wrapOutboundOut(.head(.init(version: .http1_1, status: .ok, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: path)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

final class FrameEcho: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        let echo = WebSocketFrame(fin: true, opcode: frame.opcode, data: frame.unmaskedData)
        context.writeAndFlush(wrapOutboundOut(echo), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
