import BatonNIO
import NIOCore
import NIOPosix
import Synchronization
import TLSHandshake
import TLSRecords
import Testing

/// One connection at a time: what the handler tells, and what it bounds.
@Suite(.timeLimit(.minutes(2))) struct HandlerTests {
    /// A listener whose connections tell what happens to them.
    private struct Observed {
        let listener: Listener
        var log: AsyncStream<String>.AsyncIterator
        let channel: Expectation<any Channel>
    }

    private func observe(
        _ security: ServerSecurity, _ change: (inout ConnectionOptions) -> Void = { _ in }
    ) async throws -> Observed {
        let (stream, log) = AsyncStream.makeStream(of: String.self)
        let arrived = Expectation<any Channel>()
        var bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Witness(log, arrived))
        }
        change(&bootstrap.options)
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, security).get()
        return Observed(listener: listener, log: stream.makeAsyncIterator(), channel: arrived)
    }

    private func tls() throws -> ServerSecurity { .tls(try Credentials.server()) }

    @Test(
        "the handshake's outcome, the data and the peer's close_notify are told in this order",
        arguments: ["1.3", "1.2"])
    func halfClose(tls: String) async throws {
        var server = try await observe(self.tls()) { $0.allowsHalfClosure = true }
        let peer = try PythonPeer.client(port: try server.listener.port(), tls: tls, "halfclose")
        try await expect("established", in: &server.log)
        try await expect("read question", in: &server.log)
        let channel = try await server.channel.value()
        try await channel.writeAndFlush(ByteBuffer(string: "answer"))
        #expect(try await peer.line("answer ") == "answer")
        // Python's unwrap has sent its close_notify and waits for ours.
        try await expect("input closed", in: &server.log)
        try await channel.close(mode: .output)
        try await server.listener.channel.close()
    }

    @Test("a plain peer that ends its side is still answered")
    func plainHalfClose() async throws {
        var server = try await observe(.plain) { $0.allowsHalfClosure = true }
        let peer = try PythonPeer.client(port: try server.listener.port(), tls: nil, "halfclose")
        try await expect("read question", in: &server.log)
        try await expect("input closed", in: &server.log)
        let channel = try await server.channel.value()
        try await channel.writeAndFlush(ByteBuffer(string: "answer"))
        #expect(try await peer.line("answer ") == "answer")
        try await channel.close()
        try await server.listener.channel.close()
    }

    @Test("an end without close_notify is an error behind the data")
    func truncated() async throws {
        var server = try await observe(tls())
        let peer = try PythonPeer.client(port: try server.listener.port(), tls: "1.3", "truncate")
        try await expect("read question", in: &server.log)
        try await expect("error truncated", in: &server.log)
        peer.killNow()
        try await expect("inactive", in: &server.log)
        try await server.listener.channel.close()
    }

    @Test("what comes before the application reads waits for it, and the end waits behind it")
    func waitsForReads() async throws {
        let (stream, log) = AsyncStream.makeStream(of: String.self)
        var words = stream.makeAsyncIterator()
        let arrived = Expectation<any Channel>()
        let ended = Expectation<Void>()
        let bootstrap = {
            var bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
                try channel.syncOptions?.setOption(.autoRead, value: false)
                try channel.pipeline.syncOperations.addHandler(EndWitness(ended), position: .first)
                try channel.pipeline.syncOperations.addHandler(Witness(log, arrived))
            }
            bootstrap.options.allowsHalfClosure = true
            return bootstrap
        }()
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, .plain).get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: nil, "halfclose")
        let channel = try await arrived.value()
        try await channel.writeAndFlush(ByteBuffer(string: "answer"))
        #expect(try await peer.line("answer ") == "answer")
        try await ended.value("the peer's end")
        try await channel.eventLoop.submit {
            log.yield("asked")
            channel.read()
        }.get()
        #expect(await words.next() == "asked")
        #expect(await words.next() == "read question")
        #expect(await words.next() == "input closed")
        try await channel.close()
        try await listener.channel.close()
    }

    @Test(
        "a connection that is broken off delivers what was written before, and then a reset", arguments: ["1.3", nil])
    func brokenOff(tls: String?) async throws {
        var server = try await observe(tls == nil ? .plain : self.tls())
        let peer = try PythonPeer.client(port: try server.listener.port(), tls: tls, "talk")
        if tls != nil { try await expect("established", in: &server.log) }
        let channel = try await server.channel.value()
        try await channel.eventLoop.submit {
            channel.write(ByteBuffer(string: "last words"), promise: nil)
            let handler = try channel.pipeline.syncOperations.connectionHandler()
            handler.reset()
            #expect(handler.isClosing)
        }.get()
        #expect(try await peer.line("got ") == "last words")
        // Python tells every end without close_notify alike.
        let ending = try await peer.line("error ")
        #expect(tls != nil || ending.contains("reset"), "\(ending)")
        try await expect("inactive", in: &server.log)
        try await server.listener.channel.close()
    }

    @Test("a peer that does not begin its handshake is cut off at the time limit")
    func handshakeTimeout() async throws {
        var server = try await observe(tls()) {
            $0.handshakeTimeout = .milliseconds(50)
            $0.closeTimeout = .milliseconds(50)
        }
        let peer = try PythonPeer.client(port: try server.listener.port(), tls: nil, "talk")
        try await expect("error handshakeTimedOut", in: &server.log)
        try await expect("inactive", in: &server.log)
        _ = try await peer.line("end")
        try await server.listener.channel.close()
    }

    @Test("a peer that speaks no TLS is refused with an error")
    func notTLS() async throws {
        var server = try await observe(tls())
        let peer = try PythonPeer.client(port: try server.listener.port(), tls: nil, "talk")
        try peer.send("GET / HTTP/1.1\n")
        #expect(try await peer.line("got ").contains("400"))
        try await expect("error plain HTTP", in: &server.log)
        peer.killNow()
        try await expect("inactive", in: &server.log)
        try await server.listener.channel.close()
    }

    @Test("closing ends both sides in order, and the peer has everything written before")
    func closing() async throws {
        var server = try await observe(tls())
        let peer = try PythonPeer.client(port: try server.listener.port(), tls: "1.3", "talk")
        try await expect("established", in: &server.log)
        let channel = try await server.channel.value()
        channel.writeAndFlush(ByteBuffer(string: "last words"), promise: nil)
        let closed = channel.eventLoop.makePromise(of: Void.self)
        channel.close(promise: closed)
        #expect(try await peer.line("got ") == "last words")
        _ = try await peer.line("end")
        peer.killNow()
        try await closed.futureResult.get()
        try await server.listener.channel.close()
    }

    @Test("a writer that honours writability holds a bounded number of bytes for a peer that does not read")
    func backpressure() async throws {
        let stopped = Expectation<Int>()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Flood(stopped))
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, tls()).get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: "1.3", "read", "1000")
        let pending = try await stopped.value("the end of writability")
        #expect(pending > 0 && pending <= ConnectionOptions().writeWindow + (64 << 10))
        peer.killNow()
        try await listener.channel.close()
    }

    @Test("a connection in its handshake is not moved, and one that has moved is moved only once")
    func refusals() async throws {
        let server = try await observe(tls())
        let peer = try PythonPeer.client(port: try server.listener.port(), tls: nil, "talk")
        let channel = try await server.channel.value()
        let early = await #expect(throws: ConnectionError.self) { try await channel.detachConnection().get() }
        #expect(early?.code == .handshaking)
        peer.killNow()
        let plain = try await observe(.plain)
        let other = try PythonPeer.client(port: try plain.listener.port(), tls: nil, "talk")
        let second = try await plain.channel.value()
        let promise = second.eventLoop.makePromise(of: Void.self)
        let detached = try await second.eventLoop.submit { () throws -> DetachedConnection in
            second.write(ByteBuffer(string: "unflushed"), promise: promise)
            let handler = try second.pipeline.syncOperations.connectionHandler()
            let detached = DetachedConnection(try handler.detach())
            #expect(throws: (any Error).self) { _ = try handler.detach() }
            return detached
        }.get()
        let failure = await #expect(throws: ConnectionError.self) { try await promise.futureResult.get() }
        #expect(failure?.code == .detached)
        let bootstrap = ConnectionBootstrap(group: loops) { _, _ in }
        let third = try await bootstrap.attach(try require(detached.take()), on: loops.next()).get()
        #expect(try await other.line("got ") == "unflushed")
        other.killNow()
        // The peer's end closes it.
        try await third.closeFuture.get()
        try await server.listener.channel.close()
        try await plain.listener.channel.close()
    }

    @Test("a key update is told, and its answer does not disturb the stream")
    func keyUpdate() async throws {
        var server = try await observe(tls())
        let (stream, log) = AsyncStream.makeStream(of: String.self)
        var clientLog = stream.makeAsyncIterator()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Witness(log))
        }
        let client = try await bootstrap.connect(
            host: "127.0.0.1", port: try server.listener.port(),
            .tls(Credentials.client(), serverName: "localhost")
        ).get()
        try await expect("established", in: &clientLog)
        try await client.eventLoop.submit {
            try client.pipeline.syncOperations.connectionHandler().updateKeys(requestingPeer: true)
        }.get()
        try await expect("key update true", in: &server.log)
        try await expect("key update false", in: &clientLog)
        try await client.writeAndFlush(ByteBuffer(string: "under new keys"))
        try await expect("read under new keys", in: &server.log)
        try await client.close()
        try await server.listener.channel.close()
    }
}

/// Writes as long as the channel is writable, and tells then what is held.
final class Flood: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let stopped: Expectation<Int>

    init(_ stopped: Expectation<Int>) { self.stopped = stopped }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ConnectionEvent.established = event else { return }
        let piece = ByteBuffer(repeating: 7, count: 16_000)
        var count = 0
        while context.channel.isWritable, count < 10_000 {
            context.writeAndFlush(wrapOutboundOut(piece), promise: nil)
            count += 1
        }
        guard let handler = try? context.pipeline.syncOperations.connectionHandler() else { return }
        stopped.fulfil(count < 10_000 ? handler.pendingByteCount : .max)
    }
}

/// Stands before the connection's handler and tells when the channel has read the peer's end.
final class EndWitness: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let ended: Expectation<Void>

    init(_ ended: Expectation<Void>) { self.ended = ended }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        if event as? ChannelEvent == .inputClosed { ended.fulfil(()) }
    }
}
