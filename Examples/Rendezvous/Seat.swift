import BatonNIO
import Foundation
import NIOCore
import NIOWebSocket

/// What a connection is to the application when it moves; it travels with the connection.
enum Seat: Codable {
    /// Sent by another front, its request yet to be read here.
    case routed
    /// Back from its way to another front, which did not take it.
    case stranded
    case uploader(Uploader.State)
    case downloader(Downloader.State)
    case watcher(token: String)

    func encoded() throws -> [UInt8] { Array(try JSONEncoder().encode(self)) }

    /// Puts the handlers into the channel of a connection that is new, or that has come from another process.
    ///
    /// - Parameter greeter: makes the handler of a connection whose request is yet to be read, and was sent here by another front
    ///   or not.
    static func place(
        _ channel: any Channel, _ arrival: Arrival, _ meetings: Meetings, _ greeter: (Bool) -> Greeter
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        switch try arrival.state(Seat.self) {
        case .stranded:
            try pipeline.addHandler(Refuser(.unavailable("the front that owns this token does not answer; try again")))
        case nil: try pipeline.addHandler(greeter(false))
        case .routed:
            // Should it move on before its request is complete, it is routed still.
            try pipeline.connectionHandler().provideState { Seat.routed }
            try pipeline.addHandler(greeter(true))
        case .uploader(let state):
            try pipeline.addHandler(Uploader(state, meetings, ByteBuffer()))
        case .downloader(let state):
            try pipeline.addHandler(Downloader(state, meetings))
        case .watcher(let token):
            try pipeline.addHandler(WebSocketFrameEncoder())
            try pipeline.addHandler(MovableDecoderHandler(WebSocketFrameDecoder()))
            try pipeline.addHandler(Watcher(token, meetings, hasMoved: true))
        }
    }
}

/// Answers a connection that has come back, because nobody took it.
private final class Refuser: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let refusal: Refusal

    init(_ refusal: Refusal) { self.refusal = refusal }

    func channelActive(context: ChannelHandlerContext) {
        refusal.answer(context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
