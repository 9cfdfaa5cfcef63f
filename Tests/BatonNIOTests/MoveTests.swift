import BatonNIO
import Handoff
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TLSRecords
import Testing

/// Connections move between event loops in mid-stream, with stock peers.
@Suite(.timeLimit(.minutes(2))) struct MoveTests {
    static let protocols: [String?] = ["1.3", "1.2", nil]

    static func security(_ tls: String?) throws -> ServerSecurity {
        tls == nil ? .plain : .tls(try Credentials.server())
    }

    @Test("a stock client's stream survives hundreds of moves", arguments: protocols)
    func streamSurvives(tls: String?) async throws {
        let mover = Mover()
        let flips = Atomic<Int>(0)
        let registry = ConnectionRegistry(group: loops)
        let bootstrap = ConnectionBootstrap(group: loops, registry: registry) { channel, _ in
            let flushes = flips.wrappingAdd(1, ordering: .relaxed).newValue % 3 != 0
            try channel.pipeline.syncOperations.addHandler(Echo(mover, moveEvery: 9_973, flushes: flushes))
        }
        mover.use(bootstrap)
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, Self.security(tls)).get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: tls, "echo", "8000000")
        #expect(try await peer.line("digests ") == "True")
        let moves = mover.moves.load(ordering: .relaxed)
        #expect(moves >= 100, "only \(moves) moves")
        try await listener.channel.close()
    }

    @Test("a connection has one name in the logs of all its owners, and no other has it")
    func logNames() async throws {
        let (stream, names) = AsyncStream.makeStream(of: String.self)
        var named = stream.makeAsyncIterator()
        let arrived = Expectation<any Channel>()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, arrival in
            let handler = try channel.pipeline.syncOperations.connectionHandler()
            let logger = handler.logger(from: Logger(label: "test"))
            #expect(logger[metadataKey: "connection"] == .string(handler.logID))
            #expect(arrival == .connected || logger[metadataKey: "listener"] == "main")
            names.yield(handler.logID)
            if arrival == .accepted { arrived.fulfil(channel) }
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, .plain, name: "main").get()
        let client = try await bootstrap.connect(host: "127.0.0.1", port: try listener.port(), .plain).get()
        let channel = try await arrived.value("the connection")
        let both: Set<String?> = [await named.next(), await named.next()]
        #expect(both.count == 2 && both.allSatisfy { $0?.count == 16 })
        let parcel = try await channel.detachConnection().get()
        let moved = try await bootstrap.attach(require(parcel.take()), on: loops.next()).get()
        #expect(both.contains(await named.next()))
        try await client.close()
        try await moved.closeFuture.get()
        try await listener.close().get()
    }

    @Test("our client's stream survives hundreds of moves", arguments: ["1.3", "1.2"])
    func clientSurvives(tls: String) async throws {
        let mover = Mover()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Echo(mover, moveEvery: 10_007))
        }
        mover.use(bootstrap)
        let peer = try PythonPeer.server(tls: tls, "echo", "4000000")
        let port = try #require(Int(try await peer.line("port ")))
        _ = try await bootstrap.connect(
            host: "127.0.0.1", port: port, .tls(Credentials.client(), serverName: "localhost")
        ).get()
        #expect(try await peer.line("digests ") == "True")
        #expect(mover.moves.load(ordering: .relaxed) >= 50)
    }

    @Test(
        "a peer that does not read gets every byte, though megabytes were pending through ten moves",
        arguments: protocols)
    func pendingSurvives(tls: String?) async throws {
        let (bytes, digest) = pattern(12_000_000)
        let arrived = Expectation<any Channel>()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, arrival in
            guard arrival == .accepted else { return }
            try channel.pipeline.syncOperations.addHandler(FirstWrite(bytes, arrived))
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, Self.security(tls)).get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: tls, "read", String(bytes.count))
        var channel = try await arrived.value("the connection")
        for _ in 0..<10 {
            let detached = try await channel.detachConnection().get()
            let parcel = try require(detached.take())
            #expect(pendingCount(parcel) > 1_000_000, "nothing was pending")
            channel = try await bootstrap.attach(parcel, on: loops.next()).get()
        }
        try peer.send("go\n")
        #expect(try await peer.line("digest ") == digest)
        try await listener.channel.close()
    }
}

/// Writes all its bytes as soon as it can, and tells when they are with the connection.
final class FirstWrite: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let bytes: [UInt8]
    private let arrived: Expectation<any Channel>

    init(_ bytes: [UInt8], _ arrived: Expectation<any Channel>) {
        self.bytes = bytes
        self.arrived = arrived
    }

    func channelActive(context: ChannelHandlerContext) {
        if (try? context.pipeline.syncOperations.connectionHandler().isPlain) == true { start(context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ConnectionEvent.established = event { start(context) }
    }

    private func start(_ context: ChannelHandlerContext) {
        for start in stride(from: 0, to: bytes.count, by: 100_000) {
            let piece = bytes[start..<min(start + 100_000, bytes.count)]
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: piece)), promise: nil)
        }
        arrived.fulfil(context.channel)
    }
}

/// How many bytes the next owner writes first.
func pendingCount(_ parcel: borrowing Parcel) -> Int {
    switch parcel.snapshot {
    case .some(let snapshot): snapshot.outgoingCount
    case .none: parcel.unsent.count
    }
}

func require<T: ~Copyable>(_ value: consuming T?) throws -> T {
    if let value { return value }
    throw TestFailure("a value is missing")
}
