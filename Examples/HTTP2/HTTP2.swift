import BatonNIO
import Foundation
import NIOCore
import NIOHTTP2
import NIOPosix
import NIOTLS
import TLSHandshake

/// A server of HTTP/2 and HTTP/1.1, chosen by ALPN, that is replaced without an error for any client. HTTP/1.1 connections
/// move to the successor between requests; HTTP/2 connections say GOAWAY, finish their streams in the old process, and end.
///
///     HTTP2 --cert cert.pem --key key.pem --port 8443 --control /run/user/1000/http2/control
///     curl -k --http2 https://localhost:8443/page
///     HTTP2 --cert cert.pem --key key.pem --port 8443 --control /run/user/1000/http2/control   # the deploy: once more
@main
struct HTTP2 {
    static func main() async throws {
        let options = Options(CommandLine.arguments)
        var configuration = ServerConfiguration(identities: [
            .init(certificateChain: .file(options["cert"]), privateKey: .file(options["key"]))
        ])
        configuration.options.applicationProtocols = ["h2", "http/1.1"]
        let context = try ServerContext(configuration)
        let group = MultiThreadedEventLoopGroup.singleton
        let registry = ConnectionRegistry(group: group)
        let bootstrap = ConnectionBootstrap(group: group, registry: registry) { channel, _ in
            // NIO's own handler: it waits for the handshake, of connections that have moved too.
            let choice = ApplicationProtocolNegotiationHandler { result, channel in
                channel.eventLoop.makeCompletedFuture {
                    if result == .negotiated("h2") {
                        try addHTTP2Handlers(to: channel)
                    } else {
                        try channel.pipeline.syncOperations.addMovableHTTPServerHandlers()
                        try channel.pipeline.syncOperations.addHandler(Pages("HTTP/1.1", RequestCount()))
                    }
                }
            }
            // A client that does not read its answers is not read either: here the connection, below each stream.
            try channel.pipeline.syncOperations.addHandler(BackPressureHandler())
            try channel.pipeline.syncOperations.addHandler(choice)
        }
        let succession = try await Succession.start(
            at: options["control"], bootstrap: bootstrap, registry: registry,
            listeners: [.init("web", host: "127.0.0.1", port: Int(options["port"]) ?? 8_443, .tls(context))])
        if let taken = succession.taken {
            print("process \(getpid()) took over \(taken.connectionCount) connections")
        } else {
            print("process \(getpid()) listens at port \(succession.listeners.first?.address?.port ?? 0)")
        }
        try await succession.run()
        print("process \(getpid()) has handed on \(registry.movesOut) connections, left \(registry.count) and ends")
    }

    private static func addHTTP2Handlers(to channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let count = RequestCount()
        // Streams and header tables are NIO's and stay; the connection ends in order when it is to move.
        try pipeline.addHandler(QuiescingHandler())
        let closing = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: channel.eventLoop,
            configuration: .init(maxIdleTime: nil, maxAge: nil, maxGraceTime: nil, keepalive: nil))
        let bound = NIOLoopBound(count, eventLoop: channel.eventLoop)
        _ = try pipeline.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: .init(), streamConfiguration: .init(),
            streamDelegate: closing.http2StreamDelegate
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(BackPressureHandler())
                try stream.pipeline.syncOperations.addHandler(HTTP2FramePayloadToHTTP1ServerCodec())
                try stream.pipeline.syncOperations.addHandler(Pages("HTTP/2", bound.value))
            }
        }
        try pipeline.addHandler(closing)
    }
}
