internal import Foundation
internal import NIOCore
internal import NIOPosix

/// One JSON document a line, both ways, over a stream socket: what processes of a server say to each other, and commands
/// to the server. Calls come on the channel's event loop.
final class JSONLines<Incoming: Decodable & Sendable, Outgoing: Encodable & Sendable>: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    /// A report of a thousand workers fits.
    static var longestLine: Int { 4 << 20 }

    private let received: @Sendable (Incoming, JSONLink<Outgoing>) -> Void
    private let ended: @Sendable () -> Void
    private let pending: NIOLoopBoundBox<ByteBuffer>

    init(
        on loop: any EventLoop, received: @escaping @Sendable (Incoming, JSONLink<Outgoing>) -> Void,
        ended: @escaping @Sendable () -> Void = {}
    ) {
        self.received = received
        self.ended = ended
        pending = .makeBoxSendingValue(ByteBuffer(), eventLoop: loop)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        pending.value.writeBuffer(&buffer)
        while let end = pending.value.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
            let length = end - pending.value.readerIndex
            let line = pending.value.readBytes(length: length + 1) ?? []
            do {
                let message = try JSONDecoder().decode(Incoming.self, from: Data(line.dropLast()))
                received(message, JSONLink(channel: context.channel))
            } catch {
                context.close(promise: nil)
                return
            }
        }
        pending.value.discardReadBytes()
        if pending.value.readableBytes > Self.longestLine { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// The sending side of a `JSONLines` channel.
struct JSONLink<Outgoing: Encodable & Sendable>: Sendable {
    let channel: any Channel

    /// Sends a message; one that cannot be sent any more is dropped, because the end of the link is told apart.
    func send(_ message: Outgoing) {
        guard let line = Self.line(message) else { return }
        channel.writeAndFlush(line, promise: nil)
    }

    /// Sends a last message and closes.
    func finish(_ message: Outgoing) {
        guard let line = Self.line(message) else { return }
        channel.writeAndFlush(line).whenComplete { [channel] _ in channel.close(promise: nil) }
    }

    static func line(_ message: Outgoing) -> ByteBuffer? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let bytes = try? encoder.encode(message) else { return nil }
        return ByteBuffer(bytes: bytes + [UInt8(ascii: "\n")])
    }
}

extension JSONLines {
    /// Speaks over the connected stream socket `descriptor`, which is the channel's from now on.
    static func open(
        _ descriptor: CInt, on loop: any EventLoop, received: @escaping @Sendable (Incoming) -> Void,
        ended: @escaping @Sendable () -> Void
    ) -> EventLoopFuture<JSONLink<Outgoing>> {
        ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.pipeline.addHandler(
                    JSONLines(on: channel.eventLoop, received: { message, _ in received(message) }, ended: ended))
            }
            .withConnectedSocket(descriptor)
            .map { JSONLink(channel: $0) }
    }
}
