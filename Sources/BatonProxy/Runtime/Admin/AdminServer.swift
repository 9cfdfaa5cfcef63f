internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOPosix

/// HTTP/1.1 at the admin address. The listening socket is made by the front, and handed on in an upgrade.
///
/// Used on `loop` only.
final class AdminServer {
    /// So that a forgotten tab or a scanner cannot take the front's descriptors.
    private static let mostConnections = 64

    private let loop: any EventLoop
    private let http: HTTP1Channel
    private let log: Logger
    private var listener: (any Channel)?
    private var connections: [ObjectIdentifier: any Channel] = [:]
    private var isClosed = false

    init(on loop: any EventLoop, log: Logger, _ responder: @escaping HTTPChannelHandler.Responder) {
        self.loop = loop
        self.log = log
        http = HTTP1Channel(
            responder: responder,
            configuration: .init(
                idleTimeout: .seconds(60),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 8 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 100)))
    }

    /// Accepts at `descriptor`, which listens already and is this server's from now on.
    func listen(_ descriptor: CInt) -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(self, eventLoop: loop)
        return ServerBootstrap(group: loop)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in bound.value.accept(channel) }
            .withBoundSocket(descriptor)
            .map { channel in
                bound.value.listener = channel
                if bound.value.isClosed { channel.close(promise: nil) }
            }
    }

    private func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
        guard connections.count < Self.mostConnections, !isClosed else {
            return loop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        let id = ObjectIdentifier(channel)
        let bound = NIOLoopBound(self, eventLoop: loop)
        connections[id] = channel
        channel.closeFuture.whenComplete { _ in bound.value.connections[id] = nil }
        let (http, log) = (http, log)
        return http.setup(channel: channel, logger: log).map { value in
            Task { await http.handle(value: value, logger: log) }
        }
    }

    /// Accepts no more. Connections end with the answer under way: a client that comes again finds the successor.
    func close() {
        isClosed = true
        listener?.close(promise: nil)
        for channel in connections.values {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }
}
