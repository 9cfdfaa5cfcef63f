import Foundation
import NIOCore
import NIOHTTP1

/// How many requests have come on a connection.
final class RequestCount {
    private(set) var value = 0

    func next() -> Int {
        value += 1
        return value
    }
}

/// Answers a request with who answers it. A body is sent back as it comes, so that a stream may last, except that of a GET or HEAD.
final class Pages: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let protocolName: String
    private let count: RequestCount
    private var isEcho = false

    init(_ protocolName: String, _ count: RequestCount) {
        self.protocolName = protocolName
        self.count = count
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let request):
            let text = "process \(getpid()), \(protocolName), request \(count.next()), \(request.uri)\n"
            var headers: HTTPHeaders = ["content-type": "text/plain"]
            // What has no length is sent in chunks, or in frames.
            isEcho = request.method != .GET && request.method != .HEAD
            if !isEcho { headers.add(name: "content-length", value: "\(text.utf8.count)") }
            let head = HTTPResponseHead(version: request.version, status: .ok, headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            // The answer to HEAD ends with its headers (RFC 9110 section 9.3.2).
            guard request.method != .HEAD else { return }
            context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
        case .body(let bytes):
            guard isEcho else { return }
            context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        case .end:
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
