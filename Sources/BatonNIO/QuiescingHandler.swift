public import NIOCore

/// Keeps a connection in this process whose protocol has state that does not move, and ends it in order when it is to leave:
/// HTTP/2 with its streams and header tables, gRPC upon it.
///
/// It holds the connection (`ConnectionHandler.hold`) as long as it lives. When a successor wants the connection, it fires NIO's
/// `ChannelShouldQuiesceEvent`, at which the handlers of such protocols say GOAWAY (RFC 9113 section 6.8), let the streams that are
/// open come to their end, and close the connection. Its client's next connection is the successor's.
///
/// ```swift
/// try pipeline.addHandler(QuiescingHandler())
/// try pipeline.configureHTTP2Pipeline(mode: .server, …)                    // NIOHTTP2
/// try pipeline.addHandler(NIOHTTP2ServerConnectionManagementHandler(…))
/// ```
///
/// It stands behind the `ConnectionHandler` and before the protocol's handlers. In a channel without a `ConnectionHandler` it fires
/// `ConnectionError` and closes the channel.
public final class QuiescingHandler: ChannelInboundHandler {
    /// What comes is handed on.
    public typealias InboundIn = ByteBuffer
    /// What comes is handed on.
    public typealias InboundOut = ByteBuffer

    private var hold: ConnectionHold?

    /// One for each connection.
    public init() {}

    /// Handler of the pipeline; not to be called.
    public func handlerAdded(context: ChannelHandlerContext) {
        do {
            let handler = try context.pipeline.syncOperations.connectionHandler()
            hold = try handler.hold()
            guard handler.isWanted else { return }
            // It comes too late for the event. The protocol's handlers come behind this one.
            let context = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.eventLoop.execute { context.value.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
        } catch {
            // Nothing would keep the connection here, and it would move without its protocol's state.
            context.fireErrorCaught(error)
            context.close(promise: nil)
        }
    }

    /// Handler of the pipeline; not to be called.
    public func handlerRemoved(context: ChannelHandlerContext) { letGo() }

    /// Handler of the pipeline; not to be called.
    public func channelInactive(context: ChannelHandlerContext) {
        letGo()
        context.fireChannelInactive()
    }

    /// Handler of the pipeline; not to be called.
    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        guard case ConnectionEvent.wanted = event else { return }
        context.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }

    private func letGo() {
        hold?.release()
        hold = nil
    }
}

@available(*, unavailable)
extension QuiescingHandler: Sendable {}
