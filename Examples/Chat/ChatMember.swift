import BatonNIO
import NIOCore

/// One member: a name, a room, and a line that may have come only in part when the connection moves.
final class ChatMember: ChannelInboundHandler {
    struct State: Codable {
        var name = "guest"
        var room = "lobby"
        /// Bytes: a character may have come in part.
        var partialLine: [UInt8] = []
    }

    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let longestLine = 4_096
    private(set) var state: State
    private let rooms: Rooms

    init(_ state: State, rooms: Rooms) {
        self.state = state
        self.rooms = rooms
    }

    func channelActive(context: ChannelHandlerContext) {
        rooms.enter(state.room, context.channel)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        rooms.leave(state.room, context.channel)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        state.partialLine += unwrapInboundIn(data).readableBytesView
        while let end = state.partialLine.firstIndex(of: UInt8(ascii: "\n")) {
            var line = state.partialLine[..<end]
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            let text = String(decoding: line, as: UTF8.self)
            state.partialLine.removeSubrange(...end)
            handle(text, context)
        }
        if state.partialLine.count > Self.longestLine { context.close(promise: nil) }
    }

    private func handle(_ line: String, _ context: ChannelHandlerContext) {
        let words = line.split(separator: " ", maxSplits: 1).map(String.init)
        switch (words.first, words.count) {
        case ("/name", 2): state.name = words[1]
        case ("/join", 2):
            rooms.leave(state.room, context.channel)
            state.room = words[1]
            rooms.enter(state.room, context.channel)
        case (nil, _): break
        default: rooms.say("[\(state.room)] \(state.name): \(line)", in: state.room)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
