internal import NIOCore
internal import NIOHTTP1

/// NIO's decoder of requests, given its bytes in pieces that end where a request may end: lines, and bodies of a known length.
/// So it never has bytes of the next request when it has finished one (RFC 9112 section 6), and what it has of a head that is
/// not complete can be given back.
struct HTTPRequestPieces: ByteToMessageDecoder {
    typealias InboundOut = HTTPServerRequestPart

    private let decoder = HTTPRequestDecoder()
    private let requests: HTTPRequestsInFlight
    /// How many bytes at the front of the buffer the decoder has seen and not taken.
    private var seenCount = 0

    /// - Parameter requests: stands behind, and knows how long the body is.
    init(_ requests: HTTPRequestsInFlight) { self.requests = requests }

    func decoderAdded(context: ChannelHandlerContext) { decoder.decoderAdded(context: context) }

    func decoderRemoved(context: ChannelHandlerContext) { decoder.decoderRemoved(context: context) }

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        let count = pieceLength(buffer)
        guard count > 0, var piece = buffer.getSlice(at: buffer.readerIndex, length: seenCount + count) else {
            return .needMoreData
        }
        _ = try decoder.decode(context: context, buffer: &piece)
        buffer.moveReaderIndex(forwardBy: seenCount + count - piece.readableBytes)
        seenCount = piece.readableBytes
        return buffer.readableBytes > seenCount ? .continue : .needMoreData
    }

    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        while try decode(context: context, buffer: &buffer) == .continue {}
        return try decoder.decodeLast(context: context, buffer: &buffer, seenEOF: seenEOF)
    }

    private func pieceLength(_ buffer: ByteBuffer) -> Int {
        let new = buffer.readableBytesView.dropFirst(seenCount)
        if requests.bodyLeft > 0 { return requests.takeOfBody(atMost: new.count) }
        guard let end = new.firstIndex(of: UInt8(ascii: "\n")) else { return new.count }
        return end + 1 - new.startIndex
    }
}
