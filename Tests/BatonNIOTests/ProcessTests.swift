import BatonNIO
import Handoff
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Testing

/// Connections move between real processes.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ProcessTests {
    @Test(
        "a stream survives hundreds of moves between two processes, and no descriptor leaks", arguments: ["1.3", nil])
    func betweenProcesses(tls: String?) async throws {
        let files = try TemporaryFiles()
        let (first, second) = (files.path("a"), files.path("b"))
        let a = try PeerProcess(nioPeer: "worker", first, second, "20011")
        let b = try PeerProcess(nioPeer: "worker", second, first, "20011")
        _ = try await a.line("ready")
        _ = try await b.line("ready")
        try a.send("go\n")
        try b.send("go\n")
        _ = try await a.line("connected")
        _ = try await b.line("connected")
        let before = try await Report(of: a)

        let sender = try HandoffSender(to: first)
        let failure = Expectation<String>()
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(HandOn(sender, failure))
        }
        let listener = try await bootstrap.listen(
            host: "127.0.0.1", port: 0, MoveTests.security(tls)
        ).get()
        let client = try PythonPeer.client(port: try listener.port(), tls: tls, "echo", "8000000")
        #expect(try await client.line("digests ") == "True")
        client.killNow()

        let after = try await Report.whenEmpty(a)
        let other = try await Report.whenEmpty(b)
        #expect(after.moves + other.moves >= 100, "only \(after.moves) and \(other.moves) moves")
        #expect(after.failures == 0 && other.failures == 0)
        // Two owners have connected meanwhile: for each a socket, and a pidfd that stands for its process; and what the
        // last move used may be about to close. A leak would be one for each of some fifty moves.
        #expect(after.descriptors <= before.descriptors + 20)
        sender.close()
        try await listener.channel.close()
    }

    @Test("a successor takes over listener, connections and the application's state, three times in a row")
    func succession() async throws {
        let files = try TemporaryFiles()
        let control = files.path("control")
        let certificate = Credentials.files.path("cert.pem")
        let key = Credentials.files.path("key.pem")
        var server = try PeerProcess(nioPeer: "server", control, certificate, key)
        let port = try #require(Int(try await server.line("port ")))
        _ = try await server.line("ready")
        let client = try PythonPeer.client(port: port, tls: "1.3", "talk")
        try client.send("hello\n")
        #expect(try await client.line("got ") == "hello 1 \(server.processID)")
        var newcomers: [PeerProcess] = []
        for generation in 2...4 {
            let next = try PeerProcess(nioPeer: "server", control, certificate, key, "takeover")
            #expect(try await next.line("took ") == "\(generation - 1)")
            #expect(try await next.line("port ") == String(port))
            _ = try await next.line("ready")
            #expect(try await server.line("succeeded ") == "out=\(generation - 1) left=0")
            server = next
            try client.send("again\n")
            #expect(try await client.line("got ") == "again \(generation) \(server.processID)")
            let newcomer = try PythonPeer.client(port: port, tls: "1.3", "talk")
            try newcomer.send("new\n")
            #expect(try await newcomer.line("got ") == "new 1 \(server.processID)")
            newcomers.append(newcomer)
        }
    }

    @Test("a worker that is not there is told when the connections are to go to it, and they go on here")
    func noHeir() async throws {
        let files = try TemporaryFiles()
        let registry = ConnectionRegistry(group: loops)
        let bootstrap = ConnectionBootstrap(group: loops, registry: registry) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, MoveTests.security("1.3")).get()
        let client = try PythonPeer.client(port: try listener.port(), tls: "1.3", "talk")
        try client.send("before\n")
        #expect(try await client.line("got ") == "before")
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let succession = try SuccessionService(
            at: files.path("control"), bootstrap: bootstrap, registry: registry, listeners: [listener],
            heir: files.path("nobody"), logger: logger)
        let started = Expectation<Bool>()
        let group = ServiceGroup(services: [succession, Started(started)], logger: logger)
        let serving = Task { try await group.run() }
        _ = try await started.value("the start of the services")
        await group.triggerGracefulShutdown()
        let error = await #expect(throws: HandoffError.self) { try await serving.value }
        #expect(error?.code == .nobodyListening)
        try client.send("after\n")
        #expect(try await client.line("got ") == "after")
    }

    @Test("graceful shutdown hands the connections on to a worker, with their state")
    func shutdown() async throws {
        let files = try TemporaryFiles()
        let received = Expectation<Arrival>()
        let worker = ConnectionBootstrap(group: loops) { channel, arrival in
            received.fulfil(arrival)
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        let service = try HandoffService(at: files.path("worker"), bootstrap: worker)
        let running = Task { try await service.run() }
        let registry = ConnectionRegistry(group: loops)
        let bootstrap = ConnectionBootstrap(group: loops, registry: registry) { channel, _ in
            try channel.pipeline.syncOperations.connectionHandler().provideState { ["answer": 42] }
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, MoveTests.security("1.3")).get()
        let client = try PythonPeer.client(port: try listener.port(), tls: "1.3", "talk")
        try client.send("before\n")
        #expect(try await client.line("got ") == "before")
        let succession = try SuccessionService(
            at: files.path("control"), bootstrap: bootstrap, registry: registry, listeners: [listener],
            heir: files.path("worker"))
        let started = Expectation<Bool>()
        let group = ServiceGroup(
            services: [succession, Started(started)],
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let serving = Task { try await group.run() }
        _ = try await started.value("the start of the services")
        await group.triggerGracefulShutdown()
        try await serving.value
        let state: [String: Int]? = try await received.value("the move").state()
        #expect(state == ["answer": 42])
        try client.send("after\n")
        #expect(try await client.line("got ") == "after")
        #expect(registry.movesOut == 1 && registry.count == 0)
        running.cancel()
        try await running.value
    }

    @Test("a connection that nobody takes comes back to its owner")
    func returned() async throws {
        let files = try TemporaryFiles()
        let path = files.path("worker")
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        let service = try HandoffService(at: path, bootstrap: bootstrap) { _ in .decline(.noRoom) }
        let running = Task { try await service.run() }
        let sender = try HandoffSender(to: path)
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, .plain).get()
        let arrived = Expectation<any Channel>()
        let holding = ConnectionBootstrap(group: loops) { channel, _ in
            let (_, log) = AsyncStream.makeStream(of: String.self)
            try channel.pipeline.syncOperations.addHandler(Witness(log, arrived))
        }
        let other = try await holding.listen(host: "127.0.0.1", port: 0, .plain).get()
        let client = try PythonPeer.client(port: try other.port(), tls: nil, "talk")
        let detached = try await arrived.value("the connection").detachConnection().get()
        guard case .returned(let back, let reason) = await sender.offer(detached) else {
            throw TestFailure("it was taken")
        }
        #expect(reason == .noRoom)
        _ = try await bootstrap.attach(try require(back.take()), on: loops.next()).get()
        try client.send("still here\n")
        #expect(try await client.line("got ") == "still here")
        sender.close()
        running.cancel()
        try await running.value
        try await listener.channel.close()
        try await other.channel.close()
    }
}

/// Tells that its group runs: a shutdown before that is none.
struct Started: Service {
    private let started: Expectation<Bool>

    init(_ started: Expectation<Bool>) { self.started = started }

    func run() async throws {
        started.fulfil(true)
        try await gracefulShutdown()
    }
}

/// What a worker says of itself.
struct Report {
    let connections: Int
    let moves: Int
    let failures: Int
    let descriptors: Int

    init(of worker: PeerProcess) async throws {
        try worker.send("report\n")
        let words = try await worker.line("report ").split(separator: " ").map { $0.split(separator: "=")[1] }
        let numbers = words.compactMap { Int($0) }
        guard numbers.count == 4 else { throw TestFailure("a report of \(words)") }
        (connections, moves, failures, descriptors) = (numbers[0], numbers[1], numbers[2], numbers[3])
    }

    /// The first report of a worker without connections.
    static func whenEmpty(_ worker: PeerProcess) async throws -> Report {
        let clock = ContinuousClock()
        let limit = clock.now + .seconds(Int(patienceSeconds))
        while clock.now < limit {
            let report = try await Report(of: worker)
            if report.connections == 0 { return report }
        }
        throw TestFailure("the worker still has connections")
    }
}

/// Hands the connection on with its first bytes.
final class HandOn: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let sender: HandoffSender
    private let failure: Expectation<String>

    init(_ sender: HandoffSender, _ failure: Expectation<String>) {
        self.sender = sender
        self.failure = failure
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.write(data, promise: nil)
        do {
            let parcel = try context.pipeline.syncOperations.connectionHandler().detach()
            let failure = failure
            sender.offer(parcel) { fate in
                if case .handedOver = fate { return }
                failure.fulfil("\(fate)")
            }
        } catch {
            failure.fulfil("\(error)")
        }
    }
}
