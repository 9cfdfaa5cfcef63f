internal import BatonConfiguration
internal import BatonNIO
internal import Glibc
internal import Handoff
internal import NIOCore
internal import TLSRecords

/// The built-in page: says which process and worker serves the connection, and how often this very connection has moved.
/// A small HTTP/1.1 server with keep-alive and pipelining; requests with a body are answered and then closed.
final class HelloSession: Session {
    fileprivate var pending: [UInt8] = []

    override func install(in channel: any Channel, _ state: SessionState) throws {
        try super.install(in: channel, state)
        pending = state.received
        try channel.pipeline.syncOperations.addHandler(Handler(self))
    }

    override func state() -> SessionState { SessionState(received: pending) }

    override var isIdle: Bool { pending.isEmpty }

    /// Takes the first request, if it is there as a whole.
    ///
    /// - Returns: the answer, and whether the connection ends with it; nil: more has to come.
    fileprivate func answerNext() -> (bytes: [UInt8], isLast: Bool)? {
        switch RequestHead.read(pending.span.bytes, limit: worker.configuration.limits.headerSize) {
        case .incomplete: return nil
        case .head(let head):
            guard let length = head.length else { return nil }
            // A line may end in a bare LF.
            let fields = String(decoding: pending[..<length], as: UTF8.self).lowercased().replacing("\r\n", with: "\n")
            pending.removeFirst(length)
            let hasBody =
                fields.contains("\ntransfer-encoding:")
                || fields.contains("\ncontent-length:") && !fields.contains("\ncontent-length: 0\n")
            let isLast =
                hasBody || fields.contains("\nconnection: close\n") || worker.isFinishing
                || head.line.minorVersion == 0 && !fields.contains("\nconnection: keep-alive\n")
            return (page(for: head.line, isLast: isLast), isLast)
        case .notHTTP:
            pending = []
            return (HTTPRefusal.response("400 Bad Request", "This page speaks HTTP/1.1."), true)
        case .tooLong:
            pending = []
            return (HTTPRefusal.response("431 Request Header Fields Too Large", "The request is too long."), true)
        }
    }

    /// Whether the client has taken so much that it may be answered more.
    fileprivate var hasRoom: Bool { (try? clientHandler().isWritable) == true }

    private func page(for line: RequestLine, isLast: Bool) -> [UInt8] {
        guard line.method == "GET" || line.method == "HEAD" else {
            return HTTPRefusal.response("405 Method Not Allowed", "This page is only read.", isLast: isLast)
        }
        let handler = try? clientHandler()
        let moves = handler?.metadata.moves ?? 0
        let secured = handler?.info.map { "TLS \($0.version), \($0.suite)" } ?? "no TLS"
        let body = """
            <!doctype html><html lang="en"><meta charset="utf-8"><title>Baton</title>
            <style>body{font:16px/1.6 system-ui,sans-serif;max-width:34em;margin:4em auto;padding:0 1em}
            dt{color:#666}dd{margin:0 0 .6em;font-size:1.4em}</style>
            <h1>This connection is alive.</h1>
            <dl><dt>process</dt><dd id="process">\(getpid())</dd><dt>worker</dt><dd id="worker">\(worker.number)</dd>
            <dt>moves of this connection</dt><dd id="moves">\(moves)</dd><dt>security</dt><dd>\(secured)</dd></dl>
            <p>Reload: the connection stays open, whoever serves it.</p></html>

            """
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: \(body.utf8.count)\r\n"
            + "Cache-Control: no-store\r\nBaton-Process: \(getpid())\r\nBaton-Worker: \(worker.number)\r\n"
            + "Baton-Moves: \(moves)\r\n" + (isLast ? "Connection: close\r\n" : "Connection: keep-alive\r\n") + "\r\n"
        return Array((line.method == "HEAD" ? head : head + body).utf8)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let session: HelloSession
        private var isLast = false
        private var isInputClosed = false
        private var isAnswering = false

        init(_ session: HelloSession) { self.session = session }

        func channelActive(context: ChannelHandlerContext) {
            if !session.pending.isEmpty { answer(context) }
            context.fireChannelActive()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard !isLast else { return }
            session.pending += unwrapInboundIn(data).readableBytesView
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            answer(context)
            session.didRead()
        }

        /// Answers what has come, as long as the client takes the answers, and reads on when all of it is answered.
        private func answer(_ context: ChannelHandlerContext) {
            guard !isLast, !isAnswering else { return }
            isAnswering = true
            var waitsForRequest = false
            while !isLast, !waitsForRequest, session.hasRoom {
                if let next = session.answerNext() {
                    isLast = next.isLast
                    context.write(wrapOutboundOut(ByteBuffer(bytes: next.bytes)), promise: nil)
                    if !session.hasRoom { context.flush() }
                } else {
                    waitsForRequest = true
                }
            }
            context.flush()
            isAnswering = false
            if isLast || waitsForRequest && isInputClosed {
                isLast = true
                context.close(promise: nil)
            } else if waitsForRequest {
                context.read()
            }
        }

        func channelWritabilityChanged(context: ChannelHandlerContext) {
            answer(context)
            context.fireChannelWritabilityChanged()
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event as? ConnectionEvent == .detached {
                isLast = true
                session.end(isMoved: true)
            } else if case .some(.inputClosed) = event as? ChannelEvent {
                // What was asked before the end is answered.
                isInputClosed = true
                answer(context)
            }
            context.fireUserInboundEventTriggered(event)
        }

        func channelInactive(context: ChannelHandlerContext) {
            session.end(isMoved: false)
            context.fireChannelInactive()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            session.worker.note(error, of: session)
            context.close(promise: nil)
        }
    }
}
