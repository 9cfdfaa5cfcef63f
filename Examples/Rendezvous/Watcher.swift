import BatonNIO
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// A client that is told by WebSocket who has come, how far the transfer is, and how it ended.
final class Watcher: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    /// Bytes between two notices of progress.
    private static let step = 1 << 20
    private static let tryAgainLater: UInt16 = 1_013

    private let token: String
    private let meetings: Meetings
    private var exchange: Exchange?
    private let hasMoved: Bool
    private var context: ChannelHandlerContext?
    private var toldCount = 0

    init(_ token: String, _ meetings: Meetings, hasMoved: Bool) {
        self.token = token
        self.meetings = meetings
        self.hasMoved = hasMoved
    }

    /// Prepares a channel whose request for an upgrade is yet to be read by NIO.
    static func upgrade(_ channel: any Channel, _ token: String, _ meetings: Meetings) throws {
        let watcher = NIOLoopBound(Watcher(token, meetings, hasMoved: false), eventLoop: channel.eventLoop)
        let limit = NIOLoopBound(UpgradeLimit(), eventLoop: channel.eventLoop)
        let upgrader = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    let isReplaced = try pipeline.makeDecoderMovable(WebSocketFrameDecoder())
                    try pipeline.addHandler(watcher.value)
                    pipeline.removeHandler(limit.value, promise: nil)
                    return isReplaced
                }.flatMap { $0 }
            })
        try channel.pipeline.syncOperations.addMovableHTTPServerHandlers(
            upgrade: (upgraders: [upgrader], completionHandler: { _ in }))
        try channel.pipeline.syncOperations.addHandler(limit.value)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        start(context)
    }

    private func start(_ context: ChannelHandlerContext) {
        guard self.context == nil else { return }
        self.context = context
        let token = token
        do {
            try context.pipeline.syncOperations.connectionHandler().provideState { Seat.watcher(token: token) }
            exchange = try meetings.exchange(token)
            exchange?.add(self, hasMoved: hasMoved)
        } catch {
            write(.connectionClose, ByteBuffer(integer: Self.tryAgainLater))
            context.close(promise: nil)
        }
    }

    // MARK: Telling

    func tell(_ notice: Notice) {
        if notice.event == Notice.met.event { toldCount = 0 }
        guard let context else { return }
        // Who does not read must not make us remember.
        guard context.channel.isWritable else {
            return context.close(promise: nil)
        }
        write(.text, ByteBuffer(bytes: notice.json))
    }

    /// Tells how far it is, now and then. Who does not read misses it.
    func tellProgress(_ count: Int, of total: Int?) {
        guard count >= toldCount + Self.step, context?.channel.isWritable == true else { return }
        toldCount = count
        tell(.progress(count, of: total))
    }

    private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer) {
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, data: data)), promise: nil)
    }

    // MARK: The peer's frames

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .ping: if context.channel.isWritable { write(.pong, frame.unmaskedData) }
        case .connectionClose:
            write(.connectionClose, frame.unmaskedData)
            context.close(promise: nil)
        default: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ConnectionEvent.detached = event { leave() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        guard context != nil else { return }
        context = nil
        exchange?.remove(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Stands behind NIO's handlers of HTTP until there is a WebSocket. What they do not upgrade in time ends.
private final class UpgradeLimit: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    private var limit: Scheduled<Void>?

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        limit = context.eventLoop.scheduleTask(in: .seconds(10)) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { limit?.cancel() }

    /// The request has come through, so it is no upgrade.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
