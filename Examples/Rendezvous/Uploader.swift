import BatonNIO
import NIOCore

/// The side that sends. Nothing is read of it before a downloader has come, nor while the downloader's connection is full.
final class Uploader: ChannelInboundHandler {
    struct State: Codable {
        let token: String
        var body: UploadBody
        let total: Int?
        let waitsForContinue: Bool
        var count = 0
        var hasMet = false
    }

    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private(set) var state: State
    private let meetings: Meetings
    private var exchange: Exchange?
    /// Read and not yet passed on: at most what one read gives.
    private var waiting: ByteBuffer
    private var context: ChannelHandlerContext?
    private var isPassing = false
    private var hold: ConnectionHold?

    init(_ state: State, _ meetings: Meetings, _ waiting: ByteBuffer) {
        self.state = state
        self.meetings = meetings
        self.waiting = waiting
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
        do {
            try context.channel.syncOptions?.setOption(.autoRead, value: false)
            try context.pipeline.syncOperations.connectionHandler().provideState { Seat.uploader(self.state) }
            let exchange = try meetings.exchange(state.token)
            self.exchange = exchange
            try exchange.take(self)
        } catch let refusal as Refusal {
            end(refusal)
        } catch {
            context.close(promise: nil)
        }
    }

    // MARK: Content

    /// The downloader is there for the first time.
    func meet() {
        state.hasMet = true
        guard state.waitsForContinue, let context else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
    }

    private var isWritable: Bool { exchange?.isWritable == true }

    /// Passes on what there is, as long as the downloader takes it, and asks for more.
    func proceed() {
        guard !isPassing else { return }
        isPassing = true
        defer { isPassing = false }
        do {
            repeat {
                while isWritable, !state.body.isEnded, let piece = try state.body.next(&waiting) {
                    state.count += piece.readableBytes
                    exchange?.pass(piece, count: state.count, total: state.total)
                }
                if state.body.isEnded {
                    exchange?.uploadEnded()
                    return
                }
                // What waits in the connection comes within this call.
                if isWritable, waiting.readableBytes == 0 { context?.read() }
            } while isWritable && waiting.readableBytes > 0
        } catch {
            exchange?.lost(self)
            end(error)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        waiting.writeBuffer(&buffer)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        waiting.discardReadBytes()
        if state.hasMet { proceed() }
        context.fireChannelReadComplete()
    }

    // MARK: The end

    /// The downloader has everything.
    func succeed() {
        guard let context = leave() else { return }
        Refusal.answer(context, "200 OK", "\(state.count) bytes are at the other side")
    }

    /// Answers that there is no transfer, or none any more.
    func end(_ refusal: Refusal) { leave().map(refusal.answer) }

    private func leave() -> ChannelHandlerContext? {
        defer { context = nil }
        mayMove()
        return context
    }

    /// Does not move to another process for the time being.
    func stay() {
        if hold == nil { hold = try? context?.pipeline.syncOperations.connectionHandler().hold() }
    }

    func mayMove() {
        hold?.release()
        hold = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ConnectionEvent.suspending:
            if waiting.readableBytes > 0 {
                try? context.pipeline.syncOperations.connectionHandler().unread(waiting)
                // Should the connection stay, they come again.
                waiting.clear()
            }
        case ConnectionEvent.detached: exchange?.left(self)
        case ChannelEvent.inputClosed: exchange?.lost(self)
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        exchange?.lost(self)
        _ = leave()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
