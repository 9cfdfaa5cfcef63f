internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Libc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import TLSHandshake
internal import TLSRecords

/// Connects to an upstream: its addresses in the order that `WorkerUpstreams` puts them in, until one accepts, has finished its
/// handshake if it is reached by TLS, and has greeted if its protocol does. See `UpstreamOpening` for the order of what is said.
/// No byte of the client's has been sent when the next is tried.
final class UpstreamConnector {
    /// A connection, and what it counts as until a relay has it.
    struct Connected {
        let opened: UpstreamOpening.Opened
        let lease: UpstreamLease
    }

    private let worker: Worker
    private let name: String
    private let upstream: Upstream
    private let client: UpstreamClient
    private let deadline: Deadline
    private var rest: ArraySlice<UpstreamEndpoint> = []
    private var completion: ((Result<Connected, any Error>) -> Void)?
    /// Connected, or being connected.
    private var channel: (any Channel)?
    private var lease: UpstreamLease?

    init(
        _ worker: Worker, _ name: String, _ upstream: Upstream, for client: UpstreamClient,
        completion: @escaping (Result<Connected, any Error>) -> Void
    ) {
        self.worker = worker
        self.name = name
        self.upstream = upstream
        self.client = client
        deadline = .after(upstream.retryTime)
        self.completion = completion
    }

    func start() {
        let key = client.affinity ?? (upstream.balance == .hash ? client.source.map(Affinity.key(of:)) : nil)
        rest = worker.upstreams.order(of: name, upstream, key: key).prefix(upstream.tries)
        let (hasService, hasName) = upstream.placesByName
        if rest.isEmpty && hasService || hasName && !worker.upstreams.isTold && worker.configuration.resolver != nil {
            return awaitNames()
        }
        tryNext(RuntimeError(.configuration, "the upstream has no address; set its addresses"))
    }

    /// SRV names, and those that another DNS server than the system's is asked for, have been resolved when the front has told
    /// of them.
    private func awaitNames() {
        let connector = NIOLoopBound(self, eventLoop: worker.loop)
        let timer = worker.loop.scheduleTask(in: upstream.connectTime.timeAmount) {
            let connector = connector.value
            connector.worker.upstreams.stopAwaiting(connector)
            connector.finish(.failure(RuntimeError(.processFailed, "its names lead to no address yet")))
        }
        worker.upstreams.awaitOrders(self) {
            timer.cancel()
            if connector.value.completion != nil { connector.value.start() }
        }
    }

    /// Nobody waits for it any more.
    func cancel() {
        completion = nil
        worker.upstreams.stopAwaiting(self)
        channel?.close(promise: nil)
        lease?.release()
    }

    private func tryNext(_ error: any Error) {
        guard completion != nil else { return }
        guard !deadline.hasPassed, let endpoint = rest.popFirst() else { return finish(.failure(error)) }
        let place = UpstreamPlace(upstream: name, address: endpoint.name)
        do {
            let connector = NIOLoopBound(self, eventLoop: worker.loop)
            let limit = upstream.connectTime.timeAmount
            let opening = UpstreamOpening(
                header: client.header(for: upstream), security: try security(endpoint),
                applicationProtocol: client.applicationProtocol, greeting: client.greeting
            ) { connector.value.settle($0, place) }
            let bound = NIOLoopBound(opening, eventLoop: worker.loop)
            var bootstrap = worker.bootstrap { channel in
                // Nothing is read for anybody until the session is there to take it.
                try channel.syncOptions?.setOption(.autoRead, value: false)
                connector.value.channel = channel
                try channel.pipeline.syncOperations.addHandler(bound.value)
            }
            bootstrap.options.handshakeTimeout = limit
            bootstrap.socketOptions = upstream.liveness.socketOptions
            lease = worker.upstreams.begin(place)
            let future = bootstrap.connect(to: endpoint.address, of: upstream, within: limit)
            future.whenComplete { result in
                let connector = connector.value
                switch result {
                case .failure(let error): connector.fail(error, place)
                case .success(let channel):
                    connector.channel = channel
                    if connector.completion == nil { return channel.close(promise: nil) }
                    bound.value.begin()
                }
            }
        } catch {
            tryNext(error)
        }
    }

    private func settle(_ result: Result<UpstreamOpening.Opened, any Error>, _ place: UpstreamPlace) {
        switch result {
        case .failure(let error):
            channel?.close(promise: nil)
            channel = nil
            fail(error, place)
        case .success(let opened):
            guard let lease else { return }
            self.lease = nil
            worker.upstreams.opened(place)
            finish(.success(Connected(opened: opened, lease: lease)))
        }
    }

    private func fail(_ error: any Error, _ place: UpstreamPlace) {
        guard completion != nil else { return }
        lease?.release()
        lease = nil
        if AddressFault.isOfAddress(error) { worker.upstreams.failed(place, upstream, AddressFault.reason(error)) }
        tryNext(error)
    }

    private func finish(_ result: Result<Connected, any Error>) {
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }

    private func security(_ endpoint: UpstreamEndpoint) throws -> UpstreamOpening.Security? {
        guard upstream.usesTLS else { return nil }
        let context = try worker.clientContext(upstream, applicationProtocol: client.applicationProtocol)
        return .init(context: context, serverName: upstream.serverName(at: endpoint))
    }
}

/// Whose fault it is that a connection to an upstream cannot be had.
enum AddressFault {
    /// Why, for an operator.
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            error.connectionErrors.last.map { reason($0.error) } ?? "its name cannot be resolved"
        case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
        case ChannelError.connectTimeout: "it does not answer"
        case ChannelError.eof: "it closed the connection"
        default: "\(error)"
        }
    }

    /// Whether the next client would fare alike. What a client can bring about, or this machine's own want, leaves no address out.
    static func isOfAddress(_ error: any Error) -> Bool {
        switch error {
        case let error as IOError:
            ![EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL, EAFNOSUPPORT].contains(error.errnoCode)
        // RFC 7301 section 3.2: what is offered is what the client has agreed on.
        case let error as HandshakeError: error.alert != .noApplicationProtocol
        case UpstreamOpeningError.speaksNoHTTP2: false
        // It answers, and may have something against this client.
        case UpstreamOpeningError.greeting(_, _?): false
        default: true
        }
    }
}

extension ConnectionBootstrap {
    /// Connects in the clear.
    func connect(
        to address: Address, of upstream: Upstream, within limit: TimeAmount
    ) -> EventLoopFuture<any Channel> {
        switch address {
        case .unix(let path): connect(unixPath: path)
        case .tcp(let host, let port):
            connect(
                host: host.connectName, port: Int(port), .plain, timeout: limit,
                from: upstream.source(for: host).map { "\($0)" })
        }
    }
}

extension Upstream {
    /// Whether an address is the name of a service (SRV), and whether one is that of a host.
    fileprivate var placesByName: (service: Bool, host: Bool) {
        var found = (service: false, host: false)
        for entry in addresses {
            switch entry.place {
            case .service: found.service = true
            case .address(.tcp(.name, _)): found.host = true
            case .address: break
            }
        }
        return found
    }

    /// What TLS asks for at an address.
    func serverName(at endpoint: UpstreamEndpoint) -> String {
        if let tlsName { return tlsName }
        guard let host = endpoint.host else { return "" }
        // The zone is this machine's affair, and no part of a certificate.
        return if case .zoned(let ip, _) = host { "\(ip)" } else { host.connectName }
    }

    /// The local address to connect to `host` from. A name is taken to lead to addresses of the first one's family.
    fileprivate func source(for host: Address.Host) -> IPAddress? {
        switch host {
        case .ip(let address), .zoned(let address, _):
            sourceAddresses.first { $0.octets.count == address.unmapped.octets.count }
        case .any, .name: sourceAddresses.first
        }
    }
}

extension Address.Host {
    /// What a resolver takes.
    var connectName: String {
        switch self {
        case .any: "localhost"
        case .ip(let ip): "\(ip)"
        case .zoned(let ip, let zone): "\(ip)%\(zone)"
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
