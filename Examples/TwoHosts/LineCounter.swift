import BatonHosts
import NIOCore

/// Numbers the lines of one connection. The number, and the half of a line that has come, move with the connection.
final class LineCounter: ChannelInboundHandler {
    struct State: Codable {
        var lines = 0
        /// Bytes: a character may have come in part.
        var partialLine: [UInt8] = []
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
        state.partialLine += unwrapInboundIn(data).readableBytesView
        var answer = ""
        while let end = state.partialLine.firstIndex(of: UInt8(ascii: "\n")) {
            state.lines += 1
            var line = state.partialLine[..<end]
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            answer += "\(host) \(state.lines) \(String(decoding: line, as: UTF8.self))\n"
            state.partialLine.removeSubrange(...end)
        }
        if !answer.isEmpty { context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil) }
        if state.partialLine.count > Self.longestLine { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
