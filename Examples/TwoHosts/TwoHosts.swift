import BatonHosts
import Foundation
import NIOCore
import NIOPosix
import TLSHandshake

/// A TLS server on two machines, one of which serves. The line "move" on its standard input moves every connection, with the state that
/// the program keeps for it, to the other machine, and the service address after them. Clients stay connected.
///
/// The program is the same on both. README.md has the command lines.
@main
struct TwoHosts {
    static func main() async {
        do {
            try await run(Options(CommandLine.arguments))
        } catch {
            print("TwoHosts: \(error)")
            exit(1)
        }
    }

    private static func run(_ options: Options) async throws {
        let name = try options.required("name")
        guard let address = IPAddress(try options.required("address")),
            let own = IPAddress(try options.required("link")),
            let port = Int(options["port"] ?? "7000"), let linkPort = UInt16(options["link-port"] ?? "9440"),
            let peerPort = UInt16(options["peer-port"] ?? "9440")
        else { throw Usage("--address and --link take an IP address, --port, --link-port and --peer-port a number") }

        // What clients see.
        let context = try ServerContext(
            ServerConfiguration(identities: [
                .init(
                    certificateChain: .file(try options.required("cert")),
                    privateKey: .file(try options.required("key")))
            ]))
        let group = MultiThreadedEventLoopGroup.singleton
        let registry = ConnectionRegistry(group: group)
        let bootstrap = ConnectionBootstrap(group: group, registry: registry) { channel, arrival in
            // New, or as the other host left it.
            let counter = LineCounter(try arrival.state() ?? LineCounter.State(), host: name)
            try channel.pipeline.syncOperations.connectionHandler().provideState { counter.state }
            try channel.pipeline.syncOperations.addHandler(counter)
        }

        // What the other host sees.
        let peer = HostPeer(
            host: try options.required("peer"), port: peerPort, name: try options.required("peer-name"))
        let credentials = try HostCredentials(
            identity: .init(
                certificateChain: .file(try options.required("link-cert")),
                privateKey: .file(try options.required("link-key"))),
            authorities: .file(try options.required("link-ca")), peers: [peer.name])
        let network = try HostNetwork(interfaces: [options["interface"] ?? "e0"], serviceAddresses: [address])
        let arrivals = try HostArrivals(
            at: own, port: linkPort, bootstrap: bootstrap, network: network, credentials: credentials,
            maxConnections: options["room"].flatMap { Int($0) } ?? .max)
        let departure = HostDeparture(bootstrap: bootstrap, network: network, credentials: credentials)

        // Both hosts have the service address on lo, so both can listen there. Clients reach the one that answers for it.
        _ = try await bootstrap.listen(host: "\(address)", port: port, .tls(context), name: "lines").get()
        let service = Task { try await arrivals.run() }
        print("\(name) serves at \(address), port \(port)")
        for await line in lines() {
            switch line {
            case "move": await move(departure, to: peer, UInt16(port))
            case "status":
                print("\(name) has \(registry.count) connections, came \(registry.movesIn), left \(registry.movesOut)")
            default: print("say move or status; the end of the input ends the program")
            }
        }
        service.cancel()
        _ = try? await service.value
    }

    private static func move(_ departure: HostDeparture, to peer: HostPeer, _ port: UInt16) async {
        do {
            let clock = ContinuousClock()
            let begin = clock.now
            let report = try await departure.move(to: peer, ports: [port])
            let time = (clock.now - begin).components
            for (reason, count) in report.stayed.sorted(by: { $0.key < $1.key }) { print("\(count) stayed: \(reason)") }
            print(
                "moved \(report.moved) connections to \(peer.name) in \(time.seconds * 1_000 + time.attoseconds / 1_000_000_000_000_000) ms,",
                "\(report.remaining) remain, \(report.inDoubt) in doubt,",
                report.addresses.isEmpty ? "the address is still here" : "the address has moved")
            if let failure = report.failure { print("ended early: \(failure)") }
        } catch {
            print("nothing moved: \(error)")
        }
    }

    /// The lines of the standard input, read on a thread of their own.
    private static func lines() -> AsyncStream<String> {
        AsyncStream { continuation in
            Thread.detachNewThread {
                while let line = readLine() { continuation.yield(line) }
                continuation.finish()
            }
        }
    }
}
