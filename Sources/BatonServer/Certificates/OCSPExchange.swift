internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Asks a responder for an OCSP response (RFC 6960 appendix A): one POST over plain HTTP, one answer. Redirections are not followed.
/// The answer is signed, so who gives it does not matter.
enum OCSPExchange {
    /// An answer has some 2 KiB with the responder's certificate.
    static let longestAnswer = 64 << 10
    private static let connectLimit = TimeAmount.seconds(3)
    private static let limit = TimeAmount.seconds(5)

    static func run(_ request: [UInt8], at url: String, on loop: any EventLoop) -> EventLoopFuture<[UInt8]> {
        guard let parts = URLComponents(string: url), parts.scheme?.lowercased() == "http",
            let host = parts.host, !host.isEmpty, (1...65_535).contains(parts.port ?? 80)
        else {
            return loop.makeFailedFuture(RuntimeError(.configuration, "its URL is not of the form http://HOST/PATH"))
        }
        let answer = loop.makePromise(of: [UInt8].self)
        var path = parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath
        if let query = parts.percentEncodedQuery { path += "?" + query }
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: path)
        head.headers = [
            "Host": parts.port.map { "\(host):\($0)" } ?? host, "User-Agent": "baton",
            "Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response",
            "Content-Length": "\(request.count)", "Connection": "close",
        ]
        // An IPv6 address has brackets in a URL alone.
        let name = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        let connected = ClientBootstrap(group: loop)
            .connectTimeout(connectLimit)
            .channelInitializer { [head] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(Asking(head, request, answer))
                }
            }
            .connect(host: name, port: parts.port ?? 80)
        connected.whenComplete { result in
            switch result {
            case .failure(let error):
                answer.fail(RuntimeError(.noAnswer, "it cannot be reached: \(reason(error))"))
            case .success(let channel):
                let limit = loop.scheduleTask(in: limit) {
                    answer.fail(RuntimeError(.noAnswer, "it has not answered in time"))
                    channel.close(promise: nil)
                }
                channel.closeFuture.whenComplete { _ in limit.cancel() }
            }
        }
        return answer.futureResult
    }

    private static func reason(_ error: any Error) -> String {
        let attempts = (error as? NIOConnectionError)?.connectionErrors
        if attempts?.isEmpty == true { return "its name cannot be resolved" }
        let cause = attempts?.first?.error ?? error
        if case .connectTimeout? = cause as? ChannelError { return "it does not answer" }
        return (cause as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(cause)"
    }

    /// The handler of one exchange.
    private final class Asking: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        typealias OutboundOut = HTTPClientRequestPart

        private let head: HTTPRequestHead
        private let request: [UInt8]
        private let answer: EventLoopPromise<[UInt8]>
        private var body: [UInt8] = []

        init(_ head: HTTPRequestHead, _ request: [UInt8], _ answer: EventLoopPromise<[UInt8]>) {
            self.head = head
            self.request = request
            self.answer = answer
        }

        func channelActive(context: ChannelHandlerContext) {
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: request)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                guard head.status == .ok else {
                    return fail(context, "it answers with HTTP status \(head.status.code)")
                }
            case .body(let part):
                guard body.count + part.readableBytes <= OCSPExchange.longestAnswer else {
                    return fail(context, "its answer is longer than \(OCSPExchange.longestAnswer >> 10) KiB")
                }
                body += part.readableBytesView
            case .end:
                answer.succeed(body)
                context.close(promise: nil)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            fail(context, "it cannot be talked to: \(error)")
        }

        func channelInactive(context: ChannelHandlerContext) {
            answer.fail(RuntimeError(.noAnswer, "it has closed the connection without an answer"))
        }

        private func fail(_ context: ChannelHandlerContext, _ why: String) {
            answer.fail(RuntimeError(.noAnswer, why))
            context.close(promise: nil)
        }
    }
}
