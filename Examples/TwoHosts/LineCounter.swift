import BatonHosts
import NIOCore

/// Numbers the lines of one connection. The number, and the half of a line that has come, move with the connection.
final class LineCounter: ChannelInboundHandler {
    struct State: Codable {
        var lines = 0
        var partialLine = ""
    }

    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let longestLine = 4_096
    private(set) var state: State
    private let host: String

    init(_ state: State, host: String) {
        self.state = state
        self.host = host
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        state.partialLine += String(buffer: unwrapInboundIn(data))
        var answer = ""
        while let end = state.partialLine.firstIndex(where: \.isNewline) {
            state.lines += 1
            answer += "\(host) \(state.lines) \(state.partialLine[..<end])\n"
            state.partialLine.removeSubrange(...end)
        }
        if !answer.isEmpty { context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil) }
        if state.partialLine.utf8.count > Self.longestLine { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
