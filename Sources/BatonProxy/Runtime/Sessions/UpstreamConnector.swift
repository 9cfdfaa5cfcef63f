internal import BatonNIO
internal import NIOCore
internal import TLSHandshake

/// Connects to an upstream: its addresses in their order, until one accepts and, with TLS, has finished its handshake.
final class UpstreamConnector {
    private let worker: Worker
    private let upstream: Upstream
    private var rest: ArraySlice<Address>
    private var completion: ((Result<any Channel, any Error>) -> Void)?
    private var channel: (any Channel)?

    init(_ worker: Worker, _ upstream: Upstream, completion: @escaping (Result<any Channel, any Error>) -> Void) {
        self.worker = worker
        self.upstream = upstream
        rest = upstream.addresses[...]
        self.completion = completion
    }

    func start() { tryNext(RuntimeError(.configuration, "the upstream has no address; set its addresses")) }

    /// Nobody waits for it any more.
    func cancel() {
        completion = nil
        channel?.close(promise: nil)
    }

    private func tryNext(_ error: any Error) {
        guard completion != nil else { return }
        guard let address = rest.popFirst() else { return finish(.failure(error)) }
        do {
            let security = try security(address)
            let connector = NIOLoopBound(self, eventLoop: worker.loop)
            let limit = upstream.connectTime.timeAmount
            var bootstrap = worker.bootstrap { channel in
                // Nothing is read for anybody until the session is there to take it.
                try channel.syncOptions?.setOption(.autoRead, value: false)
                try channel.pipeline.syncOperations.addHandler(
                    Waiting { connector.value.settle($0, channel) }, name: "upstream-waiting")
            }
            bootstrap.options.handshakeTimeout = limit
            let future =
                switch address {
                case .unix(let path): bootstrap.connect(unixPath: path, security)
                case .tcp(let host, let port):
                    bootstrap.connect(
                        host: host.connectName, port: Int(port), security, timeout: limit,
                        from: upstream.source(for: host).map { "\($0)" })
                }
            let isPlain = !upstream.usesTLS
            future.whenComplete { result in
                let connector = connector.value
                switch result {
                case .failure(let error): connector.tryNext(error)
                case .success(let channel):
                    connector.channel = channel
                    if connector.completion == nil { return channel.close(promise: nil) }
                    if isPlain { connector.settle(.success(()), channel) }
                }
            }
        } catch {
            tryNext(error)
        }
    }

    private func settle(_ result: Result<Void, any Error>, _ channel: any Channel) {
        switch result {
        case .failure(let error):
            channel.close(promise: nil)
            tryNext(error)
        case .success:
            let connector = NIOLoopBound(self, eventLoop: worker.loop)
            channel.pipeline.removeHandler(name: "upstream-waiting").whenComplete { _ in
                connector.value.finish(.success(channel))
            }
        }
    }

    private func finish(_ result: Result<any Channel, any Error>) {
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }

    private func security(_ address: Address) throws -> ClientSecurity {
        guard upstream.usesTLS else { return .plain }
        var name = upstream.tlsName ?? ""
        if name.isEmpty, case .tcp(let host, _) = address { name = host.connectName }
        return .tls(try worker.clientContext(upstream), serverName: name)
    }

    /// Tells of the end of the handshake.
    private final class Waiting: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = ByteBuffer

        private var settle: ((Result<Void, any Error>) -> Void)?

        init(_ settle: @escaping (Result<Void, any Error>) -> Void) { self.settle = settle }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .established? = event as? ConnectionEvent { tell(.success(())) }
            context.fireUserInboundEventTriggered(event)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            tell(.failure(error))
        }

        func channelInactive(context: ChannelHandlerContext) {
            tell(.failure(ChannelError.eof))
            context.fireChannelInactive()
        }

        func handlerRemoved(context: ChannelHandlerContext) { settle = nil }

        private func tell(_ result: Result<Void, any Error>) {
            let settle = self.settle
            self.settle = nil
            settle?(result)
        }
    }
}

extension Upstream {
    /// The local address to connect to `host` from. A name is taken to lead to addresses of the first one's family.
    fileprivate func source(for host: Address.Host) -> IPAddress? {
        guard case .ip(let address) = host else { return sourceAddresses.first }
        return sourceAddresses.first { $0.octets.count == address.unmapped.octets.count }
    }
}

extension Address.Host {
    /// What a resolver takes.
    var connectName: String {
        switch self {
        case .any: "localhost"
        case .ip(let ip): "\(ip)"
        case .name(let name): name
        }
    }
}

extension Duration {
    var timeAmount: TimeAmount {
        let (seconds, attoseconds) = components
        return .nanoseconds(
            seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue + attoseconds / 1_000_000_000)
    }
}
