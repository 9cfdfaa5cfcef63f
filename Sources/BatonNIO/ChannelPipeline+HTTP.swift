public import NIOCore
public import NIOHTTP1

extension ChannelPipeline.SynchronousOperations {
    /// Adds NIO's handlers of an HTTP/1.1 server behind the `ConnectionHandler`, as `configureHTTPServerPipeline` does, for a
    /// connection that moves between requests. `HTTPServerRequestPart` comes out, `HTTPServerResponsePart` goes in.
    ///
    /// From a request's head until its answer's end is written the connection is held (`ConnectionHandler.hold`), and while it
    /// is upgraded to another protocol. Between requests it can move at any byte: the part of a head that has come goes with it
    /// (`ConnectionHandler.unread`).
    ///
    /// - Parameters:
    ///   - upgrade: the protocols to which a connection's first request here may upgrade it (RFC 9110 section 7.8). The decoders
    ///     that they add are replaced with `makeDecoderMovable`.
    ///   - answersErrors: whether a request that is none is answered with 400 and the connection closed.
    public func addMovableHTTPServerHandlers(
        upgrade: NIOHTTPServerUpgradeConfiguration? = nil, answersErrors: Bool = true
    ) throws {
        let encoder = HTTPResponseEncoder()
        let requests = HTTPRequestsInFlight()
        let decoder = MovableDecoderHandler(HTTPRequestPieces(requests))
        var others: [any RemovableChannelHandler] = [
            requests, HTTPServerPipelineHandler(), NIOHTTPResponseHeadersValidator(),
        ]
        if answersErrors { others.append(HTTPServerProtocolErrorHandler()) }
        try addHandler(encoder)
        try addHandler(decoder)
        for handler in others { try addHandler(handler) }
        guard let upgrade else { return }
        // The decoder goes last: what it has not decoded is for none of the others.
        let handler = HTTPServerUpgradeHandler(
            upgraders: upgrade.upgraders.map { HoldingUpgrader($0, requests) }, httpEncoder: encoder,
            extraHTTPHandlers: others + [decoder], upgradeCompletionHandler: upgrade.completionHandler)
        try addHandler(handler)
    }

    /// Puts a `MovableDecoderHandler` in the place of the `ByteToMessageHandler` that somebody else has added around a decoder of
    /// this type, before it has read anything. So in the upgrade to a WebSocket:
    ///
    /// ```swift
    /// NIOWebSocketServerUpgrader(shouldUpgrade: …) { channel, _ in
    ///     channel.eventLoop.makeCompletedFuture {
    ///         try channel.pipeline.syncOperations.addHandler(session)
    ///         return try channel.pipeline.syncOperations.makeDecoderMovable(WebSocketFrameDecoder())
    ///     }.flatMap { $0 }
    /// }
    /// ```
    ///
    /// - Parameter decoder: a fresh one.
    /// - Returns: a future that is fulfilled when the other handler is gone.
    /// - Throws: `ChannelPipelineError.notFound` if there is none.
    public func makeDecoderMovable<Decoder: ByteToMessageDecoder>(
        _ decoder: Decoder, maximumBufferSize: Int? = nil
    ) throws -> EventLoopFuture<Void> {
        let other = try handler(type: ByteToMessageHandler<Decoder>.self)
        try addHandler(
            MovableDecoderHandler(decoder, maximumBufferSize: maximumBufferSize), position: .after(other))
        return removeHandler(other)
    }
}
