// A process of the tests. It says in lines what it does, and takes commands in lines.
//
//   NIOPeer worker PATH NEXT BYTES   takes connections at PATH, echoes, and hands each on to NEXT after so many bytes
//   NIOPeer succession CONTROL CERT KEY PORT     counts lines at PORT, after whoever did before, among other services
//   NIOPeer web CONTROL CERT KEY PORT            the same with HTTP and WebSockets
//   NIOPeer server CONTROL CERT KEY [takeover]   counts lines for each connection, and gives all to who connects to CONTROL
import BatonNIO
import Glibc
import Handoff
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import TLSHandshake

let arguments = CommandLine.arguments
let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
let registry = ConnectionRegistry(group: group)

func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}

func openDescriptorCount() -> Int {
    (0..<1_024).count { fcntl(CInt($0), F_GETFD) >= 0 }
}

switch arguments.dropFirst().first {
case "worker" where arguments.count == 5:
    let worker = Worker(next: arguments[3], moveEvery: Int(arguments[4]) ?? .max)
    let bootstrap = ConnectionBootstrap(group: group, registry: registry) { channel, _ in
        try channel.pipeline.syncOperations.addHandler(WorkerEcho(worker))
    }
    worker.use(bootstrap)
    let service = try HandoffService(at: arguments[2], bootstrap: bootstrap)
    say("ready")
    _ = readLine()
    try worker.connect()
    say("connected")
    // Not on the main actor, which waits for commands.
    let running = Task.detached { try await service.run() }
    while readLine() != nil {
        say(
            "report connections=\(registry.count) in=\(registry.movesIn) failures=\(worker.failures) "
                + "descriptors=\(openDescriptorCount())")
    }
    running.cancel()
    try await running.value

case "server" where arguments.count >= 5:
    let context = try ServerContext(
        ServerConfiguration(identities: [
            .init(certificateChain: .file(arguments[3]), privateKey: .file(arguments[4]))
        ]))
    let bootstrap = ConnectionBootstrap(group: group, registry: registry) { channel, arrival in
        let handler = try channel.pipeline.syncOperations.connectionHandler()
        let counter = LineCounter(try arrival.state() ?? LineCounter.State())
        handler.provideState { counter.state }
        try channel.pipeline.syncOperations.addHandler(counter)
    }
    let listeners: [Listener]
    if arguments.count > 5 {
        let outcome = try await Takeover(from: arguments[2], bootstrap: bootstrap, listeners: ["main": .tls(context)])
            .run()
        listeners = outcome.listeners
        say("took \(outcome.connectionCount)")
    } else {
        listeners = [try await bootstrap.listen(host: "127.0.0.1", port: 0, .tls(context), name: "main").get()]
    }
    say("port \(listeners.first?.address?.port ?? 0)")
    let succession = try SuccessionService(
        at: arguments[2], bootstrap: bootstrap, registry: registry, listeners: listeners)
    say("ready")
    try await succession.run()
    say("succeeded out=\(registry.movesOut) left=\(registry.count)")

case "succession" where arguments.count == 6, "web" where arguments.count == 6:
    let isWeb = arguments[1] == "web"
    let context = try ServerContext(
        ServerConfiguration(identities: [
            .init(certificateChain: .file(arguments[3]), privateKey: .file(arguments[4]))
        ]))
    let bootstrap = ConnectionBootstrap(group: group, registry: registry) { channel, arrival in
        if isWeb { return try Web.initialize(channel, arrival) }
        let handler = try channel.pipeline.syncOperations.connectionHandler()
        let counter = LineCounter(try arrival.state() ?? LineCounter.State())
        handler.provideState { counter.state }
        try channel.pipeline.syncOperations.addHandler(counter)
    }
    let succession = try await Succession.start(
        at: arguments[2], bootstrap: bootstrap, registry: registry,
        listeners: [.init("main", host: "127.0.0.1", port: Int(arguments[5]) ?? 0, .tls(context))])
    say("started \(succession.taken.map { "took \($0.connectionCount)" } ?? "first")")
    say("port \(succession.listeners.first?.address?.port ?? 0)")
    try await ServiceGroup(
        configuration: .init(
            services: [.init(service: Patient()), succession.configuration], logger: Logger(label: "peer"))
    ).run()
    say("ended in order")

default:
    say("wrong arguments")
    exit(2)
}
