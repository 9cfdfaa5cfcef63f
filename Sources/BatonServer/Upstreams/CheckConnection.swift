internal import BatonConfiguration
internal import BatonNIO
internal import NIOCore
internal import TLSHandshake

/// One check of an upstream's address: it connects, completes a handshake, and asks, as far as the check goes. Used on its event
/// loop only.
final class CheckConnection {
    private let endpoint: UpstreamEndpoint
    private let upstream: Upstream
    private let loop: any EventLoop
    private var done: ((String?) -> Void)?
    private var channel: (any Channel)?
    private var timer: Scheduled<Void>?

    /// - Parameter done: hears once why the address cannot be used; `nil`: it can.
    init(_ endpoint: UpstreamEndpoint, of upstream: Upstream, on loop: any EventLoop, done: @escaping (String?) -> Void)
    {
        self.endpoint = endpoint
        self.upstream = upstream
        self.loop = loop
        self.done = done
    }

    /// How the TLS of checks begins; `nil`: they have none.
    ///
    /// - Throws: `TLSConfigurationError` for files that cannot be used.
    static func context(for upstream: Upstream) throws -> ClientContext? {
        switch upstream.check.kind {
        case .none, .tcp: nil
        case .tls where !upstream.usesTLS: try ClientContext(ClientConfiguration(verification: .none))
        case .tls: try ClientContext(upstream.clientConfiguration())
        case .http where upstream.usesTLS: try ClientContext(upstream.clientConfiguration(offering: ["http/1.1"]))
        case .http: nil
        }
    }

    /// - Parameter context: what `context(for:)` has made.
    func start(_ context: ClientContext?) {
        let check = NIOLoopBound(self, eventLoop: loop)
        let limit = upstream.check.timeLimit
        timer = loop.scheduleTask(in: limit.timeAmount) {
            check.value.finish("it took longer than check-time")
        }
        // What only connects says nothing, not even who it is.
        let opening = upstream.check.kind == .tcp ? nil : makeOpening(context, check)
        let bound = NIOLoopBound(opening, eventLoop: loop)
        var bootstrap = ConnectionBootstrap(group: loop) { channel, _ in
            try channel.syncOptions?.setOption(.autoRead, value: false)
            check.value.channel = channel
            if let opening = bound.value { try channel.pipeline.syncOperations.addHandler(opening) }
        }
        bootstrap.options.handshakeTimeout = limit.timeAmount
        bootstrap.connect(to: endpoint.address, of: upstream, within: limit.timeAmount).whenComplete { result in
            switch result {
            case .failure(let error): check.value.finish(AddressFault.reason(error))
            case .success(let channel):
                check.value.channel = channel
                guard check.value.done != nil else { return channel.close(promise: nil) }
                if let opening = bound.value { opening.begin() } else { check.value.finish(nil) }
            }
        }
    }

    private func makeOpening(_ context: ClientContext?, _ check: NIOLoopBound<CheckConnection>) -> UpstreamOpening {
        UpstreamOpening(
            header: upstream.proxyProtocol.map { ProxyProtocolHeader(endpoints: nil).encoded($0) },
            security: context.map { .init(context: $0, serverName: upstream.serverName(at: endpoint)) }
        ) { result in
            switch result {
            case .failure(let error): check.value.finish(AddressFault.reason(error))
            case .success(let opened): check.value.opened(opened.channel)
            }
        }
    }

    private func opened(_ channel: any Channel) {
        guard done != nil else { return channel.close(promise: nil) }
        guard upstream.check.kind == .http else { return finish(nil) }
        do {
            let check = NIOLoopBound(self, eventLoop: loop)
            try channel.pipeline.syncOperations.addHandler(AnswerReader { check.value.finish($0) })
            channel.writeAndFlush(ByteBuffer(string: request), promise: nil)
            channel.read()
        } catch {
            finish(AddressFault.reason(error))
        }
    }

    private var request: String {
        let host =
            upstream.check.host
            ?? {
                guard case .tcp(_, let port) = endpoint.address, let host = endpoint.host else { return "localhost" }
                return switch host {
                case .zoned(let ip, _): "[\(ip)]:\(port)"
                default: "\(Address.tcp(host, port: port))"
                }
            }()
        return "GET \(upstream.check.path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: baton\r\nConnection: close\r\n\r\n"
    }

    /// Nobody waits for it any more.
    func cancel() {
        done = nil
        finish(nil)
    }

    private func finish(_ reason: String?) {
        timer?.cancel()
        channel?.close(promise: nil)
        channel = nil
        let done = self.done
        self.done = nil
        done?(reason)
    }

    /// Reads a status line (RFC 9112 section 4).
    private final class AnswerReader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private static let longestLine = 1_024
        private var received: [UInt8] = []
        private var answered: ((String?) -> Void)?

        init(_ answered: @escaping (String?) -> Void) { self.answered = answered }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += unwrapInboundIn(data).readableBytesView.prefix(Self.longestLine)
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            guard let status = HTTPStatus.read(received, limit: Self.longestLine) else { return context.read() }
            answer(
                200...399 ~= status ? nil : status == 0 ? "its answer is no HTTP/1" : "it answers with status \(status)"
            )
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .some(.inputClosed) = event as? ChannelEvent { answer("it ended without an answer") }
            context.fireUserInboundEventTriggered(event)
        }

        func channelInactive(context: ChannelHandlerContext) { answer("it ended without an answer") }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { answer(AddressFault.reason(error)) }

        private func answer(_ reason: String?) {
            let answered = self.answered
            self.answered = nil
            answered?(reason)
        }
    }
}
