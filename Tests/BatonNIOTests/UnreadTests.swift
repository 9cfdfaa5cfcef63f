import BatonNIO
import Glibc
import Handoff
import NIOCore
import NIOPosix
import NIOWebSocket
import Synchronization
import TLSRecords
import Testing

/// What an application has read and not used goes with its connection.
@Suite(.timeLimit(.minutes(2))) struct UnreadTests {
    @Test("WebSocket frames survive a move at every byte", arguments: MoveTests.protocols)
    func everyByteOfFrames(tls: String?) async throws {
        let frames = [Frame(.text, "hello"), Frame(.ping, ""), Frame(.binary, String(repeating: "b", count: 130))]
        var watched = Watched(on: loops) { channel, _, message in
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(MovableDecoderHandler(WebSocketFrameDecoder(maxFrameSize: 1 << 14)))
            try pipeline.addHandler(FrameReader(message))
        }
        let listener = try await watched.bootstrap.listen(host: "127.0.0.1", port: 0, MoveTests.security(tls)).get()
        let bytes = frames.flatMap(\.bytes)
        let peer = try PythonPeer.client(port: try listener.port(), tls: tls, "each", hex(bytes))
        var unfinished = 0
        var ends = Set<Int>()
        for frame in frames { ends.insert((ends.max() ?? 0) + frame.bytes.count) }
        for sent in 1...bytes.count {
            try peer.send("\n")
            unfinished += 1
            // What was given back, and one byte more.
            await watched.receive(unfinished)
            let channel = try watched.channels.channel()
            let detached = try await channel.detachConnection().get()
            if ends.contains(sent) { unfinished = 0 }
            _ = try await watched.bootstrap.attach(require(detached.take()), on: loops.next()).get()
        }
        for frame in frames { #expect(await watched.messages.next() == "\(frame.opcode) \(frame.text)") }
        peer.killNow()
        try await watched.channels.channel().closeFuture.get()
        try await listener.channel.close()
    }

    @Test("messages behind the one at which a connection moves go with it", arguments: MoveTests.protocols)
    func moveAtEachMessage(tls: String?) async throws {
        let mover = Mover()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(MovableDecoderHandler(LineDecoder()))
            try channel.pipeline.syncOperations.addHandler(LineEcho(mover))
        }
        mover.use(bootstrap)
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, MoveTests.security(tls)).get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: tls, "lines", "600")
        #expect(try await peer.line("digests ") == "True")
        #expect(mover.moves.load(ordering: .relaxed) == 600)
        try await listener.channel.close()
    }

    @Test(
        "more than a move takes keeps the connection where it is, and not a byte of it is lost",
        arguments: ["1.3", nil])
    func tooMuch(tls: String?) async throws {
        var watched = Watched(on: loops) { channel, _, message in
            try channel.pipeline.syncOperations.addHandler(MovableDecoderHandler(LineDecoder()))
            try channel.pipeline.syncOperations.addHandler(LineCounter(message))
        }
        let listener = try await watched.bootstrap.listen(host: "127.0.0.1", port: 0, MoveTests.security(tls)).get()
        let size = Parcel.maxUnread + 1
        let peer = try PythonPeer.client(port: try listener.port(), tls: tls, "long", String(size))
        await watched.receive(size)
        for _ in 0..<2 {
            let refusal = await #expect(throws: ConnectionError.self) {
                try await watched.channels.channel().detachConnection().get()
            }
            #expect(refusal?.code == .tooMuchUnread)
        }
        try peer.send("\n")
        #expect(await watched.messages.next() == "\(size)")
        try peer.send("\n")
        #expect(await watched.messages.next() == "\(size)")
        peer.killNow()
        try await watched.channels.channel().closeFuture.get()
        try await listener.channel.close()
    }

    @Test("half a line goes to another process, also after one that declines", arguments: ["1.3", nil])
    func handedOver(tls: String?) async throws {
        let files = try TemporaryFiles()
        var watched = Watched(on: loops) { channel, _, message in
            try channel.pipeline.syncOperations.addHandler(MovableDecoderHandler(LineDecoder()))
            try channel.pipeline.syncOperations.addHandler(LineCounter(message))
        }
        let refusing = try HandoffService(at: files.path("refusing"), bootstrap: watched.bootstrap) { _ in
            .decline(.noRoom)
        }
        let taking = try HandoffService(at: files.path("taking"), bootstrap: watched.bootstrap)
        let running = [Task { try await refusing.run() }, Task { try await taking.run() }]
        let listener = try await watched.bootstrap.listen(host: "127.0.0.1", port: 0, MoveTests.security(tls)).get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: tls, "each", hex(Array("half\n".utf8)))
        try peer.send("\n\n")
        await watched.receive(2)
        let first = try HandoffSender(to: files.path("refusing"))
        let detached = try await watched.channels.channel().detachConnection().get()
        guard case .returned(let back, .noRoom) = await first.offer(detached) else { throw TestFailure("it was taken") }
        _ = try await watched.bootstrap.attach(require(back.take()), on: loops.next()).get()
        try peer.send("\n")
        await watched.receive(3)
        let second = try HandoffSender(to: files.path("taking"))
        guard case .handedOver = await second.offer(try await watched.channels.channel().detachConnection().get())
        else {
            throw TestFailure("it was not taken")
        }
        try peer.send("\n\n")
        #expect(await watched.messages.next() == "4")
        peer.killNow()
        try await watched.channels.channel().closeFuture.get()
        for sender in [first, second] { sender.close() }
        for task in running {
            task.cancel()
            try await task.value
        }
        try await listener.close().get()
    }

    @Test(
        "a connection that stays has what was given back in front of what comes next, and of the peer's end",
        arguments: ["1.3", nil])
    func stays(tls: String?) async throws {
        let (stream, log) = AsyncStream.makeStream(of: String.self)
        var words = stream.makeAsyncIterator()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Hesitant(log))
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, MoveTests.security(tls)).get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: tls, "talk")
        try peer.send("one\n")
        #expect(await words.next() == "one")
        #expect(try await peer.line("got ") == "heard")
        try peer.send("two\n")
        #expect(await words.next() == "onetwo")
        #expect(try await peer.line("got ") == "heard")
        try peer.endInput()
        // Python ends TLS without close_notify.
        if tls == nil { #expect(await words.next() == "onetwo") }
        try await listener.channel.close()
    }

    @Test("a connection that is held is not moved until every hold is released")
    func held() async throws {
        let arrived = Expectation<any Channel>()
        let (_, log) = AsyncStream.makeStream(of: String.self)
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Witness(log, arrived))
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, .plain).get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: nil, "talk")
        let channel = try await arrived.value("the connection")
        let hold: @Sendable () throws -> ConnectionHold = {
            try channel.pipeline.syncOperations.connectionHandler().hold()
        }
        let (first, second) = try await channel.eventLoop.submit { (try hold(), try hold()) }.get()
        first.release()
        first.release()
        let refusal = await #expect(throws: ConnectionError.self) { try await channel.detachConnection().get() }
        #expect(refusal?.code == .busy)
        second.release()
        let moved = try await channel.detachConnection().get()
        let again = try await bootstrap.attach(require(moved.take()), on: loops.next()).get()
        try await again.writeAndFlush(ByteBuffer(string: "still here"))
        #expect(try await peer.line("got ") == "still here")
        peer.killNow()
        try await again.closeFuture.get()
        try await listener.channel.close()
    }
}

/// A masked frame of a client, as it is on the wire (RFC 6455 section 5.2).
struct Frame {
    let opcode: WebSocketOpcode
    let text: String
    let bytes: [UInt8]

    init(_ opcode: WebSocketOpcode, _ text: String) {
        self.opcode = opcode
        self.text = text
        let payload = Array(text.utf8)
        let key: [UInt8] = [0x0A, 0xF1, 0x33, 0x80]
        let first: UInt8 = 0x80 | (opcode == .text ? 1 : opcode == .binary ? 2 : 9)
        let length: [UInt8] =
            payload.count < 126
            ? [0x80 | UInt8(payload.count)] : [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        bytes = [first] + length + key + payload.enumerated().map { $1 ^ key[$0 % 4] }
    }
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// Connections whose bytes and messages are told of as they come.
struct Watched {
    let channels = Latest()
    let bootstrap: ConnectionBootstrap
    var messages: AsyncStream<String>.Iterator
    private var counts: AsyncStream<Int>.Iterator

    /// - Parameter install: adds the handlers behind the `ConnectionHandler`, which tell of messages.
    init(
        on group: any EventLoopGroup,
        _ install: @escaping @Sendable (any Channel, Arrival, AsyncStream<String>.Continuation) throws -> Void
    ) {
        let (reads, read) = AsyncStream.makeStream(of: Int.self)
        let (told, message) = AsyncStream.makeStream(of: String.self)
        counts = reads.makeAsyncIterator()
        messages = told.makeAsyncIterator()
        bootstrap = ConnectionBootstrap(group: group) { [channels] channel, arrival in
            try channel.pipeline.syncOperations.addHandler(ByteCounter(read))
            channels.set(channel)
            try install(channel, arrival, message)
        }
    }

    /// Waits until so many bytes have come into one channel.
    mutating func receive(_ number: Int) async {
        while let count = await counts.next(), count < number {}
    }
}

/// The channel that a connection is in at the moment.
final class Latest: Sendable {
    private let current = Mutex<(any Channel)?>(nil)

    func set(_ channel: any Channel) { current.withLock { $0 = channel } }

    func channel() throws -> any Channel { try require(current.withLock { $0 }) }
}

/// Tells how many bytes have come into its channel.
final class ByteCounter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    private let counts: AsyncStream<Int>.Continuation
    private var count = 0

    init(_ counts: AsyncStream<Int>.Continuation) { self.counts = counts }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        count += unwrapInboundIn(data).readableBytes
        context.fireChannelRead(data)
        counts.yield(count)
    }
}

final class FrameReader: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    private let log: AsyncStream<String>.Continuation

    init(_ log: AsyncStream<String>.Continuation) { self.log = log }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        log.yield("\(frame.opcode) \(String(buffer: frame.unmaskedData))")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { log.yield("error \(error)") }
}

/// Lines, without their ends.
private struct LineDecoder: ByteToMessageDecoder {
    typealias InboundOut = ByteBuffer

    func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        let length = buffer.withUnsafeReadableBytes { bytes in
            bytes.baseAddress.flatMap { start in
                memchr(start, 10, bytes.count).map { UnsafeRawPointer($0) - start }
            }
        }
        guard let length, let line = buffer.readSlice(length: length) else { return .needMoreData }
        buffer.moveReaderIndex(forwardBy: 1)
        context.fireChannelRead(wrapInboundOut(line))
        return .continue
    }

    func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState { try decode(context: context, buffer: &buffer) }
}

/// Sends each line back and moves.
private final class LineEcho: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let mover: Mover

    init(_ mover: Mover) { self.mover = mover }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var line = unwrapInboundIn(data)
        line.writeString("\n")
        context.write(wrapOutboundOut(line), promise: nil)
        mover.move(context)
    }
}

/// Tells how long each line is.
private final class LineCounter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let log: AsyncStream<String>.Continuation

    init(_ log: AsyncStream<String>.Continuation) { self.log = log }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        log.yield("\(unwrapInboundIn(data).readableBytes)")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { log.yield("error \(error)") }
}

/// Gives back everything that it reads.
private final class Hesitant: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let log: AsyncStream<String>.Continuation

    init(_ log: AsyncStream<String>.Continuation) { self.log = log }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        log.yield(String(buffer: buffer))
        do {
            try context.pipeline.syncOperations.connectionHandler().unread(buffer)
        } catch {
            log.yield("error \(error)")
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "heard")), promise: nil)
    }
}
