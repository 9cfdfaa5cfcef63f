internal import NIOCore
internal import NIOHTTPTypes

/// Begins the loop over requests with the first of them. A connection that is idle has no task, and one that is upgraded to a
/// WebSocket by its first request never has one.
final class FirstRequest: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    private let begin: (RequestLoop.Value) -> Void

    init(_ begin: @escaping (RequestLoop.Value) -> Void) { self.begin = begin }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        do {
            let channel = try RequestLoop.wrap(context.channel)
            begin(channel)
        } catch {
            context.fireErrorCaught(error)
            context.close(promise: nil)
            return
        }
        context.fireChannelRead(data)
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
