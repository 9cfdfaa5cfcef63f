internal import NIOCore
internal import NIOHTTP1

/// Holds the connection from the first byte behind a request's head until the request has come whole and has been answered, and
/// the same of all others that came meanwhile.
final class HTTPRequestsInFlight: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private var unansweredCount = 0
    private var isReading = false
    private var hold: ConnectionHold?

    /// How much of the body of a known length is still to come, in bytes.
    private(set) var bodyLeft = 0

    /// Takes note of so many bytes of the body, or of all there are.
    func takeOfBody(atMost count: Int) -> Int {
        let taken = min(bodyLeft, count)
        bodyLeft -= taken
        return taken
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            unansweredCount += 1
            isReading = true
            bodyLeft = Self.bodyLength(head.headers)
            if hold == nil { hold = try? context.pipeline.syncOperations.connectionHandler().hold() }
        case .body: break
        case .end:
            isReading = false
            bodyLeft = 0
        }
        context.fireChannelRead(data)
        letGo()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let isEnd = if case .end = unwrapOutboundIn(data) { true } else { false }
        context.write(data, promise: promise)
        guard isEnd else { return }
        unansweredCount -= 1
        letGo()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // A request that upgrades the connection is answered behind this handler's back.
        if unansweredCount <= 0 { hold = nil }
    }

    func endUpgrade() {
        hold?.release()
        hold = nil
    }

    private func letGo() {
        guard unansweredCount <= 0, !isReading else { return }
        hold?.release()
        hold = nil
    }

    /// Chunks have lines of their own.
    private static func bodyLength(_ headers: HTTPHeaders) -> Int {
        guard !headers.contains(name: "transfer-encoding") else { return 0 }
        return headers.first(name: "content-length").flatMap { Int($0) }.map { max(0, $0) } ?? 0
    }
}
