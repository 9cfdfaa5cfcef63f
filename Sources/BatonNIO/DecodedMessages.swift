internal import NIOCore

/// Stands behind a decoder and keeps what it fires until it has returned, so that nobody acts on a message while the decoder
/// still has the bytes behind it.
final class DecodedMessages: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private enum Fired {
        case message(NIOAny)
        case error(any Error)
    }

    private var fired = CircularBuffer<Fired>()
    private var isHolding = false
    private var context: ChannelHandlerContext?

    /// How many messages wait.
    private(set) var count = 0

    var hasMessages: Bool { count > 0 }

    func hold() { isHolding = true }

    /// Hands on what waits. `willPass` is told before each message how many wait behind it.
    func release(_ willPass: (Int) -> Void) {
        isHolding = false
        while let next = fired.popFirst() {
            switch next {
            case .message(let message):
                count -= 1
                willPass(count)
                context?.fireChannelRead(message)
            case .error(let error): context?.fireErrorCaught(error)
            }
        }
    }

    func pass(_ message: NIOAny) { context?.fireChannelRead(message) }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard isHolding else { return context.fireChannelRead(data) }
        fired.append(.message(data))
        count += 1
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard isHolding else { return context.fireErrorCaught(error) }
        fired.append(.error(error))
    }
}
