import BatonNIO
import CoreMetrics
import Foundation
import Handoff
import Logging
import NIOCore
import NIOPosix
import NIOTLS
import SelfSigned
import ServiceLifecycle
import Synchronization
import TLSHandshake
import TLSRecords
import Testing

/// A program that replaces the one before it: what is handed on, what stays, and what each side knows of it.
@Suite(.serialized, .timeLimit(.minutes(2))) struct SuccessionTests {
    private static let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    /// An old process's part: connections that echo, and what it waits with.
    private struct Old {
        let registry: ConnectionRegistry
        let bootstrap: ConnectionBootstrap
        let path: String
        let arrived = Expectation<any Channel>()

        init(_ path: String, _ metrics: (any MetricsFactory)? = nil) {
            self.path = path
            registry = ConnectionRegistry(group: loops, metrics: metrics)
            let arrived = arrived
            bootstrap = ConnectionBootstrap(group: loops, registry: registry) { channel, _ in
                try channel.pipeline.syncOperations.addHandler(Echo())
                arrived.fulfil(channel)
            }
        }

        func service(_ listeners: [Listener], patience: Duration) throws -> SuccessionService {
            try SuccessionService(
                at: path, bootstrap: bootstrap, registry: registry, listeners: listeners, patience: patience,
                lastWait: .seconds(60), logger: silent)
        }

        func hold() async throws -> (any Channel, ConnectionHold) {
            let channel = try await arrived.value("the connection")
            let hold = try await channel.eventLoop.submit {
                try channel.pipeline.syncOperations.connectionHandler().hold()
            }.get()
            return (channel, hold)
        }
    }

    private func successor(_ path: String, _ listeners: [String: ServerSecurity]) async throws -> Takeover.Outcome {
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Greeter("moved"))
        }
        return try await Takeover(from: path, bootstrap: bootstrap, listeners: listeners, logger: Self.silent).run()
    }

    private func ask(_ peer: PeerProcess, _ text: String) async throws -> String {
        try peer.send(text + "\n")
        return try await peer.line("got ")
    }

    @Test("a connection that is held moves as soon as it is let go")
    func heldMovesLater() async throws {
        let files = try TemporaryFiles()
        let old = Old(files.path("control"))
        let listener = try await old.bootstrap.listen(host: "127.0.0.1", port: 0, .plain, name: "main").get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: nil, "talk")
        let (_, hold) = try await old.hold()
        let service = try old.service([listener], patience: .seconds(60))
        let running = Task { try await service.run() }
        let taking = Task { try await successor(old.path, ["main": .plain]) }
        // The successor has the listener by now, and its connections are greeted.
        let newcomer = try PythonPeer.client(port: try listener.port(), tls: nil, "talk")
        while try await ask(newcomer, "who") != "moved" {}
        #expect(try await ask(peer, "still here") == "still here")
        #expect(service.outcome == nil)
        hold.release()
        let outcome = try await taking.value
        try await running.value
        #expect(try await ask(peer, "and now") == "moved")
        #expect(outcome.connectionCount >= 1 && outcome.failedConnectionCount == 0)
        let told = try #require(service.outcome)
        #expect(told.listeners == ["main"] && told.declinedListeners.isEmpty)
        #expect(told.connectionCount == outcome.connectionCount)
        #expect(told.stayed.isEmpty && told.remaining.isEmpty)
        for listener in outcome.listeners { try await listener.close().get() }
    }

    @Test("a connection that is held for too long stays and is told of; it ends here, and is not cut")
    func heldStays() async throws {
        let files = try TemporaryFiles()
        let old = Old(files.path("control"))
        let listener = try await old.bootstrap.listen(host: "127.0.0.1", port: 0, .plain, name: "main").get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: nil, "talk")
        let (channel, hold) = try await old.hold()
        let service = try old.service([listener], patience: .milliseconds(50))
        let running = Task { try await service.run() }
        let outcome = try await successor(old.path, ["main": .plain])
        #expect(outcome.connectionCount == 0 && outcome.listeners.map(\.name) == ["main"])
        #expect(try await ask(peer, "still here") == "still here")
        peer.killNow()
        try await channel.closeFuture.get()
        try await running.value
        let told = try #require(service.outcome)
        #expect(told.stayed.count == 1 && told.stayed.first?.isBusy == true)
        #expect(told.remaining.isEmpty && told.connectionCount == 0)
        hold.release()
        for listener in outcome.listeners { try await listener.close().get() }
    }

    @Test("a listener that the successor does not want is declined by itself, and both sides know")
    func declinedListener() async throws {
        let files = try TemporaryFiles()
        let old = Old(files.path("control"))
        let listen = { (name: String) in
            try await old.bootstrap.listen(host: "127.0.0.1", port: 0, .plain, name: name).get()
        }
        let listeners = [try await listen("admin"), try await listen("main"), try await listen("spare")]
        let ports = try listeners.map { try $0.port() }
        let peer = try PythonPeer.client(port: ports[1], tls: nil, "talk")
        #expect(try await ask(peer, "before") == "before")
        let service = try old.service(listeners, patience: .seconds(10))
        let running = Task { try await service.run() }
        let outcome = try await successor(old.path, ["main": .plain, "spare": .plain, "other": .plain])
        try await running.value
        #expect(outcome.listeners.map(\.name).sorted() == ["main", "spare"])
        #expect(outcome.declinedListeners == ["admin"] && outcome.missingListeners == ["other"])
        #expect(outcome.failedListeners.isEmpty && outcome.connectionCount == 1)
        let told = try #require(service.outcome)
        #expect(told.listeners == ["main", "spare"])
        #expect(told.declinedListeners.map(\.name) == ["admin"])
        #expect(told.connectionCount == 1 && told.stayed.isEmpty)
        #expect(try await ask(peer, "after") == "moved")
        // Nobody is refused at either address.
        for (port, answer) in [(ports[0], "admin"), (ports[1], "moved")] {
            let newcomer = try PythonPeer.client(port: port, tls: nil, "talk")
            #expect(try await ask(newcomer, "admin") == answer)
        }
        for listener in outcome.listeners + told.declinedListeners { try await listener.close().get() }
    }

    @Test("of several programs that start at once one listens, and each other takes over from the one before it")
    func race() async throws {
        let files = try TemporaryFiles()
        let probe = try await ConnectionBootstrap(group: loops) { _, _ in }
            .listen(host: "127.0.0.1", port: 0, .plain).get()
        let port = try probe.port()
        try await probe.close().get()
        let arguments = [
            files.path("control"), Credentials.files.path("cert.pem"), Credentials.files.path("key.pem"), String(port),
        ]
        let starters = try (0..<3).map { _ in try PeerProcess(nioPeer: ["succession"] + arguments) }
        var firsts = 0
        for starter in starters where try await starter.line("started ") == "first" { firsts += 1 }
        #expect(firsts == 1)
        let client = try PythonPeer.client(port: port, tls: "1.3", "talk")
        _ = try await ask(client, "hello")
        // The next one ends whichever serves.
        let last = try PeerProcess(nioPeer: ["succession"] + arguments)
        #expect(try await last.line("started ") == "took 1")
        for starter in starters {
            #expect(try await starter.line("ended ") == "in order")
            #expect(await starter.exitStatus() == 0)
        }
        #expect(try await ask(client, "again") == "again 2 \(last.processID)")
    }

    @Test("a program waits until another has started, and is through when that one is, or is dead")
    func waitsForStart() async throws {
        let files = try TemporaryFiles()
        let registry = ConnectionRegistry(group: loops)
        let bootstrap = ConnectionBootstrap(group: loops, registry: registry) { _, _ in }
        let start = { (time: Duration) in
            try await Succession.start(
                at: files.path("control"), bootstrap: bootstrap, registry: registry,
                listeners: [.init("main", host: "127.0.0.1", port: 0, .plain)], startTime: time, logger: Self.silent)
        }
        var other = try SocketLock.startIfFree(at: files.path("control"), trusting: .sameUser)
        #expect(other != nil)
        let refusal = await #expect(throws: HandoffError.self) { try await start(.milliseconds(50)) }
        #expect(refusal?.code == .pathInUse)
        // The kernel frees it with its holder.
        other = nil
        let succession = try await start(.seconds(60))
        #expect(succession.taken == nil && succession.listeners.map(\.name) == ["main"])
        for listener in succession.listeners { try await listener.close().get() }
    }

    @Test("what is live and what has moved is told to a metrics factory")
    func metrics() async throws {
        let files = try TemporaryFiles()
        let (before, after) = (TestMetrics(), TestMetrics())
        let old = Old(files.path("control"), before)
        let listener = try await old.bootstrap.listen(host: "127.0.0.1", port: 0, .plain, name: "main").get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: nil, "talk")
        #expect(try await ask(peer, "before") == "before")
        #expect(before["baton_connections"] == 1)
        let service = try old.service([listener], patience: .seconds(10))
        let running = Task { try await service.run() }
        let next = ConnectionBootstrap(group: loops, registry: ConnectionRegistry(group: loops, metrics: after)) {
            channel, _ in try channel.pipeline.syncOperations.addHandler(Echo())
        }
        let outcome = try await Takeover(
            from: old.path, bootstrap: next, listeners: ["main": .plain], logger: Self.silent
        ).run()
        try await running.value
        #expect(try await ask(peer, "after") == "after")
        #expect(before["baton_connections"] == 0 && before["baton_moves_out"] == 1)
        #expect(before["baton_moves_failed"] == 0 && before["baton_handover_duration"] > 0)
        #expect(after["baton_connections"] == 1 && after["baton_moves_in"] == 1)
        // It stood still for as long as the old owner's hand-over took, at least.
        #expect(after["baton_move_pause"] > 0 && before["baton_move_pause"] == 0)
        for listener in outcome.listeners { try await listener.close().get() }
    }

    @Test("a pause is counted on the machine and in the boot where it began, and for what has moved only")
    func pauses() async throws {
        let metrics = TestMetrics()
        let (stream, arrivals) = AsyncStream.makeStream(of: (any Channel).self)
        var channels = stream.makeAsyncIterator()
        let bootstrap = ConnectionBootstrap(group: loops, registry: ConnectionRegistry(group: loops, metrics: metrics))
        {
            channel, _ in
            try channel.pipeline.syncOperations.addHandler(Echo())
            arrivals.yield(channel)
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, .plain).get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: nil, "talk")
        func move(_ arrival: Arrival?, _ change: (inout ParcelMetadata) -> Void) async throws {
            // The answer to the peer says that the connection is active in its channel.
            #expect(try await ask(peer, "here") == "here")
            let channel = try require(await channels.next())
            var parcel = try require(try await channel.detachConnection().get().take())
            change(&parcel.metadata)
            _ = try await bootstrap.attach(parcel, on: loops.next(), arrival: arrival).get()
            #expect(try await ask(peer, "there") == "there")
        }
        let name = "baton.suspended-at"
        // A time before this boot, and none.
        try await move(nil) { $0.annotations[name] = [UInt8](repeating: 1, count: 32) }
        try await move(nil) { $0.annotations[name] = nil }
        // Noted by an owner before the last, which has handed on what it does not know.
        try await move(nil) { $0.moves += 2 }
        // Offered and given back.
        try await move(.returned(applicationState: [])) { _ in }
        #expect(metrics["baton_move_pause"] == 0)
        try await move(nil) {
            #expect($0.annotations[name]?.count == 32)
            $0.moves += 1
        }
        #expect(metrics["baton_move_pause"] > 0)
        peer.killNow()
        try await listener.close().get()
    }

    @Test("who holds a connection is told once that it is wanted, and a protocol that cannot move is asked to end")
    func wanted() async throws {
        let (stream, log) = AsyncStream.makeStream(of: String.self)
        var words = stream.makeAsyncIterator()
        let arrived = Expectation<any Channel>()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(QuiescingHandler())
            try channel.pipeline.syncOperations.addHandler(Quiescer(log))
            arrived.fulfil(channel)
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, .plain).get()
        let peer = try PythonPeer.client(port: try listener.port(), tls: nil, "talk")
        let channel = try await arrived.value("the connection")
        for _ in 0..<2 {
            let refusal = await #expect(throws: ConnectionError.self) {
                try await channel.detachConnection(patience: .milliseconds(100)).get()
            }
            #expect(refusal?.code == .busy)
        }
        #expect(await words.next() == "wanted")
        #expect(await words.next() == "quiesce")
        // Who comes later learns it too.
        try await channel.eventLoop.submit {
            let pipeline = channel.pipeline.syncOperations
            #expect(try pipeline.connectionHandler().isWanted)
            try pipeline.addHandler(QuiescingHandler(), position: .before(try pipeline.handler(type: Quiescer.self)))
        }.get()
        #expect(await words.next() == "quiesce")
        try peer.send("end\n")
        _ = try await peer.line("end")
        peer.killNow()
        #expect(await words.next() == "inactive")
        try await listener.close().get()
    }

    @Test("a context that is chosen by the client's name knows the client by its certificate, and so does a successor")
    func certificates() async throws {
        var configuration = ServerConfiguration(
            identities: [
                .init(
                    certificateChain: .file(Credentials.files.path("cert.pem")),
                    privateKey: .file(Credentials.files.path("key.pem")))
            ],
            clientCertificates: .verified(
                isRequired: true, authorities: .text(Credentials.authority.certificatePEM)
            ) { $0.names.contains(.dns("localhost")) ? .libraryVerdict : .reject(.badCertificate, "another name") })
        configuration.peerCertificateDetail = .chain
        let context = try ServerContext(configuration)
        let security = ServerSecurity.choosing { $0.serverName == "localhost" ? context : nil }
        let files = try TemporaryFiles()
        let old = Old(files.path("control"))
        let listener = try await old.bootstrap.listen(host: "127.0.0.1", port: 0, security, name: "main").get()
        let client = [
            "openssl", "s_client", "-connect", "127.0.0.1:\(try listener.port())", "-quiet", "-servername", "localhost",
            "-cert", Credentials.files.path("cert.pem"), "-key", Credentials.files.path("key.pem"), "-nocommands",
        ]
        let peer = try PeerProcess(client)
        try peer.send("before\n")
        _ = try await peer.line("before")
        let service = try old.service([listener], patience: .seconds(10))
        let running = Task { try await service.run() }
        let (stream, arrivals) = AsyncStream.makeStream(of: ConnectionInfo?.self)
        var infos = stream.makeAsyncIterator()
        let next = ConnectionBootstrap(group: loops) { channel, _ in
            arrivals.yield(try channel.pipeline.syncOperations.connectionHandler().info)
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        let outcome = try await Takeover(
            from: old.path, bootstrap: next, listeners: ["main": security], logger: Self.silent
        ).run()
        try await running.value
        let shown = try #require(await infos.next()??.peerCertificate)
        #expect(shown.alternativeNames == [.dns("localhost"), .address("127.0.0.1")])
        #expect(shown.chain.count == 1 && shown.verifiedChain.count == 2 && shown.der == shown.verifiedChain.first)
        try peer.send("after\n")
        _ = try await peer.line("after")
        for listener in outcome.listeners { try await listener.close().get() }
    }

    @Test("a WebSocket in mid-frame and a client that never stops asking go through four deploys")
    func deploys() async throws {
        let files = try TemporaryFiles()
        let arguments = [
            "web", files.path("control"), Credentials.files.path("cert.pem"), Credentials.files.path("key.pem"), "0",
        ]
        var server = try PeerProcess(nioPeer: arguments)
        #expect(try await server.line("started ") == "first")
        let port = try #require(Int(try await server.line("port ")))
        let socket = try PythonPeer.client(port: port, tls: "1.3", "websocket")
        #expect(try await socket.line("upgraded ") == "101")
        let asking = try PythonPeer.client(port: port, tls: "1.3", "requests")
        _ = try await asking.line("answered")
        for _ in 0..<4 {
            let next = try PeerProcess(nioPeer: arguments)
            #expect(try await next.line("started ") == "took 2")
            #expect(try await server.line("ended ") == "in order")
            #expect(await server.exitStatus() == 0)
            server = next
        }
        try socket.send("stop\n")
        try asking.send("stop\n")
        #expect(Int(try await socket.line("frames ")) ?? 0 > 0)
        #expect(Int(try await asking.line("requests ")) ?? 0 > 0)
    }

    @Test("of several that listen at once where a socket was left behind one does, and keeps it")
    func unixRace() async throws {
        let files = try TemporaryFiles()
        for round in 0..<20 {
            let path = files.path("echo\(round)")
            let bootstrap = Old(files.path("control\(round)")).bootstrap
            // Left behind: its listener is gone, the path is not.
            try await bootstrap.listen(unixPath: path).get().close().get()
            let listeners = await withTaskGroup(of: Listener?.self) { group in
                for _ in 0..<8 { group.addTask { try? await bootstrap.listen(unixPath: path).get() } }
                return await group.compactMap { $0 }.reduce(into: [Listener]()) { $0.append($1) }
            }
            #expect(listeners.count == 1)
            let client = try await ConnectionBootstrap(group: loops) { _, _ in }.connect(unixPath: path).get()
            try await client.close()
            for listener in listeners { try await listener.close().get() }
        }
    }

    @Test("a connection whose protocol cannot be kept here, because it is in no handler of ours, ends")
    func quiescingAlone() async throws {
        let listener = try await ServerBootstrap(group: loops).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(QuiescingHandler())
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        let address = try require(listener.localAddress)
        let client = try await ClientBootstrap(group: loops).connect(to: address).get()
        let closed = Expectation<Bool>()
        client.closeFuture.whenComplete { _ in closed.fulfil(true) }
        #expect(try await closed.value("the end"))
        try await listener.close()
    }

    @Test("a listener at a Unix socket is handed on, and replaces only a socket at which nobody listens")
    func unixListener() async throws {
        let files = try TemporaryFiles()
        let path = files.path("echo")
        let old = Old(files.path("control"))
        let listener = try await old.bootstrap.listen(unixPath: path, name: "main").get()
        let inUse = await #expect(throws: ConnectionError.self) {
            try await old.bootstrap.listen(unixPath: path).get()
        }
        #expect(inUse?.systemError == EADDRINUSE)
        let service = try old.service([listener], patience: .seconds(10))
        let running = Task { try await service.run() }
        let outcome = try await successor(old.path, ["main": .plain])
        try await running.value
        let (stream, log) = AsyncStream.makeStream(of: String.self)
        var words = stream.makeAsyncIterator()
        let client = try await ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Witness(log))
        }.connect(unixPath: path).get()
        try await client.writeAndFlush(ByteBuffer(string: "hello"))
        #expect(await words.next() == "read moved")
        try await client.close()
        for listener in outcome.listeners { try await listener.close().get() }
        let again = try await old.bootstrap.listen(unixPath: path).get()
        try await again.close().get()
    }

    @Test(
        "handlers that know NIO's events alone are told what ALPN settled, of new connections and of those that arrive")
    func negotiated() async throws {
        var options = ProtocolOptions()
        options.applicationProtocols = ["talk"]
        let (stream, log) = AsyncStream.makeStream(of: String.self)
        var words = stream.makeAsyncIterator()
        let arrived = Expectation<any Channel>()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, arrival in
            let choice = ApplicationProtocolNegotiationHandler { result, channel in
                channel.eventLoop.makeCompletedFuture {
                    log.yield("\(result)")
                    try channel.pipeline.syncOperations.addHandler(Witness(log))
                    try channel.pipeline.syncOperations.addHandler(Echo())
                    if arrival == .accepted { arrived.fulfil(channel) }
                }
            }
            try channel.pipeline.syncOperations.addHandler(choice)
        }
        let listener = try await bootstrap.listen(
            host: "127.0.0.1", port: 0, .tls(Credentials.server(options))
        ).get()
        let (heard, hear) = AsyncStream.makeStream(of: String.self)
        var answers = heard.makeAsyncIterator()
        let client = try await ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Witness(hear))
        }.connect(
            host: "127.0.0.1", port: try listener.port(), .tls(Credentials.client(options), serverName: "localhost")
        ).get()
        #expect(await words.next() == "negotiated(\"talk\")")
        try await client.writeAndFlush(ByteBuffer(string: "one"))
        #expect(await words.next() == "read one")
        let channel = try await arrived.value("the choice")
        let parcel = try await channel.detachConnection().get()
        // It waits to be read by the next owner.
        try await client.writeAndFlush(ByteBuffer(string: "two"))
        let moved = try await bootstrap.attach(require(parcel.take()), on: loops.next()).get()
        try await expect("negotiated", in: &words)
        #expect(await words.next() == "read two")
        try await client.close()
        try await moved.closeFuture.get()
        _ = await answers.next()
        try await listener.close().get()
    }
}

/// A protocol that ends at the next word when it has been asked to.
private final class Quiescer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let log: AsyncStream<String>.Continuation
    private var isQuiescing = false

    init(_ log: AsyncStream<String>.Continuation) { self.log = log }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ConnectionEvent.wanted = event { log.yield("wanted") }
        guard event is ChannelShouldQuiesceEvent else { return }
        log.yield("quiesce")
        isQuiescing = true
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isQuiescing { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) { log.yield("inactive") }
}

/// Answers everything with one word.
private final class Greeter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let word: String

    init(_ word: String) { self.word = word }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: word)), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
