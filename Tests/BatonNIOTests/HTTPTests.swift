import BatonNIO
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import Synchronization
import Testing

/// An HTTP server whose connections move between requests.
@Suite(.timeLimit(.minutes(2))) struct HTTPTests {
    private static let requests = [
        ("GET /first HTTP/1.1\r\nHost: here\r\n\r\n", ""),
        ("POST /second HTTP/1.1\r\nContent-Length: 7\r\nHost: here\r\n\r\n", "hel\nlo\n"),
        (
            "POST /third HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n",
            "4\r\na\nb\n\r\n0\r\n\r\n"
        ),
        ("GET /fourth HTTP/1.1\r\nHost: here\r\nX: \r\n\r\n", ""),
    ]

    private static let text = requests.map { $0.0 + $0.1 }.joined()

    private static let lines = ["GET /first 0", "POST /second 7", "POST /third 4", "GET /fourth 0"]

    @Test(
        "half a head survives a move at every byte, and a request in flight keeps its connection here",
        arguments: ["1.3", nil])
    func everyByte(tls: String?) async throws {
        var watched = Watched(on: loops) { channel, _, message in
            try channel.pipeline.syncOperations.addMovableHTTPServerHandlers()
            try channel.pipeline.syncOperations.addHandler(Answerer(message))
        }
        let listener = try await watched.bootstrap.listen(host: "127.0.0.1", port: 0, MoveTests.security(tls)).get()
        var ends: [Int] = []
        for (head, body) in Self.requests { ends.append((ends.last ?? 0) + head.utf8.count + body.utf8.count) }
        let peer = try PythonPeer.client(port: try listener.port(), tls: tls, "each", hex(Array(Self.text.utf8)), "4")
        var inChannel = 0
        var moves = 0
        for sent in 1...Self.text.utf8.count {
            try peer.send("\n")
            inChannel += 1
            await watched.receive(inChannel)
            do {
                let detached = try await watched.channels.channel().detachConnection().get()
                inChannel = sent - (ends.last { $0 <= sent } ?? 0)
                moves += 1
                _ = try await watched.bootstrap.attach(require(detached.take()), on: loops.next()).get()
            } catch let error as ConnectionError where error.code == .busy {}
        }
        for line in Self.lines { #expect(await watched.messages.next() == line) }
        #expect(try await peer.line("answers ") == "4")
        // At each byte of each head but its last, and at each end.
        #expect(moves == Self.requests.reduce(0) { $0 + $1.0.utf8.count - 1 } + Self.requests.count)
        peer.killNow()
        try await watched.channels.channel().closeFuture.get()
        try await listener.close().get()
    }

    @Test("requests that come together are all answered here, and half a head behind them goes with the connection")
    func pipelined() async throws {
        var watched = Watched(on: loops) { channel, _, message in
            try channel.pipeline.syncOperations.addMovableHTTPServerHandlers()
            try channel.pipeline.syncOperations.addHandler(Answerer(message))
        }
        let listener = try await watched.bootstrap.listen(host: "127.0.0.1", port: 0, .plain).get()
        let client = try await ClientBootstrap(group: loops).connect(host: "127.0.0.1", port: try listener.port()).get()
        let last = Array(Self.requests[3].0.utf8)
        let sent = Array(Self.text.utf8) + last.prefix(20)
        try await client.writeAndFlush(ByteBuffer(bytes: sent))
        await watched.receive(sent.count)
        let detached = try await watched.channels.channel().detachConnection(patience: .seconds(60)).get()
        let parcel = try require(detached.take())
        #expect(parcel.received == Array(last.prefix(20)))
        _ = try await watched.bootstrap.attach(parcel, on: loops.next()).get()
        try await client.writeAndFlush(ByteBuffer(bytes: last.dropFirst(20)))
        for line in Self.lines + [Self.lines[3]] { #expect(await watched.messages.next() == line) }
        try await client.close()
        try await listener.close().get()
    }

    @Test("a WebSocket survives a move at every byte of its upgrade and of its frames", arguments: ["1.3", nil])
    func webSocket(tls: String?) async throws {
        var watched = Watched(on: loops) { channel, arrival, message in
            let pipeline = channel.pipeline.syncOperations
            if try arrival.state(String.self) == "WebSocket" {
                try pipeline.connectionHandler().provideState { "WebSocket" }
                try pipeline.addHandler(MovableDecoderHandler(WebSocketFrameDecoder()))
                return try pipeline.addHandler(FrameReader(message))
            }
            let upgrader = NIOWebSocketServerUpgrader(
                shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
                upgradePipelineHandler: { channel, _ in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.connectionHandler().provideState { "WebSocket" }
                        try pipeline.addHandler(FrameReader(message))
                        return try pipeline.makeDecoderMovable(WebSocketFrameDecoder())
                    }.flatMap { $0 }
                })
            try pipeline.addMovableHTTPServerHandlers(upgrade: (upgraders: [upgrader], completionHandler: { _ in }))
        }
        let listener = try await watched.bootstrap.listen(host: "127.0.0.1", port: 0, MoveTests.security(tls)).get()
        let request = """
            GET /socket HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n
            """
        let frames = [Frame(.text, "hello"), Frame(.ping, ""), Frame(.binary, "good bye")]
        let bytes = Array(request.utf8) + frames.flatMap(\.bytes)
        var ends = [request.utf8.count]
        for frame in frames { ends.append((ends.last ?? 0) + frame.bytes.count) }
        let peer = try PythonPeer.client(port: try listener.port(), tls: tls, "each", hex(bytes))
        var inChannel = 0
        var busyCount = 0
        for sent in 1...bytes.count {
            try peer.send("\n")
            inChannel += 1
            await watched.receive(inChannel)
            do {
                let detached = try await watched.channels.channel().detachConnection().get()
                inChannel = sent - (ends.last { $0 <= sent } ?? 0)
                _ = try await watched.bootstrap.attach(require(detached.take()), on: loops.next()).get()
            } catch let error as ConnectionError where error.code == .busy {
                busyCount += 1
            }
        }
        // At most while it is upgraded.
        #expect(busyCount <= 1)
        for frame in frames { #expect(await watched.messages.next() == "\(frame.opcode) \(frame.text)") }
        peer.killNow()
        try await watched.channels.channel().closeFuture.get()
        try await listener.close().get()
    }

    @Test("curl's kept connection moves between its requests")
    func curl() async throws {
        let moves = Atomic<Int>(0)
        let (_, answer) = AsyncStream.makeStream(of: String.self)
        let mover = Mover()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addMovableHTTPServerHandlers()
            try channel.pipeline.syncOperations.addHandler(
                Answerer(answer) { context in
                    moves.wrappingAdd(1, ordering: .relaxed)
                    mover.move(context)
                })
        }
        mover.use(bootstrap)
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, MoveTests.security("1.3")).get()
        let url = "https://localhost:\(try listener.port())/page"
        let peer = try PeerProcess(
            ["curl", "-sS", "--cacert", Credentials.files.path("ca.pem"), "-w", "\\nconnects %{num_connects}\\n"]
                + [String](repeating: url, count: 20))
        for request in 0..<20 {
            #expect(try await peer.line("GET ") == "/page 0")
            #expect(try await peer.line("connects ") == (request == 0 ? "1" : "0"))
        }
        #expect(await peer.exitStatus() == 0)
        #expect(mover.moves.load(ordering: .relaxed) == 20)
        try await listener.close().get()
    }
}

/// Answers each request with what it was.
private final class Answerer: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart
    private let log: AsyncStream<String>.Continuation
    private let answered: ((ChannelHandlerContext) -> Void)?
    private var head: HTTPRequestHead?
    private var count = 0

    init(_ log: AsyncStream<String>.Continuation, answered: ((ChannelHandlerContext) -> Void)? = nil) {
        self.log = log
        self.answered = answered
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): (self.head, count) = (head, 0)
        case .body(let bytes): count += bytes.readableBytes
        case .end:
            guard let head else { return }
            let text = "\(head.method) \(head.uri) \(count)"
            log.yield(text)
            let headers: HTTPHeaders = ["content-length": String(text.utf8.count)]
            context.write(
                wrapOutboundOut(.head(.init(version: head.version, status: .ok, headers: headers))), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            answered?(context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { log.yield("error \(error)") }
}
