public import BatonNIO
internal import HummingbirdCore
internal import Logging
public import NIOCore
public import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import NIOWebSocket

/// What the connections of a `MovableServer` speak.
public struct MovableChannel: Sendable {
    /// WebSockets (RFC 6455) beside the requests that the router answers.
    public struct WebSockets: Sendable {
        let shouldUpgrade: @Sendable (any Channel, HTTPRequestHead) -> EventLoopFuture<HTTPHeaders?>
        let initializer: @Sendable (any Channel, Arrival, HTTPRequestHead?) throws -> Void
        let maxFrameSize: Int

        /// - Parameters:
        ///   - maxFrameSize: the most bytes of a frame, up to 2^32 − 1.
        ///   - shouldUpgrade: whether a request that asks for a WebSocket gets one, and the headers of the answer; `nil` leaves the
        ///     request to the router.
        ///   - initializer: adds the handlers, which read and write `WebSocketFrame`. It is called when a connection is upgraded, with
        ///     the request, and when one has come that was upgraded by the program before, with its state in the arrival
        ///     (`ConnectionHandler.provideState`) and no request.
        public init(
            maxFrameSize: Int = 1 << 14,
            shouldUpgrade: @escaping @Sendable (any Channel, HTTPRequestHead) -> EventLoopFuture<HTTPHeaders?>,
            initializer: @escaping @Sendable (any Channel, Arrival, HTTPRequestHead?) throws -> Void
        ) {
            self.maxFrameSize = maxFrameSize
            self.shouldUpgrade = shouldUpgrade
            self.initializer = initializer
        }
    }

    /// By which a receiver knows that the connection is a WebSocket.
    private static let annotation = "hummingbird.websocket"

    private let webSockets: WebSockets?
    private let idleTimeout: Duration?
    private let additionalHandlers: @Sendable () -> [any RemovableChannelHandler]

    /// HTTP/1.1, and WebSockets if they are given.
    ///
    /// - Parameters:
    ///   - idleTimeout: after which a connection without a request is closed. It begins anew when the connection has moved.
    ///   - additionalChannelHandlers: of each connection, between the codec of HTTP's types and the router.
    public static func http1(
        idleTimeout: Duration? = nil, webSockets: WebSockets? = nil,
        additionalChannelHandlers: @autoclosure @escaping @Sendable () -> [any RemovableChannelHandler] = []
    ) -> MovableChannel {
        MovableChannel(
            webSockets: webSockets, idleTimeout: idleTimeout, additionalHandlers: additionalChannelHandlers)
    }

    /// Adds the handlers behind the `ConnectionHandler`.
    ///
    /// - Parameter begin: is given the connection at its first request.
    func setUp(
        _ channel: any Channel, _ arrival: Arrival, _ logger: Logger,
        begin: @escaping (RequestLoop.Value) -> Void
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        let connection = try pipeline.connectionHandler()
        if connection.metadata.annotations[Self.annotation] != nil {
            guard let webSockets else { throw MovableServerError.unexpectedWebSocket }
            try pipeline.addHandler(WebSocketFrameEncoder())
            try pipeline.addHandler(
                MovableDecoderHandler(WebSocketFrameDecoder(maxFrameSize: webSockets.maxFrameSize)))
            try pipeline.addHandler(WebSocketProtocolErrorHandler())
            return try webSockets.initializer(channel, arrival, nil)
        }
        let handlers: [any RemovableChannelHandler] =
            [HTTP1ToHTTPServerCodec(secure: !connection.isPlain)] + additionalHandlers()
            + [HTTPConnectionStateHandler(idleTimeout: idleTimeout, logger: logger), FirstRequest(begin)]
        try pipeline.addMovableHTTPServerHandlers(
            upgrade: webSockets.map { upgrade($0, removing: NIOLoopBound(handlers, eventLoop: channel.eventLoop)) })
        try pipeline.addHandlers(handlers)
    }

    private func upgrade(
        _ webSockets: WebSockets, removing handlers: NIOLoopBound<[any RemovableChannelHandler]>
    ) -> NIOHTTPServerUpgradeConfiguration {
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: webSockets.maxFrameSize, shouldUpgrade: webSockets.shouldUpgrade
        ) { channel, request in
            let pipeline = channel.pipeline.syncOperations
            let removals = handlers.value.map { pipeline.removeHandler($0) }
            return EventLoopFuture.andAllSucceed(removals, on: channel.eventLoop).flatMap {
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.connectionHandler().metadata.annotations[Self.annotation] = [1]
                    let movable = try pipeline.makeDecoderMovable(
                        WebSocketFrameDecoder(maxFrameSize: webSockets.maxFrameSize))
                    try webSockets.initializer(channel, .accepted, request)
                    return movable
                }.flatMap { $0 }
            }
        }
        return (upgraders: [upgrader], completionHandler: { _ in })
    }
}
