internal import BatonConfiguration
internal import BatonNIO
internal import NIOCore
internal import TLSHandshake
internal import TLSRecords

/// All that stands before a session on a connection to an upstream, in the order of the wire: the PROXY protocol header,
/// in the clear also where TLS follows; the TLS handshake; the upstream's greeting, where the client has had one. Nothing
/// of the client's is sent before all of it is done.
final class UpstreamOpening: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    struct Security {
        let context: ClientContext
        let serverName: String
    }

    /// A connection that is ready for the client's bytes.
    struct Opened {
        let channel: any Channel
        /// What the upstream has said behind its greeting.
        let received: [UInt8]
        /// Whether it has ended its side already.
        let isInputClosed: Bool
    }

    private enum Step { case connecting, handshake, greeting, done }

    private let header: [UInt8]?
    private let security: Security?
    private let applicationProtocol: String?
    private let greeting: UpstreamGreeting?
    private var settle: ((Result<Opened, any Error>) -> Void)?
    private var step = Step.connecting
    private var context: ChannelHandlerContext?
    private var received: [UInt8] = []
    private var isInputClosed = false
    private var timer: Scheduled<Void>?

    /// - Parameters:
    ///   - header: the PROXY protocol header; `nil`: none.
    ///   - security: how TLS begins; `nil`: not at all.
    ///   - applicationProtocol: what is offered by ALPN.
    ///   - greeting: what is awaited behind that; `nil`: nothing.
    ///   - settle: hears once what has become of it.
    init(
        header: [UInt8]?, security: Security?, applicationProtocol: String? = nil, greeting: UpstreamGreeting? = nil,
        settle: @escaping (Result<Opened, any Error>) -> Void
    ) {
        self.header = header
        self.security = security
        self.applicationProtocol = applicationProtocol
        self.greeting = greeting
        self.settle = settle
    }

    /// The socket is connected.
    func begin() {
        guard let context, step == .connecting else { return fail(ChannelError.eof) }
        if let header { context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: header)), promise: nil) }
        guard let security else { return greet() }
        step = .handshake
        do {
            let handshake = try Handshake(client: security.context, serverName: security.serverName)
            try context.pipeline.syncOperations.connectionHandler().startTLS(handshake)
        } catch {
            fail(error)
        }
    }

    private func established(_ agreed: String?) {
        // Without ALPN a server speaks HTTP/1.1 (RFC 9113 section 3.3); of other protocols it has only its own.
        if agreed == nil, applicationProtocol == "h2" { return fail(UpstreamOpeningError.speaksNoHTTP2) }
        greet()
    }

    private func greet() {
        guard greeting != nil, let context else { return finish() }
        step = .greeting
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: UpstreamGreeting.timeLimit.timeAmount) {
            bound.value.fail(UpstreamOpeningError.greeting(.late, answer: nil))
        }
        context.read()
    }

    private func readGreeting() {
        guard step == .greeting, let greeting else { return }
        switch greeting.read(received) {
        case .incomplete:
            if isInputClosed { fail(UpstreamOpeningError.greeting(.malformed, answer: nil)) } else { context?.read() }
        case .refused(let answer, let reason): fail(UpstreamOpeningError.greeting(reason, answer: answer))
        case .ready(let length):
            received.removeFirst(length)
            // RFC 5321 section 4.3.1: a server says nothing more until it is asked. It would be taken for the answer.
            if !received.isEmpty, !greeting.mayGoOn {
                return fail(UpstreamOpeningError.greeting(.malformed, answer: nil))
            }
            finish()
        }
    }

    private func finish() {
        guard let context, step != .done else { return }
        step = .done
        timer?.cancel()
        let opened = Opened(channel: context.channel, received: received, isInputClosed: isInputClosed)
        received = []
        // The session's handler is added behind this one before it leaves: no event falls in between.
        tell(.success(opened))
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func fail(_ error: any Error) {
        guard step != .done else { return }
        step = .done
        timer?.cancel()
        tell(.failure(error))
    }

    private func tell(_ result: Result<Opened, any Error>) {
        let settle = self.settle
        self.settle = nil
        settle?(result)
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        timer?.cancel()
        settle = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard step != .done else { return context.fireChannelRead(data) }
        received += unwrapInboundIn(data).readableBytesView
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard step != .done else { return context.fireChannelReadComplete() }
        readGreeting()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .established(let info)? = event as? ConnectionEvent, step == .handshake {
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            let agreed = info.applicationProtocol
            // The handler beneath is in the midst of its work.
            context.eventLoop.execute { if bound.value.step == .handshake { bound.value.established(agreed) } }
        }
        if case .some(.inputClosed) = event as? ChannelEvent, step != .done {
            isInputClosed = true
            return readGreeting()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if step == .done { context.fireErrorCaught(error) } else { fail(error) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.eof)
        context.fireChannelInactive()
    }
}

/// Why an upstream that accepts cannot be used for a client.
enum UpstreamOpeningError: Error, CustomStringConvertible {
    /// `answer` is what the client is told, if the upstream has said it.
    case greeting(UpstreamGreeting.Reason, answer: [UInt8]?)
    case speaksNoHTTP2

    var description: String {
        switch self {
        case .greeting(let reason, _): reason.rawValue
        case .speaksNoHTTP2:
            "the client has agreed on h2 and the upstream does not; let it offer h2, or take h2 out of the listener's alpn"
        }
    }
}
