internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Logging
internal import NIOCore
internal import TLSHandshake

/// Connects to an upstream: its addresses in their order, or in that of the client's affinity, until one accepts, has finished its handshake if it is reached
/// by TLS, and has greeted if its protocol does. See `UpstreamOpening` for the order of what is said.
final class UpstreamConnector {
    private let worker: Worker
    private let upstream: Upstream
    private let client: UpstreamClient
    private var rest: ArraySlice<Address>
    private var completion: ((Result<UpstreamOpening.Opened, any Error>) -> Void)?
    /// Connected, or being connected.
    private var channel: (any Channel)?

    init(
        _ worker: Worker, _ upstream: Upstream, for client: UpstreamClient,
        completion: @escaping (Result<UpstreamOpening.Opened, any Error>) -> Void
    ) {
        self.worker = worker
        self.upstream = upstream
        self.client = client
        rest = (client.affinity.map { Affinity.order(upstream.addresses, for: $0) } ?? upstream.addresses)[...]
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
            let connector = NIOLoopBound(self, eventLoop: worker.loop)
            let limit = upstream.connectTime.timeAmount
            let opening = UpstreamOpening(
                header: client.header(for: upstream), security: try security(address), client: client
            ) { connector.value.settle($0) }
            let bound = NIOLoopBound(opening, eventLoop: worker.loop)
            var bootstrap = worker.bootstrap { channel in
                // Nothing is read for anybody until the session is there to take it.
                try channel.syncOptions?.setOption(.autoRead, value: false)
                connector.value.channel = channel
                try channel.pipeline.syncOperations.addHandler(bound.value)
            }
            bootstrap.options.handshakeTimeout = limit
            bootstrap.socketOptions = upstream.liveness.socketOptions
            let future =
                switch address {
                case .unix(let path): bootstrap.connect(unixPath: path)
                case .tcp(let host, let port):
                    bootstrap.connect(
                        host: host.connectName, port: Int(port), .plain, timeout: limit,
                        from: upstream.source(for: host).map { "\($0)" })
                }
            future.whenComplete { result in
                let connector = connector.value
                switch result {
                case .failure(let error): connector.tryNext(error)
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

    private func settle(_ result: Result<UpstreamOpening.Opened, any Error>) {
        switch result {
        case .failure(let error):
            channel?.close(promise: nil)
            channel = nil
            tryNext(error)
        case .success: finish(result)
        }
    }

    private func finish(_ result: Result<UpstreamOpening.Opened, any Error>) {
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }

    private func security(_ address: Address) throws -> UpstreamOpening.Security? {
        guard upstream.usesTLS else { return nil }
        var name = upstream.tlsName ?? ""
        if name.isEmpty, case .tcp(let host, _) = address {
            // The zone is this machine's affair, and no part of a certificate.
            name = if case .zoned(let ip, _) = host { "\(ip)" } else { host.connectName }
        }
        let context = try worker.clientContext(upstream, applicationProtocol: client.applicationProtocol)
        return .init(context: context, serverName: name)
    }
}

extension Upstream {
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
