import BatonNIO
import NIOCore

/// The side that receives. The response's head is written when the uploader has come, so its length is known if the uploader
/// knows it.
final class Downloader: ChannelInboundHandler {
    struct State: Codable {
        let token: String
        var isChunked = false
        var count = 0
        var hasMet = false
        /// Everything is written, though the kernel may not have taken it.
        var isEnded = false
    }

    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private(set) var state: State
    private let meetings: Meetings
    private var exchange: Exchange?
    private var context: ChannelHandlerContext?

    init(_ state: State, _ meetings: Meetings) {
        self.state = state
        self.meetings = meetings
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
            try context.pipeline.syncOperations.connectionHandler().provideState { Seat.downloader(self.state) }
            let exchange = try meetings.exchange(state.token)
            self.exchange = exchange
            try exchange.take(self)
        } catch let refusal as Refusal {
            end(refusal)
        } catch {
            context.close(promise: nil)
        }
    }

    /// What it sends behind its request is nothing to us.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    // MARK: Content

    var isWritable: Bool { context?.channel.isWritable == true && !state.isEnded }

    /// The uploader is there for the first time.
    func meet(total: Int?) {
        state.hasMet = true
        state.isChunked = total == nil
        let length = total.map { "Content-Length: \($0)" } ?? "Transfer-Encoding: chunked"
        write("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\(length)\r\nConnection: close\r\n\r\n")
        context?.flush()
    }

    func send(_ piece: ByteBuffer) {
        guard let context else { return }
        state.count += piece.readableBytes
        if state.isChunked { write(String(piece.readableBytes, radix: 16) + "\r\n") }
        context.write(wrapOutboundOut(piece), promise: nil)
        if state.isChunked { write("\r\n") }
        context.flush()
    }

    /// Everything has been sent.
    func finish() {
        guard !state.isEnded else { return }
        state.isEnded = true
        if state.isChunked { write("0\r\n\r\n") }
        confirm()
    }

    /// Tells when the kernel has taken everything: behind it, an empty write.
    func confirm() {
        guard let context else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
        written.futureResult.assumeIsolated().whenSuccess { [self] in
            guard let context = self.context else { return }
            self.context = nil
            exchange?.downloaded(state.count)
            context.close(promise: nil)
        }
    }

    private func write(_ text: String) { context?.write(wrapOutboundOut(ByteBuffer(string: text)), promise: nil) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { exchange?.becameWritable() }
        context.fireChannelWritabilityChanged()
    }

    // MARK: The end

    /// Answers that there is no transfer, if nothing of it has been sent.
    func end(_ refusal: Refusal) {
        guard !state.hasMet else { return breakOff() }
        guard let context else { return }
        self.context = nil
        refusal.answer(context)
    }

    /// Resets the connection, so that nobody takes the part for the whole.
    func breakOff() {
        guard let context else { return }
        self.context = nil
        try? context.pipeline.syncOperations.connectionHandler().reset()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ConnectionEvent.detached:
            self.context = nil
            exchange?.left(self)
        case ChannelEvent.inputClosed: exchange?.lost(self)
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        exchange?.lost(self)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
