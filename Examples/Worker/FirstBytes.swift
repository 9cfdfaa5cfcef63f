import NIOCore

/// Gives the bytes the front has read to the handlers behind, before those the worker reads.
final class FirstBytes: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    private var bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        guard !bytes.isEmpty else { return }
        let first = ByteBuffer(bytes: bytes)
        bytes = []
        context.fireChannelRead(wrapInboundOut(first))
        context.fireChannelReadComplete()
    }
}
