internal import HummingbirdCore
internal import Libc
internal import Logging
internal import NIOCore
internal import NIOPosix

/// HTTP/1.1 at the admin address. The listening socket is made by the front, and handed on in an upgrade.
///
/// Used on `loop` only.
final class AdminServer {
    /// So that a forgotten tab or a scanner cannot take the front's descriptors.
    private static let maxConnections = 64

    private let loop: any EventLoop
    private let http: HTTP1Channel
    private let log: Logger
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

    /// Serves a connection, whose descriptor is this server's from now on.
    func serve(_ descriptor: CInt) {
        guard connections.count < Self.maxConnections, !isClosed else {
            Libc.close(descriptor)
            return
        }
        let bound = NIOLoopBound(self, eventLoop: loop)
        ClientBootstrap(group: loop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in bound.value.begin(channel) }
            .withConnectedSocket(descriptor)
            .whenFailure { [log] in log.debug("an admin connection failed", metadata: ["reason": "\($0)"]) }
    }

    private func begin(_ channel: any Channel) -> EventLoopFuture<Void> {
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
        for channel in connections.values {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }
}
