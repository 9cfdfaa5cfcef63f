public import NIOCore

/// Puts a `ByteToMessageDecoder` into the pipeline of a connection that moves, as NIO's `ByteToMessageHandler` does for others.
/// When the connection is suspended, the bytes of a message that has come in part are given back by themselves
/// (`ConnectionHandler.unread`): the next owner's decoder, a fresh one, reads the message from its beginning.
///
/// ```swift
/// try channel.pipeline.syncOperations.addHandler(MovableDecoderHandler(WebSocketFrameDecoder(maxFrameSize: 1 << 20)))
/// ```
///
/// It stands behind the `ConnectionHandler`, with nothing between them that changes bytes. The decoder may keep what it likes of
/// a message that is not complete, but nothing from one message to the next, and a call of its `decode` takes no byte behind
/// the last message that it fires: so do decoders of lines, of WebSocket frames and of lengths. NIO's decoders of HTTP do not;
/// see `addMovableHTTPServerHandlers`.
///
/// Messages are handed on when the decoder has returned, so a handler may take the connection out of its channel in the midst
/// of a message: those behind it go with the connection. While messages of one and the same call wait to be handed on, the
/// connection is held (`ConnectionHandler.hold`).
///
/// When it is removed from the pipeline, the bytes it has not decoded are fired as they are.
public final class MovableDecoderHandler<Decoder: ByteToMessageDecoder>: ChannelInboundHandler, RemovableChannelHandler
{
    /// Bytes.
    public typealias InboundIn = ByteBuffer
    /// What the decoder makes of them.
    public typealias InboundOut = Decoder.InboundOut

    private enum Phase {
        case decoding
        /// The peer has ended its side, and the decoder has been told.
        case ended
        case failed(any Error)
        /// The connection has left, or this handler its pipeline.
        case left
    }

    private var decoder: Decoder
    private let maximumBufferSize: Int?
    private let outlet = DecodedMessages()
    private var phase = Phase.decoding
    /// The bytes behind the last message, those included that the decoder has taken.
    private var rest = ByteBuffer()
    /// How many of them the decoder has taken.
    private var takenCount = 0
    /// How many of them have been given back. If the connection stays they come again, in front of what is new.
    private var returnedCount = 0
    private var isBusy = false
    private var hasSeenEnd = false

    /// - Parameters:
    ///   - decoder: a fresh one.
    ///   - maximumBufferSize: how many bytes of a message that is not complete may wait; with more the decoder fails with
    ///     `ByteToMessageDecoderError.PayloadTooLargeError`. `nil`: no limit. `Parcel.maxUnread` is what a move takes.
    public init(_ decoder: Decoder, maximumBufferSize: Int? = nil) {
        self.decoder = decoder
        self.maximumBufferSize = maximumBufferSize
    }

    // MARK: The channel

    /// Handler of the pipeline; not to be called.
    public func handlerAdded(context: ChannelHandlerContext) {
        do {
            try context.pipeline.syncOperations.addHandler(outlet, position: .after(self))
        } catch {
            fail(error, context)
        }
        decoder.decoderAdded(context: context)
    }

    /// Handler of the pipeline; not to be called.
    public func handlerRemoved(context: ChannelHandlerContext) {
        phase = .left
        decoder.decoderRemoved(context: context)
    }

    /// Handler of the pipeline; not to be called.
    public func removeHandler(context: ChannelHandlerContext, removalToken: ChannelHandlerContext.RemovalToken) {
        if case .decoding = phase, rest.readableBytes > 0 { outlet.pass(NIOAny(rest)) }
        phase = .left
        rest = ByteBuffer()
        context.pipeline.syncOperations.removeHandler(outlet, promise: nil)
        context.leavePipeline(removalToken: removalToken)
    }

    /// Handler of the pipeline; not to be called.
    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch phase {
        case .decoding: break
        case .failed(let error):
            let lost = ByteToMessageDecoderError.dataReceivedInErrorState(error, unwrapInboundIn(data))
            return context.fireErrorCaught(lost)
        case .ended, .left: return
        }
        var buffer = unwrapInboundIn(data)
        let known = min(returnedCount, buffer.readableBytes)
        buffer.moveReaderIndex(forwardBy: known)
        returnedCount -= known
        if rest.readableBytes == 0 { rest = buffer } else { rest.writeBuffer(&buffer) }
        decode(context)
    }

    /// Handler of the pipeline; not to be called.
    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ConnectionEvent.suspending: giveBack(context)
        case ConnectionEvent.detached: phase = .left
        case ChannelEvent.inputClosed: end(context)
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Handler of the pipeline; not to be called.
    public func channelInactive(context: ChannelHandlerContext) {
        end(context)
        context.fireChannelInactive()
    }

    // MARK: Decoding

    private func decode(_ context: ChannelHandlerContext) {
        // Who is called in the midst of it adds to `rest`, and it goes on.
        guard !isBusy else { return }
        isBusy = true
        while case .decoding = phase, rest.readableBytes > takenCount {
            guard step(context, { try $0.decode(context: context, buffer: &$1) }) == .continue else { break }
        }
        isBusy = false
        if hasSeenEnd { finish(context) }
    }

    private func end(_ context: ChannelHandlerContext) {
        guard case .decoding = phase, !hasSeenEnd else { return }
        hasSeenEnd = true
        if !isBusy { finish(context) }
    }

    /// Lets the decoder make what it can of the last bytes.
    private func finish(_ context: ChannelHandlerContext) {
        isBusy = true
        repeat {
            guard case .decoding = phase else { break }
            let next = step(context) { try $0.decodeLast(context: context, buffer: &$1, seenEOF: true) }
            guard next == .continue else { break }
        } while rest.readableBytes > takenCount
        isBusy = false
        if case .decoding = phase { phase = .ended }
    }

    /// Calls the decoder once, and hands on what it has made.
    private func step(
        _ context: ChannelHandlerContext, _ call: (inout Decoder, inout ByteBuffer) throws -> DecodingState
    ) -> DecodingState {
        var buffer = rest
        buffer.moveReaderIndex(forwardBy: takenCount)
        let before = buffer.readableBytes
        outlet.hold()
        let result: DecodingState
        do {
            result = try call(&decoder, &buffer)
        } catch {
            handOn(context)
            fail(error, context)
            return .needMoreData
        }
        takenCount += before - buffer.readableBytes
        if outlet.hasMessages {
            rest.moveReaderIndex(forwardBy: takenCount)
            takenCount = 0
            if rest.readableBytes == 0 { rest = ByteBuffer() }
        }
        handOn(context)
        if result == .needMoreData, let maximumBufferSize, rest.readableBytes > maximumBufferSize {
            fail(ByteToMessageDecoderError.PayloadTooLargeError(), context)
        }
        return result
    }

    private func handOn(_ context: ChannelHandlerContext) {
        // What waits behind a message is no bytes any more, and cannot be given back.
        let hold = outlet.count > 1 ? try? context.pipeline.syncOperations.connectionHandler().hold() : nil
        outlet.release { if $0 == 0 { hold?.release() } }
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        if case .left = phase { return }
        phase = .failed(error)
        rest = ByteBuffer()
        context.fireErrorCaught(error)
    }

    private func giveBack(_ context: ChannelHandlerContext) {
        guard case .decoding = phase, returnedCount == 0, rest.readableBytes > 0 else { return }
        // Of a connection that is being closed nothing is read any more.
        guard (try? context.pipeline.syncOperations.connectionHandler().unread(rest)) != nil else { return }
        returnedCount = rest.readableBytes
    }
}

@available(*, unavailable)
extension MovableDecoderHandler: Sendable {}
